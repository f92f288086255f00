"""The metadata of a dataset as vectors, one for each image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from melanoma_exp.data.inputs import leaks
from melanoma_exp.data.inputs.encoding import Encoding, Row, fit, level, number
from melanoma_exp.data.inputs.spec import Inputs
from melanoma_exp.data.samples import Samples
from melanoma_exp.spec import UserError, digest
from melanoma_exp.system.randomness import Purpose, generator


@dataclass(frozen=True)
class EncodedMetadata:
    """Vectors of all images, and how they were made.

    Attributes:
        encoding: Fitted on the training images.
        vectors: float32 (images, size), in the order of `Samples.image`.
        dropout: Probability with which training sees a column as unknown.
        unknown: By column the share of training images in which it is unknown.
    """

    encoding: Encoding
    vectors: np.ndarray
    dropout: float
    unknown: Mapping[str, float]

    @property
    def size(self) -> int:
        """The length of a vector."""
        return self.encoding.size

    @property
    def digest(self) -> str:
        """Identifies the columns, their encoding and every vector."""
        return digest([self.encoding.to_json(), self.vectors.tobytes().hex()])

    def describe(self) -> str:
        """Returns what the plan says."""
        columns = ", ".join(self.encoding.columns)
        hidden = f"each hidden from training with probability {self.dropout:g}"
        missing = [f"{name} {share:.1%}" for name, share in self.unknown.items() if share]
        unknown = f"; unknown in training: {', '.join(missing)}" if missing else ""
        return (
            f"{columns}: {self.size} values through {self.encoding.units} units into the "
            f"embedding{f', {hidden}' if self.dropout else ''}{unknown}"
        )

    def read(self, images: np.ndarray) -> np.ndarray:
        """Returns the vectors of images, float32 (n, size).

        Args:
            images: int64 (n,), as `Samples.image`.
        """
        return self.vectors[images]

    def drop(
        self, vectors: np.ndarray, seed: int, epoch: int, positions: np.ndarray, count: int
    ) -> np.ndarray:
        """Returns the vectors as training sees them: some columns unknown.

        Args:
            vectors: float32 (n, size).
            seed: The run's.
            epoch: From 0.
            positions: int64 (n,), of the vectors in the epoch.
            count: All positions of the epoch.
        """
        if not self.dropout:
            return vectors
        hidden = self._hidden.get((seed, epoch, count))
        if hidden is None:
            random = generator(seed, Purpose.HIDDEN, epoch)
            chances = random.random((count, len(self.encoding.columns)), np.float32)
            hidden = chances < self.dropout
            self._hidden.clear()
            self._hidden[seed, epoch, count] = hidden
        return self.encoding.hide(vectors, hidden[positions])

    @cached_property
    def _hidden(self) -> dict[tuple[int, int, int], np.ndarray]:
        return {}


def encode(
    inputs: Inputs,
    samples: Samples,
    train: Samples,
    metadata: Mapping[str, Row],
    images: int,
) -> EncodedMetadata:
    """Encodes the metadata of all images by what training images have.

    Args:
        inputs: The columns.
        samples: All images in use.
        train: The training images, originals alone.
        metadata: By source id its columns.
        images: How many there are decoded.

    Raises:
        UserError: A column is not there, is never known in training, holds something else than
            numbers, or gives the label away; a line for each.
    """
    rows = [metadata.get(str(source), {}) for source in samples.source]
    trained = [metadata.get(str(source), {}) for source in train.source]
    _refuse(leaks.absent(inputs, rows, "the dataset"))
    _refuse(leaks.absent(inputs, trained, "the training part"))
    _refuse(_no_numbers(inputs, samples, rows))
    _refuse(leaks.determined(inputs, trained, train.label, train.group, train.classes))
    encoding = fit(inputs, trained)
    vectors = np.zeros((images, encoding.size), np.float32)
    vectors[samples.image] = encoding.encode(rows)
    unknown = {
        column: float(np.mean([not level(row.get(column, "")) for row in trained]))
        for column in inputs.columns
    }
    return EncodedMetadata(encoding, vectors, inputs.dropout, unknown)


def _no_numbers(inputs: Inputs, samples: Samples, rows: Sequence[Row]) -> list[str]:
    """Returns a line for each numeric column with a text that is no number."""
    lines = []
    for column in inputs.numeric:
        for source, row in zip(samples.source, rows, strict=True):
            try:
                number(row.get(column, ""))
            except ValueError as error:
                lines.append(f"dataset.inputs: {column} of {source} {error}")
                break
    return lines


def _refuse(lines: Sequence[str]) -> None:
    if lines:
        raise UserError(*lines)
