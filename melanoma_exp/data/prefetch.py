"""Makes the next results while the last one is used."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

DEPTH = 4  # results that are made before they are asked for
Result = TypeVar("Result")


class Prefetcher(Generic[Result]):
    """Gives the results of a function of 0, 1, 2, ... in order; a thread makes them beforehand."""

    def __init__(self, make: Callable[[int], Result], end: int) -> None:
        """Prepares; nothing is made before the first is asked for.

        Args:
            make: Makes one result. Called in one thread, one call at a time.
            end: The number that no longer has one.
        """
        self._make, self._end = make, end
        self._pool = ThreadPoolExecutor(1)
        self._made: dict[int, Future[Result]] = {}

    def take(self, number: int) -> Result:
        """Returns a result, once, and has the thread go on with those after it."""
        for k in range(number, min(number + 1 + DEPTH, self._end)):
            if k not in self._made:
                self._made[k] = self._pool.submit(self._make, k)
        return self._made.pop(number).result()
