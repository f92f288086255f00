"""Real images to check an export on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from melanoma_exp.data.inputs.encoding import Row
from melanoma_exp.data.layouts.image_files import SUFFIXES
from melanoma_exp.prediction import sources
from melanoma_exp.prediction.saved_model import SavedModel
from melanoma_exp.spec import UserError
from melanoma_exp.system import shown
from melanoma_exp.system.extensions.group import Absent

if TYPE_CHECKING:
    from melanoma_exp.tracking.archive import Archive


@dataclass(frozen=True)
class Examples:
    """Images to compare on.

    Attributes:
        images: uint8 (n, h, w, 3), decoded.
        metadata: Of each image text by column, as far as it is known.
        source: Where they are from.
    """

    images: np.ndarray
    metadata: Sequence[Row]
    source: str


def examples(
    saved: SavedModel, archive: "Archive", run_id: str, given: Sequence[Path] | None, most: int
) -> Examples:
    """Returns images to compare on.

    Args:
        saved: The run.
        archive: Where the run is recorded.
        run_id: Of the run.
        given: Paths from the user; None takes the run's own validation images.
        most: At most so many, evenly spread.

    Raises:
        UserError: None can be read.
    """
    if given:
        found: dict[Path, Row] = {path: {} for path in sources.find(given).files}
        source = ", ".join(map(str, given))
    else:
        found, source = _validation(saved, archive, run_id), "the run's own validation images"
    files = list(found)[:: max(len(found) // most, 1)][:most]
    decoded = {path: image for path in files if (image := _read(saved, path)) is not None}
    if not decoded:
        raise UserError(f"export: no readable image among {len(found)} of {source}")
    return Examples(np.stack(list(decoded.values())), [found[path] for path in decoded], source)


def _read(saved: SavedModel, path: Path) -> np.ndarray | None:
    try:
        return saved.decode(path)
    except (OSError, ValueError):
        return None


def _validation(saved: SavedModel, archive: "Archive", run_id: str) -> dict[Path, Row]:
    """Returns the run's validation images with their metadata, looked up by name in its dataset."""
    dataset, cache = saved.experiment.dataset, saved.experiment.cache.root()
    if isinstance(dataset, Absent):
        raise UserError(
            f"export: the dataset {saved.experiment.dataset.kind} is of an extension that is not "
            "loaded; name it with extend=FILE, or images with --images PATH"
        )
    listing = dataset.find(cache)
    paths = dict(zip(map(str, listing.samples.source), listing.paths, strict=True))
    rows = shown.records(archive.text(run_id, "split.csv"))
    wanted = dict.fromkeys(row["source"] for row in rows if row["part"] == "val")
    known = listing.metadata
    found = {paths[name]: known.get(name, {}) for name in wanted if name in paths}
    if not found:
        raise UserError(
            f"export: none of the run's validation images is in its dataset ({dataset.kind}); "
            f"name images ({'/'.join(SUFFIXES)}) with --images PATH"
        )
    return found
