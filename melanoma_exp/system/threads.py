"""Many small tasks on files, in threads."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")
CHUNK = 64  # items of one task: a task for each would cost more than hashing a small file


def threaded_map(
    work: Callable[[A], B], items: Sequence[A], progress: Callable[[int], None] | None = None
) -> list[B]:
    """Returns what `work` returns for each item, in their order.

    Args:
        work: Called in any thread.
        items: What it is called with.
        progress: Told how many of the first items are done, now and then, in this thread.

    Raises:
        Exception: What `work` raises for the first item that fails; the rest is given up.
    """
    chunks = [items[k : k + CHUNK] for k in range(0, len(items), CHUNK)]
    with ThreadPoolExecutor() as pool:
        results: list[B] = []
        for some in pool.map(lambda chunk: [work(item) for item in chunk], chunks):
            results += some
            if progress is not None:
                progress(len(results))
        return results
