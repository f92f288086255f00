"""Precomputed features: what a frozen network makes of each view of each image, read as batches.

View 0 of an image is the image itself, every other one is drawn by the policy from a generator of
(seed, image, view): split, fold, order and number of workers change nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from melanoma_exp.augment import Policy
from melanoma_exp.data.loader import Loader
from melanoma_exp.data.prefetch import Prefetcher
from melanoma_exp.data.samples import Samples
from melanoma_exp.system import arrays
from melanoma_exp.system.arrays import Images
from melanoma_exp.system.randomness import Purpose, address, generator

BATCH = 64  # views that are computed at once
Embed = Callable[[np.ndarray], np.ndarray]  # uint8 (BATCH, h, w, 3) to float32 (BATCH, d)
Progress = Callable[[int, int], None]  # how many images are done, and of how many


class Features:
    """Reads the features of any views; `open` says where they are.

    They are read from the file row by row, so that they cost the memory of one batch.
    """

    def __init__(self, originals: Samples, views: int, size: int) -> None:
        """Prepares; nothing can be read yet.

        Args:
            originals: All rows of the dataset.
            views: Of each image.
            size: Of a feature vector.
        """
        order = np.argsort(originals.image)
        self.originals, self.views, self.size = originals.take(order), views, size
        self._rows: Images | None = None

    def open(self, array: np.ndarray) -> None:
        """Reads from now on what `compute` wrote, as `np.load` with `mmap_mode` gives it."""
        self._rows = Images(array)

    def read(self, images: np.ndarray, views: np.ndarray) -> np.ndarray:
        """Returns features, float32 (n, size).

        Args:
            images: int64 (n,), as `Samples.image`.
            views: int64 (n,), from 0.
        """
        assert self._rows is not None, "the features are not open"
        places = np.searchsorted(self.originals.image, images) * self.views + views
        return self._rows.take(places).view(np.float32)

    def compute(
        self,
        path: Path,
        pixels: np.ndarray,
        policy: Policy,
        seed: int,
        embed: Embed,
        progress: Progress,
    ) -> None:
        """Computes the features of all views of all images into a new `.npy` file.

        A thread reads and varies the next batches while the network works on one. All batches have
        one size, the last one is padded: a row's bits do not depend on how many there are.

        Args:
            path: Of the file: uint8 (images * views, 4 * size), the bytes of float32.
            pixels: uint8 (images, h, w, 3), as `Samples.image` counts them.
            policy: Draws the views.
            seed: Of the views.
            embed: The frozen network.
            progress: Called after every batch.

        Raises:
            OSError: The file cannot be written.
        """
        count = len(self.originals) * self.views
        begin = arrays.create(path, (count, 4 * self.size))
        source = Images(pixels)
        addresses = [address(str(name)) for name in self.originals.source]

        def make(number: int) -> np.ndarray:
            batch = np.zeros((BATCH, *pixels.shape[1:]), np.uint8)
            for k, place in enumerate(range(number * BATCH, min((number + 1) * BATCH, count))):
                row, view = divmod(place, self.views)
                source.read(int(self.originals.image[row]), batch[k])
                if view:
                    random = generator(seed, Purpose.VIEW, addresses[row], view)
                    batch[k] = policy.draw(batch[k], random)
            return batch

        batches = -(-count // BATCH)
        ahead = Prefetcher(make, batches)
        for number in range(batches):
            done = min((number + 1) * BATCH, count)
            rows = embed(ahead.take(number))[: done - number * BATCH]
            arrays.write(path, begin + number * BATCH * 4 * self.size, rows.view(np.uint8))
            progress(done // self.views, len(self.originals))


@dataclass(frozen=True)
class FeatureLoader(Loader):
    """The batches of one part as features, float32 (b, size), instead of images.

    Attributes:
        features: Where they are read.
    """

    features: Features = field(kw_only=True)

    @classmethod
    def of(cls, loader: Loader, features: Features) -> Self:
        """Returns the same rows in the same order as a loader of images."""
        given = {one.name: getattr(loader, one.name) for one in fields(Loader)}
        return cls(**given, features=features)

    def _varied(self, epoch: int, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the features at positions of an epoch and their labels."""
        rows = self.order(epoch)[positions]
        views = self._views(epoch)[positions]
        return self.features.read(self.samples.image[rows], views), self.samples.label[rows]

    def _views(self, epoch: int) -> np.ndarray:
        """Returns which view each position of an epoch sees, int64 (images,)."""
        if self.seed is None:
            return np.zeros(self.images, np.int64)
        views = self._drawn.get(epoch)
        if views is None:
            random = generator(self.seed, Purpose.VIEW_OF_EPOCH, epoch)
            views = random.integers(self.features.views, size=self.images)
            self._drawn.clear()
            self._drawn[epoch] = views
        return views

    @cached_property
    def _drawn(self) -> dict[int, np.ndarray]:
        return {}

    @property
    def image_spec(self) -> Any:
        """Shape and dtype of a batch of features."""
        import tensorflow as tf

        return tf.TensorSpec((None, self.features.size), tf.float32)
