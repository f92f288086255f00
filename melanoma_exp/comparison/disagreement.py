"""Images on which the best rows disagree, the most important first."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from melanoma_exp import config
from melanoma_exp.comparison.pairing import Tested
from melanoma_exp.data.decode import decode
from melanoma_exp.spec import UserError
from melanoma_exp.system.html import data_uri
from melanoma_exp.tracking.archive import Archive

ROWS = 4
SIDE = 120  # pixels of a picture


@dataclass(frozen=True)
class Answer:
    """Prediction of one row: class, and the probabilities of it, of the label and of the alert."""

    letter: str
    predicted: int
    right: bool
    probability: float
    of_truth: float
    of_alert: float


@dataclass(frozen=True)
class Disputed:
    """One image; `picture` is a data URI or empty."""

    id: str
    label: int
    answers: Sequence[Answer]
    picture: str = ""


def find(tested: Tested, positive: Sequence[int], limit: int) -> tuple[int, list[Disputed]]:
    """Finds the images on which the first rows do not agree.

    Order: alerted lesions that one row alerts and another does not; other images where the alert
    differs; the rest. Within each by the difference in the probability of the true class. Several
    runs of a row count by the class most of them predict and their mean probability.

    Args:
        tested: The rows and their predictions.
        positive: Labels of the alerted class.
        limit: How many to return.

    Returns:
        How many there are, and the first of them.
    """
    kept = tested.rows[:ROWS]
    if len(kept) < 2:
        return 0, []
    label, ids = kept[0][1].label, kept[0][1].ids
    probability = np.stack([answers.together for _, answers in kept])  # (rows, n, classes)
    predicted = np.stack([answers.mostly for _, answers in kept])
    n = np.arange(len(label))
    alerted = np.isin(predicted, list(positive))
    of_alert = probability[:, :, list(positive)].sum(axis=2)
    of_truth = probability[:, n, label]
    split = alerted.any(axis=0) != alerted.all(axis=0)
    grave = split * (1 + np.isin(label, list(positive)))
    order = np.lexsort((-np.ptp(of_truth, axis=0), -grave))
    order = order[(predicted != predicted[0]).any(axis=0)[order]]
    disputed = [
        Disputed(
            str(ids[k]),
            int(label[k]),
            [
                Answer(
                    row.letter,
                    int(predicted[r, k]),
                    bool(predicted[r, k] == label[k]),
                    float(probability[r, k, predicted[r, k]]),
                    float(of_truth[r, k]),
                    float(of_alert[r, k]),
                )
                for r, (row, _) in enumerate(kept)
            ],
        )
        for k in order[:limit]
    ]
    return len(order), disputed


def pictures(
    archive: Archive, tested: Tested, ids: Sequence[str], cache: Path
) -> tuple[dict[str, str], str]:
    """Finds the image files of a dataset and returns thumbnails.

    Args:
        archive: Holds the run's config, which names its dataset.
        tested: Its first row's first run names the dataset.
        ids: Of the images.
        cache: Holds generated datasets.

    Returns:
        A data URI for each id that was found; where there are none, the reason.
    """
    try:
        run = tested.rows[0][0].runs[0].stored
        text = archive.text(run, "experiment.json")
        dataset = config.parse_json(text, needs={"dataset"}).dataset
    except UserError as error:
        return {}, f"this version cannot read the run's config ({error.lines[0]})"
    try:
        listing = dataset.find(cache)
    except UserError as error:
        return {}, error.lines[0]
    path_of = {
        str(s): listing.paths[k]
        for s, k in zip(listing.samples.source, listing.samples.image, strict=True)
    }
    found = {}
    for name in ids:
        if name in path_of:
            try:
                pixels = decode(path_of[name], (SIDE, SIDE), "bilinear", dataset.max_pixels)
            except (ValueError, OSError):
                continue
            found[name] = data_uri(pixels, SIDE)
    return found, "" if found else "the dataset's folder has none of these images"
