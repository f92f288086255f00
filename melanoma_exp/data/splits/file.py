"""A split read from a CSV."""

from typing import Literal

import numpy as np

from melanoma_exp.data.layouts import csv_text
from melanoma_exp.data.samples import Parts, Samples
from melanoma_exp.data.splits.base import Split
from melanoma_exp.spec import UserError, UserPath
from melanoma_exp.system.shown import from_cell


class File(Split):
    """A split from elsewhere: a CSV with the columns `id` and `part`.

    A part is train, val, test or unused. The `split.csv` of any honest run is one.
    """

    kind: Literal["file"]
    path: UserPath

    def apply(self, samples: Samples) -> Parts:
        """Divides all samples into train, val and test.

        Raises:
            UserError: The file cannot be read, names unknown images, misses some, names one
                twice, has an unknown part, or cuts a group.
        """
        where = self._read()
        known = set(map(str, samples.source))
        problems = [
            (sorted(set(where) - known), "names images that the dataset does not have"),
            (sorted(known - set(where)), "misses images of the dataset"),
        ]
        part = np.array([where.get(str(s), "") for s in samples.source], dtype=str)
        for name, others in (("train", ("val", "test")), ("val", ("test",))):
            shared = np.isin(samples.group, samples.group[part == name]) & np.isin(part, others)
            problems.append((sorted(map(str, samples.source[shared])), f"cuts groups of {name} at"))
        lines = [
            f"{self.path}: {what}: {', '.join(ids[:3])}{' …' * (len(ids) > 3)} ({len(ids)} images)"
            for ids, what in problems
            if ids
        ]
        if lines:
            raise UserError(*lines)
        return Parts(*(samples.take(part == name) for name in ("train", "val", "test")))

    def _read(self) -> dict[str, str]:
        where: dict[str, str] = {}
        for row in csv_text.read(self.path, ["id", "part"]):
            cells = {name: from_cell(text) for name, text in row.cells.items()}
            line, image, part = row.line, cells.get("id"), cells.get("part")
            if image and image.startswith(f"{cells.get('source')}#"):
                continue  # a synthetic child of a logged split: balancing makes its own
            if not image or part not in ("train", "val", "test", "unused"):
                raise UserError(
                    f"{self.path}, line {line}: expected an id and a part train, val, test or "
                    f"unused, got id={image!r} part={part!r}"
                )
            if image in where:
                raise UserError(f"{self.path}, line {line}: {image} is named twice")
            where[image] = part
        return where
