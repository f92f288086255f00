"""The index of hashes finds exactly the pairs that comparing all with all finds, each once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from melanoma_exp.data.duplicates import hash_index

LIMIT = 10


def compared(hashes: np.ndarray, others: np.ndarray) -> list[tuple[int, int]]:
    differing = np.bitwise_count(hashes[:, None] ^ others)
    first, second = np.nonzero(np.triu(differing <= LIMIT, 1))
    return list(zip(first.tolist(), second.tolist(), strict=True))


def looked_up(hashes: np.ndarray, others: np.ndarray) -> list[tuple[int, int]]:
    found = [np.stack(pair, 1) for pair in hash_index.pairs(hashes, others, LIMIT)]
    return sorted((int(first), int(second)) for pairs in found for first, second in pairs)


def family(seed: int, parents: int, children: int) -> np.ndarray:
    """Returns hashes of which each has children at 0 to 14 bits from it."""
    random = np.random.default_rng(seed)
    hashes = random.integers(0, 2**63, parents, np.uint64).repeat(children + 1)
    for k in range(len(hashes)):
        for bit in random.choice(64, random.integers(0, 15), replace=False):
            hashes[k] ^= np.uint64(1) << np.uint64(bit)
    return random.permutation(hashes)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**31), st.integers(1, 30), st.integers(0, 8))
def test_it_finds_what_comparing_all_finds(seed: int, parents: int, children: int) -> None:
    hashes = family(seed, parents, children)
    others = np.random.default_rng(seed).permutation(hashes)
    assert looked_up(hashes, others) == compared(hashes, others)


def test_pairs_at_the_limit_are_found_wherever_their_bits_are() -> None:
    random = np.random.default_rng(1)
    for _ in range(300):
        one = random.integers(0, 2**63, dtype=np.uint64)
        bits = [int(b) for b in random.choice(64, LIMIT + 1, replace=False)]
        at = one ^ np.uint64(sum(1 << b for b in bits[:LIMIT]))
        beyond = one ^ np.uint64(sum(1 << b for b in bits))
        hashes = np.array([one, at, beyond], np.uint64)
        assert looked_up(hashes, hashes) == compared(hashes, hashes)
        assert (0, 1) in looked_up(hashes, hashes) and (0, 2) not in looked_up(hashes, hashes)


@pytest.mark.parametrize("count", [0, 1, 60])
def test_equal_hashes_and_small_portions(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hash_index, "LOOKUPS", 300)
    monkeypatch.setattr(hash_index, "CANDIDATES", 50)
    hashes = np.full(count, 7, np.uint64)
    assert looked_up(hashes, hashes) == compared(hashes, hashes)
    assert len(looked_up(hashes, hashes)) == count * (count - 1) // 2
