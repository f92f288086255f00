"""Stateless random numbers: every draw is a function of what it is for, never of what ran before.

A generator is addressed by (seed, purpose, counters). Nothing depends on the number of workers, on
the order of threads or on where a run was interrupted.
"""

import hashlib
from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What numbers are drawn for; two purposes never share a stream."""

    SPLIT = 1
    BALANCE = 2
    SHUFFLE = 3
    ONLINE = 4
    CHILD = 5
    FIGURE = 6
    BOOTSTRAP = 7
    EXPLANATION = 8
    MIX = 9
    VIEW = 10  # of an image whose features are computed once
    VIEW_OF_EPOCH = 11  # which of them an epoch sees
    SUBSET = 12
    HIDDEN = 13  # columns of the metadata that are unknown in an epoch


def generator(seed: int, purpose: Purpose, first: int = 0, second: int = 0) -> np.random.Generator:
    """Returns the generator at an address; equal addresses give equal draws on every machine.

    Args:
        seed: The run's or the split's seed, 0 <= seed < 2**64.
        purpose: What the numbers are for.
        first: A counter, e.g. the epoch, 0 <= first < 2**64.
        second: A counter, e.g. the position in the epoch, 0 <= second < 2**64.
    """
    # Philox counts up in the lowest word alone here: 2**64 draws fit before two addresses touch.
    # Named as uint64: a list that holds a number of 2**63 or more would pass through float64.
    philox = np.random.Philox(
        key=np.array([seed, purpose], np.uint64),
        counter=np.array([0, 0, first, second], np.uint64),
    )
    return np.random.Generator(philox)


def address(name: str) -> int:
    """Returns a 64-bit counter for a name, the same in every process (unlike `hash`)."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
