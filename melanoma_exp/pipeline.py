"""From the plan of an epoch to batches: a pure function of (seed, epoch, position).

Pixels are read from memory-mapped arrays and varied in numpy and OpenCV; TensorFlow only wraps the
finished batches. Nothing here keeps state, so any step of any epoch can be asked for at any time.
"""

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from melanoma_exp.augment.spec import NoAugment, Policy
from melanoma_exp.randomness import Purpose, address, generator
from melanoma_exp.samples import Plan, Samples
from melanoma_exp.spec import UserError, digest

if TYPE_CHECKING:
    import tensorflow as tf

VERSION = 2  # raise it when the same child would get other pixels
CHUNK = 64  # children made by one task of a worker


@dataclass(frozen=True)
class Reader:
    """Gives the pixels of any rows.

    Attributes:
        pixels: uint8 (images, h, w, 3), the originals.
        children: uint8 (m, h, w, 3), children that were made beforehand.
        place: For each (source, copy) of those its row in `children`.
    """

    pixels: np.ndarray
    children: np.ndarray
    place: dict[tuple[str, int], int]

    def read(self, samples: Samples) -> np.ndarray:
        """Returns uint8 (n, h, w, 3); a child that was not made beforehand is its source."""
        out = np.empty((len(samples), *self.pixels.shape[1:]), np.uint8)
        for row, (image, source, copy) in enumerate(
            zip(samples.image, samples.source, samples.copy, strict=True)
        ):
            made = self.place.get((str(source), int(copy))) if copy else None
            out[row] = self.pixels[image] if made is None else self.children[made]
        return out


def make_reader(
    plan: Samples, pixels: np.ndarray, data_digest: str, policy: Policy, seed: int, cache: Path
) -> Reader:
    """Makes the synthetic children of a plan, or takes them from the cache.

    Children are drawn per (seed, source, copy), in worker processes because Augmentor draws from
    process-wide generators; the result does not depend on the number of workers.

    Args:
        plan: All rows that will be read.
        pixels: uint8 (images, h, w, 3), the originals.
        data_digest: Identifies `pixels`.
        policy: Draws the children, unless it draws online anyway or there is nothing to draw.
        seed: The run's seed.
        cache: The folder of cached arrays.

    Raises:
        UserError: The cache cannot be written.
    """
    children = plan.take(plan.copy > 0)
    shape = (len(children), *pixels.shape[1:])
    if policy.online or isinstance(policy, NoAugment) or not len(children):
        return Reader(pixels, np.empty((0, *shape[1:]), np.uint8), {})
    names = children.id
    order = np.argsort(names)
    children, names = children.take(order), names[order]
    place = {
        (str(source), int(copy)): row
        for row, (source, copy) in enumerate(zip(children.source, children.copy, strict=True))
    }
    key = digest(
        [VERSION, data_digest, list(shape), seed, policy.model_dump(mode="json"), names.tolist()]
    )
    path = cache / "children" / f"{key}.npy"
    if not path.exists():
        try:
            _make_children(children, pixels, policy, seed, path)
        except OSError as error:
            raise UserError(f"cache.dir: cannot write {path.parent}: {error}") from error
    return Reader(pixels, np.load(path, mmap_mode="r"), place)


def _make_children(
    children: Samples, pixels: np.ndarray, policy: Policy, seed: int, path: Path
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.stem}.{os.getpid()}.tmp")
    chunks = [np.arange(k, min(k + CHUNK, len(children))) for k in range(0, len(children), CHUNK)]
    try:
        with aside.open("wb") as file, _workers(len(chunks)) as pool:
            header = {"descr": "|u1", "fortran_order": False}
            shape = (len(children), *pixels.shape[1:])
            np.lib.format.write_array_header_2_0(file, {**header, "shape": shape})
            tasks = [
                pool.submit(
                    draw_children,
                    policy,
                    seed,
                    pixels[children.image[chunk]],
                    [(str(children.source[k]), int(children.copy[k])) for k in chunk],
                )
                for chunk in chunks
            ]
            for task in tasks:
                file.write(task.result().tobytes())
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def draw_children(
    policy: Policy, seed: int, sources: np.ndarray, names: list[tuple[str, int]]
) -> np.ndarray:
    """Draws one child for each source image; runs in worker processes.

    Args:
        policy: Draws the variant.
        seed: The run's seed.
        sources: uint8 (n, h, w, 3).
        names: The source's id and the copy's number of each child.

    Returns:
        uint8 (n, h, w, 3).
    """
    drawn = [
        policy.draw(image, generator(seed, Purpose.CHILD, address(source), copy))
        for image, (source, copy) in zip(sources, names, strict=True)
    ]
    return np.stack(drawn)


def _workers(tasks: int) -> ProcessPoolExecutor:
    # Spawned, not forked: the parent may hold threads of OpenCV or TensorFlow.
    workers = max(1, min(os.cpu_count() or 1, tasks))
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


@dataclass(frozen=True)
class Feed:
    """Batches of one part.

    Attributes:
        samples: The rows.
        reader: Gives their pixels.
        batch_size: Rows a batch; the last one of an epoch may be smaller.
        class_weight: float (number of classes,), or None where all rows weigh alike.
        policy: Draws each row anew every epoch if it is online; None for evaluation.
        seed: Of shuffling and drawing; None keeps the order of rows.
    """

    samples: Samples
    reader: Reader
    batch_size: int
    class_weight: np.ndarray | None = None
    policy: Policy | None = None
    seed: int | None = None

    @classmethod
    def training(
        cls, plan: Plan, reader: Reader, policy: Policy, batch_size: int, seed: int
    ) -> "Feed":
        """Returns the shuffled, weighted and (with an online policy) augmented feed of a plan."""
        weight = None if np.allclose(plan.class_weight, 1) else plan.class_weight
        return cls(plan.samples, reader, batch_size, weight, policy, seed)

    @property
    def steps(self) -> int:
        """Batches an epoch."""
        return -(-len(self.samples) // self.batch_size)

    @property
    def images(self) -> int:
        """Images an epoch."""
        return len(self.samples)

    def order(self, epoch: int) -> np.ndarray:
        """Returns the rows of an epoch in the order they are seen, int64 (n,)."""
        if self.seed is None:
            return np.arange(len(self.samples))
        return generator(self.seed, Purpose.SHUFFLE, epoch).permutation(len(self.samples))

    def batch(
        self, epoch: int, step: int, part: tuple[int, int] | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns one batch.

        Args:
            epoch: From 0.
            step: From 0, below `steps`.
            part: The first of its rows to return and the one after the last; null is all.

        Returns:
            Images uint8 (b, h, w, 3), labels int64 (b,), loss weights float32 (b,).
        """
        start, end = step * self.batch_size, (step + 1) * self.batch_size
        if part is not None:
            start, end = start + part[0], min(start + part[1], end)
        rows = self.order(epoch)[start:end]
        samples = self.samples.take(rows)
        images = self.reader.read(samples)
        if self.policy is not None and self.policy.online and self.seed is not None:
            for k in range(len(images)):
                random = generator(self.seed, Purpose.ONLINE, epoch, start + k)
                images[k] = self.policy.draw(images[k], random)
        weight = (
            np.ones(len(rows)) if self.class_weight is None else self.class_weight[samples.label]
        )
        return images, samples.label, weight.astype(np.float32)

    def dataset(self, epoch: int = 0, first: int = 0) -> "tf.data.Dataset":
        """Returns the batches of an epoch as (images, labels, weights).

        Args:
            epoch: From 0.
            first: The step it begins with; a later one gives what an earlier one would have given.
        """
        import tensorflow as tf

        shape = self.reader.pixels.shape[1:]

        def wrapped(index: "tf.Tensor") -> tuple["tf.Tensor", ...]:
            function: Callable = lambda step: self.batch(epoch, int(step))  # noqa: E731
            images, labels, weights = tf.numpy_function(
                function, [index], (tf.uint8, tf.int64, tf.float32)
            )
            images.set_shape((None, *shape))
            labels.set_shape((None,))
            weights.set_shape((None,))
            return images, labels, weights

        steps = tf.data.Dataset.range(first, self.steps)
        # One call at a time is enough: it runs beside the training step and keeps order for free.
        return steps.map(wrapped).prefetch(4)
