"""Metadata that a user gives beside images, read from a CSV."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from melanoma_exp.data import metadata
from melanoma_exp.data.inputs.encoding import Encoding, Row, level, number
from melanoma_exp.data.layouts import ids as ids_of_images
from melanoma_exp.data.metadata import Table
from melanoma_exp.prediction import manifest, saved_model
from melanoma_exp.prediction.manifest import Manifest
from melanoma_exp.spec import UserError

SHOWN = 5  # words that training did not have, and cells that are no numbers


@dataclass(frozen=True)
class GivenMetadata:
    """What is known of images.

    Attributes:
        encoding: Of the network that reads it; None where it takes images alone.
        table: The rows of the CSV, by image id; None without a CSV.
        ids: The id of each image in the CSV, "" where it is not there.
    """

    encoding: Encoding | None
    table: Table | None
    ids: Mapping[Path, str]

    def of(self, path: Path) -> Row:
        """Returns the columns that the network reads of an image, text by column."""
        if self.encoding is None or self.table is None:
            return {}
        row = self.table.rows.get(self.ids[path], {})
        return {column: row[column] for column in self.encoding.columns if column in row}

    def notes(self) -> list[str]:
        """Returns what a reader should know of the metadata of the images, a sentence each."""
        if self.encoding is None:
            return []
        columns = ", ".join(self.encoding.columns)
        if self.table is None:
            return [f"no --metadata: {columns} are unknown for every image, which costs accuracy"]
        rows = [self.table.rows[one] for one in self.ids.values() if one]
        name = self.table.path.name
        lines = [f"metadata ({columns}): {len(rows)} of {len(self.ids)} images are in {name}"]
        for one in self.encoding.categorical:
            words = Counter(level(row.get(one.column, "")) for row in rows)
            new = [f"{word} ({n})" for word, n in words.items() if word and word not in one.levels]
            if new:
                more = ", ..." if len(new) > SHOWN else ""
                lines.append(
                    f"{one.column}: training had no {', '.join(new[:SHOWN])}{more}: counted as "
                    "unknown"
                )
        return lines


def read(path: Path | None, files: Mapping[str, Path], images: Sequence[Path]) -> GivenMetadata:
    """Reads the CSV, before TensorFlow is imported.

    Args:
        path: Of a CSV with a column of image ids, named as in the run's dataset; None is none.
        files: Of the run that predicts, by name.
        images: What is predicted.

    Raises:
        UserError: The run takes no metadata, the CSV cannot be read, lacks a column or holds a
            text where a number is expected, or two pictures of one name have one row; a line for
            each.
    """
    described = Manifest.read(files[manifest.NAME])
    encoding = described.metadata
    if path is None:
        return GivenMetadata(encoding, None, {})
    if encoding is None:
        raise UserError(
            f"--metadata {path}: the run was trained on images alone (dataset.inputs=null); leave "
            "--metadata out"
        )
    experiment, _ = saved_model.read_config(described, files, needs={"model"})
    id_column = str(getattr(experiment.dataset, "id_column", "image_id"))
    table = metadata.read(path, id_column, *encoding.columns)
    lines = []
    for image, row in table.rows.items():
        for one in encoding.numeric:
            try:
                number(row[one.column])
            except ValueError as error:
                lines.append(f"{path}, line {table.lines[image]}: {one.column} {error}")
    if lines:
        raise UserError(*lines[:SHOWN])
    ids = ids_of_images.tie([image.as_posix() for image in images], table)
    most = experiment.dataset.max_pixels
    ids_of_images.refuse_namesakes(ids, images, Path(), table, most)
    return GivenMetadata(encoding, table, dict(zip(images, ids, strict=True)))
