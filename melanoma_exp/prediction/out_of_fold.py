"""What the runs of a k-fold sweep say of images that none of them learned from."""

import numpy as np

from melanoma_exp.comparison import predictions, selection
from melanoma_exp.data.audit.label_errors import OutOfFold
from melanoma_exp.spec import UserError
from melanoma_exp.tracking.archive import Archive

FEWEST = 50  # images


def read(archive: Archive, sweep: str) -> OutOfFold:
    """Returns the mean of all predictions of each image, of validation and test parts.

    Args:
        archive: Where the sweep is recorded.
        sweep: Its tag, or the end of it.

    Raises:
        UserError: There is no such sweep, fewer than two of its runs are finished, a run is leaky,
            or its runs differ in classes or labels.
    """
    chosen = selection.by_sweep(archive, sweep)
    name = f"--from-sweep {sweep}"
    if leaky := [run for run in chosen.runs if run.tags["leaky"] != "false"]:
        raise UserError(
            f"{name}: run {leaky[0].id} ({leaky[0].name}) is leaky: it learned from images that it "
            "predicts"
        )
    runs = [predictions.read(archive, run) for run in chosen.runs]
    classes = runs[0].classes
    if other := [run for run in runs if run.classes != classes]:
        raise UserError(
            f"{name}: its runs have different classes: {', '.join(classes)}; and "
            f"{', '.join(other[0].classes)}"
        )
    parts = [part for run in runs for part in run.parts.values()]
    ids, place = np.unique(np.concatenate([part.ids for part in parts]), return_inverse=True)
    label = np.zeros(len(ids), np.int64)
    given = np.concatenate([part.label for part in parts])
    label[place] = given
    if (label[place] != given).any():
        first = ids[place[label[place] != given][0]]
        raise UserError(f"{name}: its runs have different labels (first: {first})")
    if len(ids) < FEWEST:
        raise UserError(f"{name}: predicts {len(ids)} images; {FEWEST} are needed to judge labels")
    total = np.zeros((len(ids), len(classes)))
    np.add.at(total, place, np.concatenate([part.probability for part in parts]))
    return OutOfFold(
        chosen.title.removeprefix("sweep "),
        classes,
        tuple(ids.tolist()),
        label,
        total / np.bincount(place)[:, None],
    )
