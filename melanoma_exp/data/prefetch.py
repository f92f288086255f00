"""Computes the next results while the last one is used."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

DEPTH = 4  # results that are computed ahead
Result = TypeVar("Result")


class Prefetcher(Generic[Result]):
    """Results of a function of 0, 1, 2, ... in order, computed ahead by a thread."""

    def __init__(self, make: Callable[[int], Result], end: int) -> None:
        """Starts nothing yet: the first `take` does.

        Args:
            make: Makes one result. Called in one thread, one call at a time.
            end: The number that no longer has one.
        """
        self._make, self._end = make, end
        self._pool = ThreadPoolExecutor(1)
        self._made: dict[int, Future[Result]] = {}

    def take(self, number: int) -> Result:
        """Returns a result, once, and lets the thread compute the next ones."""
        for k in range(number, min(number + 1 + DEPTH, self._end)):
            if k not in self._made:
                self._made[k] = self._pool.submit(self._make, k)
        return self._made.pop(number).result()
