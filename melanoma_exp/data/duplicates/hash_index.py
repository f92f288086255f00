"""Finds which of many hashes nearly agree, without comparing all with all.

Two hashes that differ in few bits differ in at most a quarter of those in one of four chunks,
so looking up all chunks that near finds every pair: the index of Norouzi, Punjani and Fleet, "Fast
Search in Hamming Space with Multi-Index Hashing", 2012.
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

CHUNKS, BITS = 4, 16
LOOKUPS = 2**20  # chunks looked up at once
CANDIDATES = 2**20  # pairs compared at once, if no hash alone has more


def pairs(
    hashes: np.ndarray, others: np.ndarray, limit: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields rows `first` < `second` with hashes that nearly agree, every pair once.

    Args:
        hashes: uint64 (n,).
        others: uint64 (n,), of the same rows in another position.
        limit: Bits that may differ between `hashes[first]` and `others[second]`. With 8 to 11 each
            chunk is looked up in 137 forms, with 12 to 15 in 697.
    """
    within = limit // CHUNKS
    flips = np.array(
        [
            sum(1 << b for b in bits)
            for k in range(within + 1)
            for bits in combinations(range(BITS), k)
        ]
    )
    for number in range(CHUNKS):
        mine, theirs = _chunk(hashes, number), _chunk(others, number)
        order = np.argsort(theirs, kind="stable")
        begins = np.searchsorted(theirs[order], np.arange(2**BITS + 1))
        step = max(1, LOOKUPS // len(flips))
        for start in range(0, len(hashes), step):
            keys = (mine[start : start + step, None] ^ flips).ravel()
            begin, count = begins[keys], begins[keys + 1] - begins[keys]
            for some in _portions(count):
                row = start + np.arange(some.start, some.stop) // len(flips)
                position = np.arange(count[some].sum())
                position -= np.repeat(
                    np.cumsum(count[some]) - count[some] - begin[some], count[some]
                )
                first, second = np.repeat(row, count[some]), order[position]
                differing = hashes[first] ^ others[second]
                near = (np.bitwise_count(differing) <= limit) & (first < second)
                first, second, differing = first[near], second[near], differing[near]
                for earlier in range(number):  # which has found it already if it differs as little
                    far = np.bitwise_count(_chunk(differing, earlier)) > within
                    first, second, differing = first[far], second[far], differing[far]
                if len(first):
                    yield first, second


def _chunk(hashes: np.ndarray, number: int) -> np.ndarray:
    """Returns int64 (n,): some bits of each hash."""
    return (hashes >> np.uint64(number * BITS) & np.uint64(2**BITS - 1)).astype(np.int64)


def _portions(count: np.ndarray) -> Iterator[slice]:
    """Yields slices that hold `CANDIDATES` together, or one lookup that holds more."""
    ends = np.cumsum(count)
    start = 0
    while start < len(count):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + CANDIDATES, side="right")))
        yield slice(start, stop)
        start = stop
