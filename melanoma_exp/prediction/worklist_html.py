"""The worklist as one self-contained HTML page with pictures and Grad-CAM maps."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console

from melanoma_exp.data.image_file import open_rgb, read_unchanged
from melanoma_exp.evaluation.gradcam import grad_cam
from melanoma_exp.prediction import terminal
from melanoma_exp.prediction.predict import BATCH, Prediction
from melanoma_exp.prediction.saved_model import SavedKerasModel
from melanoma_exp.prediction.worklist import Worklist, write_text
from melanoma_exp.report.console import DISCLAIMER
from melanoma_exp.spec import UserError
from melanoma_exp.system.html import data_uri, templates

SHOWN = 200  # images with pictures; more would make the page too heavy for a mail
SIDE = 320  # pixels of the longer side of a picture
MAP_SIDE = 200  # of a map, which is no finer
CLASSES = 3  # that are named: the predicted one, then the most probable ones


@dataclass(frozen=True)
class Card:
    """One image on the page.

    Pictures are data URIs, the first of the file itself, the map over what the network saw of it.
    Both are "" where the file is no longer what was predicted, the map also where the network has
    none.
    """

    rank: int
    prediction: Prediction
    picture: str
    map: str
    top: tuple[tuple[str, float], ...]


def write(path: Path, worklist: Worklist, saved: SavedKerasModel, console: Console) -> None:
    """Writes the page.

    Args:
        path: The file.
        worklist: What it shows; pictures for the first `SHOWN`.
        saved: The run.
        console: Shows the progress of the pictures.

    Raises:
        UserError: The file cannot be written.
    """
    shown = worklist.predictions[:SHOWN]
    cards: list[Card] = []
    with terminal.progress_bar(console, "pictures", len(shown)) as update:
        for start in range(0, len(shown), BATCH):
            cards += _cards(shown[start : start + BATCH], start, saved)
            update(len(cards))
    text = (
        templates(Path(__file__).parent)
        .get_template("worklist.html.j2")
        .render(
            worklist=worklist,
            decision=saved.decision,
            cards=cards,
            rest=len(worklist.predictions) - len(shown),
            summary=terminal.summary(worklist),
            folder=terminal.common_folder(worklist),
            notice=DISCLAIMER,
        )
    )
    write_text(path, text)


def _cards(predictions: Sequence[Prediction], before: int, saved: SavedKerasModel) -> list[Card]:
    read = [_content(p, saved) for p in predictions]
    same = [k for k, content in enumerate(read) if content]
    pictures = dict.fromkeys(range(len(read)), ("", ""))
    most = saved.experiment.dataset.max_pixels
    if same:
        images = np.stack([saved.decode(read[k]) for k in same])
        maps = _maps([predictions[k] for k in same], saved, images)
        for row, k in enumerate(same):
            heat = data_uri(_overlaid(images[row], maps[row]), MAP_SIDE) if len(maps) else ""
            original = open_rgb(read[k], most, (2 * SIDE, 2 * SIDE))
            pictures[k] = data_uri(original, SIDE), heat
    return [
        Card(
            before + k + 1,
            p,
            *pictures[k],
            tuple(
                (saved.classes[c], p.probabilities[c]) for c in _named(p, saved.classes)[:CLASSES]
            ),
        )
        for k, p in enumerate(predictions)
    ]


def _content(prediction: Prediction, saved: SavedKerasModel) -> bytes:
    """Returns the file that was predicted, b"" where it has changed since."""
    most = saved.experiment.dataset.max_pixels
    try:
        return read_unchanged(prediction.path, prediction.sha256, most)
    except UserError:
        return b""


def _named(prediction: Prediction, classes: Sequence[str]) -> list[int]:
    """Returns the classes by falling probability, the predicted one first."""
    order = np.argsort(-np.array(prediction.probabilities)).tolist()
    return sorted(order, key=lambda k: classes[k] != prediction.predicted)


def _maps(
    predictions: Sequence[Prediction], saved: SavedKerasModel, images: np.ndarray
) -> np.ndarray | tuple[()]:
    """Returns Grad-CAM maps float (n, h, w), none for a network without feature maps."""
    model = saved.experiment.model
    explained = model.gradcam_network(saved.trained)
    try:
        layer = model.gradcam_layer(explained)
    except UserError:
        return ()
    classes = np.array([_explained(p, saved) for p in predictions])
    metadata = saved.encode([p.metadata for p in predictions])
    return grad_cam(explained, layer, images, classes, metadata)


def _explained(prediction: Prediction, saved: SavedKerasModel) -> int:
    """Returns the class to explain: the most probable alerted one, if there is any."""
    wanted = [k for k, name in enumerate(saved.classes) if name in saved.decision.positive]
    return max(wanted or range(len(saved.classes)), key=lambda k: prediction.probabilities[k])


def _overlaid(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    colours = cv2.applyColorMap((255 * heat).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    return (0.5 * image + 0.5 * colours).astype(np.uint8)
