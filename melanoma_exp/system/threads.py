"""Many small pieces of work on files, in threads."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")
TOGETHER = 64  # pieces of one task: a task for each would cost more than hashing a small file


def each(work: Callable[[A], B], items: Sequence[A]) -> list[B]:
    """Returns what `work` returns for each item, in their order.

    Raises:
        Exception: What `work` raises for the first item that fails; the rest is given up.
    """
    parts = [items[k : k + TOGETHER] for k in range(0, len(items), TOGETHER)]
    with ThreadPoolExecutor() as pool:
        done = pool.map(lambda part: [work(item) for item in part], parts)
        return [result for results in done for result in results]
