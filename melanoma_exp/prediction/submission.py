"""The table of predictions that a challenge of the ISIC takes.

Columns and their order are those of the challenges' own instructions: 2018 task 3, 2019 task 1,
2020 and 2024. A table of classes holds plain probabilities, not calibrated ones: dividing logits by
a temperature reorders images, and the record of a run gives the plain ones too. Where a run's
classes are narrower than the challenge's, their probabilities are added.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from melanoma_exp.data import class_names
from melanoma_exp.data.groups import image_id
from melanoma_exp.evaluation.metrics.decision import softmax
from melanoma_exp.prediction.predict import NO_NUMBER, Decoded, UnreadableFile, decoded
from melanoma_exp.prediction.saved_model import SavedModel
from melanoma_exp.prediction.worklist import write_text
from melanoma_exp.spec import UserError
from melanoma_exp.system.shown import TableWriter

KERATOSES = ("benign keratosis", "pigmented benign keratosis", "seborrheic keratosis", "lentigo")
NAMES: Mapping[str, tuple[str, ...]] = {
    "MEL": ("melanoma",),
    "NV": ("nevus", "naevus", "melanocytic nevus", "melanocytic nevi"),
    "BCC": ("basal cell carcinoma",),
    "AK": ("akiec", "actinic keratosis", "actinic keratoses"),
    "AKIEC": ("ak", "actinic keratosis", "actinic keratoses"),
    "BKL": (*KERATOSES, "solar lentigo", "lichen planus like keratosis"),
    "DF": ("dermatofibroma",),
    "VASC": ("vascular lesion", "vascular lesions"),
    "SCC": ("squamous cell carcinoma",),
    "UNK": ("unknown", "none of the others"),
}


@dataclass(frozen=True)
class Challenge:
    """What a challenge asks for.

    Attributes:
        image: The column of image ids.
        codes: The columns of classes; one alone is the probability of an alert.
        alert: Which one, "melanoma" or "malignant"; "" where the columns are classes.
    """

    image: str
    codes: tuple[str, ...]
    alert: str = ""


CHALLENGES = {
    "isic2018": Challenge("image", ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")),
    "isic2019": Challenge("image", ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")),
    "isic2020": Challenge("image_name", ("target",), "melanoma"),
    "isic2024": Challenge("isic_id", ("target",), "malignant"),
}


@dataclass(frozen=True)
class Columns:
    """Which of a run's classes add to which column of a challenge.

    Attributes:
        challenge: The challenge.
        matrix: float64 (classes, columns) of 0 and 1.
        notes: What a reader should know, a line each.
    """

    challenge: Challenge
    matrix: np.ndarray
    notes: tuple[str, ...]


def columns(saved: SavedModel, name: str) -> Columns:
    """Returns the columns that a run fills.

    Args:
        saved: The run.
        name: Of the challenge.

    Raises:
        UserError: A class of the run is in no column, with what was expected, or the run has no
            class that the challenge asks for.
    """
    challenge = CHALLENGES[name]
    if challenge.alert:
        return Columns(challenge, _alert(saved, name, challenge.alert)[:, None], ())
    codes: Mapping[str, Sequence[str]] = getattr(saved.experiment.dataset, "official_classes", {})
    matrix = np.zeros((len(saved.classes), len(challenge.codes)))
    for row, known in enumerate(saved.classes):
        for column, code in enumerate(challenge.codes):
            spelled = {code, *NAMES[code], *codes.get(code, ())}
            matrix[row, column] = class_names.key(known) in map(class_names.key, spelled)
    if lost := [c for c, row in zip(saved.classes, matrix, strict=True) if row.sum() != 1]:
        raise UserError(
            f"--challenge {name}: {', '.join(lost)} of the run is none of its classes "
            f"{', '.join(challenge.codes)}; evaluate the run on a labelled set of the challenge "
            "instead (melanoma-exp evaluate), or train on its classes"
        )
    empty = [c for c, used in zip(challenge.codes, matrix.T, strict=True) if not used.any()]
    notes = [f"the run has no class for {', '.join(empty)}: 0 for every image"] if empty else []
    if saved.decision.prior_correction is not None:
        notes.append(
            "a challenge takes the most probable class; the run's own prior correction is not in it"
        )
    return Columns(challenge, matrix, tuple(notes))


def _alert(saved: SavedModel, name: str, alert: str) -> np.ndarray:
    wanted = getattr(saved.experiment.dataset, alert)
    positive = set(class_names.find(wanted, saved.classes)[0])
    if alert == saved.decision.name:
        positive |= set(saved.decision.positive)
    if not positive:
        raise UserError(
            f"--challenge {name}: asks for the probability of {alert}, and no class of the run is "
            f"that (dataset.{alert} is {', '.join(wanted) or 'empty'}; the classes are "
            f"{', '.join(saved.classes)})"
        )
    return np.array([one in positive for one in saved.classes], np.float64)


def write(
    saved: SavedModel,
    chosen: Columns,
    files: Sequence[Path],
    target: Path,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Writes the table of a challenge for some images.

    Args:
        saved: The run, whose network takes images alone.
        chosen: What it fills.
        files: Images, named by their id.
        target: The CSV.
        progress: Called with the number of files that are done.

    Raises:
        UserError: Two files have one id, or one cannot be read: a challenge takes all images or
            none. A line for each, nothing is written.
    """
    ids = [image_id(path.stem) for path in files]
    first: dict[str, Path] = {}
    lines = [
        f"{path}: has the id {one} of {first[one]}; leave one of them out"
        for one, path in zip(ids, files, strict=True)
        if first.setdefault(one, path) != path
    ]
    if lines:
        raise UserError(*lines)
    text = io.StringIO()
    table = TableWriter(text)
    table.writerow([chosen.challenge.image, *chosen.challenge.codes])
    done = 0
    for batch in decoded(saved, files):
        lines += [f"{one.path}: {one.reason}" for one in batch if isinstance(one, UnreadableFile)]
        good = [one for one in batch if isinstance(one, Decoded)]
        if good and not lines:
            logits = saved.logits(np.stack([one.image for one in good]))
            lines += [
                f"{one.path}: {NO_NUMBER}"
                for one, row in zip(good, logits, strict=True)
                if not np.isfinite(row).all()
            ]
            values = softmax(logits.astype(np.float64)) @ chosen.matrix
            for one, row in zip(good, values, strict=True):
                image = image_id(one.path.stem)
                table.writerow([image, *(f"{min(value, 1.0):.8f}" for value in row)])
        done += len(batch)
        progress(done)
    if lines:
        raise UserError(*lines, f"{target}: not written: a challenge takes all images or none")
    write_text(target, text.getvalue())
