"""Computes the next results while the last one is used."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    import tensorflow as tf

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


def prefetched(
    make: Callable[[int], tuple[Any, ...]],
    first: int,
    end: int,
    specs: Sequence[Any],
) -> "tf.data.Dataset":
    """Returns what a function gives of `first` up to `end` - 1, made while the last one is used.

    Args:
        make: Gives one element, arrays or tuples of them. Called in one thread, one call at a time.
        first: The first element's number.
        end: The number that no longer has an element.
        specs: Shape and dtype of each array of an element, a tf.TensorSpec in the place of each.
    """
    import tensorflow as tf

    # Not tf.data's prefetch: with determinism on TensorFlow quietly leaves that out.
    ahead = Prefetcher(make, end)

    flat = tf.nest.flatten(tuple(specs))

    def taken(number: "tf.Tensor") -> Any:
        arrays = tf.numpy_function(
            lambda n: tf.nest.flatten(ahead.take(int(n))), [number], [spec.dtype for spec in flat]
        )
        for array, spec in zip(arrays, flat, strict=True):
            array.set_shape(spec.shape)
        return tf.nest.pack_sequence_as(tuple(specs), arrays)

    options = tf.data.Options()
    # Nothing is to be tuned, and an iterator that ends may wait for the tuner as long as it lived.
    options.autotune.enabled = False
    return tf.data.Dataset.range(first, end).map(taken).with_options(options)
