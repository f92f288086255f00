"""From the plan of an epoch to batches: a pure function of (seed, epoch, position).

Pixels are read from files of the cache and varied in numpy and OpenCV; TensorFlow only wraps the
finished batches. Any step of any epoch can be asked for at any time, by any thread.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from melanoma_exp.augment import Policy
from melanoma_exp.data.inputs.encoded import EncodedMetadata
from melanoma_exp.data.prefetch import prefetched
from melanoma_exp.data.samples import Plan, Samples
from melanoma_exp.system.arrays import Images
from melanoma_exp.system.randomness import Purpose, generator

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass(frozen=True)
class Reader:
    """Reads the pixels of any rows.

    Attributes:
        pixels: uint8 (images, h, w, 3), the originals.
        children: uint8 (m, h, w, 3), children that were made beforehand.
        made: str (m,), the ids of those, sorted.
        metadata: Vectors of the originals' metadata, None where the network sees none.
    """

    pixels: np.ndarray
    children: np.ndarray
    made: np.ndarray = field(default_factory=lambda: np.empty(0, str))
    metadata: EncodedMetadata | None = None

    def read(self, samples: Samples) -> np.ndarray:
        """Returns uint8 (n, h, w, 3); a child that was not made beforehand is its source."""
        return self.fetch(self.locate(samples))

    def locate(self, samples: Samples) -> np.ndarray:
        """Returns the indices of the pixels of rows, int64 (n,); `~index` among the children."""
        indices = samples.image.astype(np.int64)
        if len(self.made):
            rows = np.flatnonzero(samples.copy > 0)
            names = samples.take(rows).id
            child = np.minimum(np.searchsorted(self.made, names), len(self.made) - 1)
            found = self.made[child] == names
            indices[rows[found]] = ~child[found]
        return indices

    def fetch(self, indices: np.ndarray) -> np.ndarray:
        """Returns the pixels at indices that `locate` gave, uint8 (n, h, w, 3)."""
        out = np.empty((len(indices), *self.pixels.shape[1:]), np.uint8)
        originals, children = self._images
        for k, index in enumerate(indices.tolist()):
            if index < 0:
                children.read(~index, out[k])
            else:
                originals.read(index, out[k])
        return out

    @cached_property
    def _images(self) -> tuple[Images, Images]:
        return Images(self.pixels), Images(self.children)


@dataclass(frozen=True)
class Loader:
    """Batches of one part.

    Attributes:
        samples: The rows.
        reader: Reads their pixels.
        batch_size: Rows per batch; the last one of an epoch may be smaller.
        class_weight: float (number of classes,), or None where all rows weigh alike.
        policy: Draws each row anew every epoch if it is online, and mixes images by its batch
            steps; None for evaluation.
        seed: Of shuffling and drawing; None keeps the order of rows.
        weights: float64 (n,), how often each row is drawn relative to the others; None visits every
            row once an epoch.
        per_epoch: Draws per epoch where `weights` are given.
        from_epoch: The epoch, from 1, before which neither weights have an effect.
    """

    samples: Samples
    reader: Reader
    batch_size: int
    class_weight: np.ndarray | None = None
    policy: Policy | None = None
    seed: int | None = None
    weights: np.ndarray | None = None
    per_epoch: int | None = None
    from_epoch: int = 1

    @classmethod
    def training(
        cls, plan: Plan, reader: Reader, policy: Policy, batch_size: int, seed: int
    ) -> "Loader":
        """Returns the shuffled, weighted and augmented batches of a plan."""
        weight = None if np.allclose(plan.class_weight, 1) else plan.class_weight
        draws = (plan.weights, plan.per_epoch, plan.from_epoch)
        return cls(plan.samples, reader, batch_size, weight, policy, seed, *draws)

    @property
    def steps(self) -> int:
        """Batches per epoch."""
        return -(-self.images // self.batch_size)

    @property
    def images(self) -> int:
        """Images per epoch."""
        return len(self.samples) if self.per_epoch is None else self.per_epoch

    @property
    def soft(self) -> bool:
        """Whether targets are shares of all classes instead of one label."""
        return self.policy is not None and self.seed is not None and bool(self.policy.batch)

    def order(self, epoch: int) -> np.ndarray:
        """Returns the rows of an epoch in the order they are seen, int64 (images,)."""
        if self.seed is None:
            return np.arange(len(self.samples))
        order = self._orders.get(epoch)  # drawn once per epoch, not once per batch
        if order is None:
            random, rows = generator(self.seed, Purpose.SHUFFLE, epoch), len(self.samples)
            if self.weights is None:
                order = random.permutation(rows)
            elif epoch + 1 < self.from_epoch:
                turns = [random.permutation(rows) for _ in range(-(-self.images // rows))]
                order = np.concatenate(turns)[: self.images]
            else:
                order = random.choice(rows, self.images, p=self.weights / self.weights.sum())
            self._orders.clear()
            self._orders[epoch] = order
        return order

    def batch(
        self, epoch: int, step: int, share: tuple[int, int] | None = None
    ) -> tuple[Any, np.ndarray, np.ndarray]:
        """Returns one batch.

        Args:
            epoch: From 0.
            step: From 0, below `steps`.
            share: The first of its rows to return and the one after the last; None is all.

        Returns:
            Images uint8 (b, h, w, 3), or a pair of them and metadata float32 (b, size); targets
            int64 (b,), or float32 (b, classes) that sum to 1 each if they are `soft`; loss weights
            float32 (b,).
        """
        start, end = step * self.batch_size, min((step + 1) * self.batch_size, self.images)
        if share is not None:
            start, end = start + share[0], min(start + share[1], end)
        positions = np.arange(start, end)
        images, target = self._varied(epoch, positions)
        metadata = self._metadata(epoch, positions)
        if self.soft:
            images, target, metadata = self._mixed(epoch, positions, images, target, metadata)
        weight = np.ones(len(positions))
        if self.class_weight is not None and epoch + 1 >= self.from_epoch:
            weight = target @ self.class_weight if self.soft else self.class_weight[target]
        inputs = images if metadata is None else (images, metadata)
        return inputs, target, weight.astype(np.float32)

    def _varied(self, epoch: int, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the images at positions of an epoch before mixing, and their labels."""
        rows = self.order(epoch)[positions]
        images = self.reader.fetch(self._indices[rows])
        if self.policy is not None and self.policy.online and self.seed is not None:
            for k, position in enumerate(positions.tolist()):
                random = generator(self.seed, Purpose.ONLINE, epoch, position)
                images[k] = self.policy.draw(images[k], random)
        return images, self.samples.label[rows]

    def _metadata(self, epoch: int, positions: np.ndarray) -> np.ndarray | None:
        """Returns the metadata at positions of an epoch before mixing, None without any."""
        if self.reader.metadata is None:
            return None
        vectors = self.reader.metadata.read(self.samples.image[self.order(epoch)[positions]])
        if self.seed is None:
            return vectors
        return self.reader.metadata.drop(vectors, self.seed, epoch, positions, self.images)

    def _mixed(
        self,
        epoch: int,
        positions: np.ndarray,
        images: np.ndarray,
        labels: np.ndarray,
        metadata: np.ndarray | None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Returns images, soft targets and metadata after the policy's batch steps.

        A partner is what its position has before mixing; metadata have the labels' shares.
        """
        assert self.policy is not None and self.seed is not None
        hard = np.eye(len(self.samples.classes), dtype=np.float32)
        targets, (height, width) = hard[labels], images.shape[1:3]
        for k, position in enumerate(positions.tolist()):
            random = generator(self.seed, Purpose.MIX, epoch, position)
            for step in self.policy.batch:
                mix = step.draw(random, self.images, height, width)
                if mix is not None:
                    (image,), (label,) = self._varied(epoch, np.array([mix.partner]))
                    images[k] = mix.apply(images[k], image)
                    share = np.float32(mix.share)
                    targets[k] = share * targets[k] + (1 - share) * hard[label]
                    if metadata is not None:
                        other: Any = self._metadata(epoch, np.array([mix.partner]))
                        metadata[k] = share * metadata[k] + (1 - share) * other[0]
        return images, targets, metadata

    @cached_property
    def _orders(self) -> dict[int, np.ndarray]:
        return {}

    @cached_property
    def _indices(self) -> np.ndarray:
        return self.reader.locate(self.samples)

    def dataset(self, epoch: int = 0, first: int = 0) -> "tf.data.Dataset":
        """Returns the batches of an epoch from step `first` on, as `batch` gives them."""
        return prefetched(lambda step: self.batch(epoch, step), first, self.steps, self.specs)

    @property
    def specs(self) -> list[Any]:
        """Shape and dtype of what `batch` returns."""
        import tensorflow as tf

        inputs, metadata = self.image_spec, self.reader.metadata
        if metadata is not None:
            inputs = (inputs, tf.TensorSpec((None, metadata.size), tf.float32))
        target = tf.TensorSpec((None,), tf.int64)
        if self.soft:
            target = tf.TensorSpec((None, len(self.samples.classes)), tf.float32)
        return [inputs, target, tf.TensorSpec((None,), tf.float32)]

    @property
    def image_spec(self) -> Any:
        """Shape and dtype of a batch of images, or of what stands for them."""
        import tensorflow as tf

        return tf.TensorSpec((None, *self.reader.pixels.shape[1:]), tf.uint8)
