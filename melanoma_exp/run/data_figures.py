"""The figures of a run's data: an image of each class, class counts, and what a policy draws."""

import numpy as np

from melanoma_exp.augment.base import Policy
from melanoma_exp.data.datamodule import DataModule
from melanoma_exp.report import figures
from melanoma_exp.report.artifacts import Artifacts
from melanoma_exp.system.randomness import Purpose, generator

PREVIEWED, DRAWS = 4, 6  # originals in the preview of a policy, and draws of each


def record(files: Artifacts, datamodule: DataModule, policy: Policy | None, seed: int) -> None:
    """Saves the figures.

    Args:
        files: Where to.
        datamodule: The data.
        policy: Whose draws are previewed; None previews none.
        seed: The run's.
    """
    originals, classes = datamodule.unbalanced, datamodule.classes
    _, first = np.unique(originals.label, return_index=True)
    shown = originals.take(first)
    images = datamodule.reader.read(shown)
    files.figure("examples", lambda: figures.examples(images, shown.label, classes))
    planned = datamodule.plan.samples.counts()
    files.figure("class_counts", lambda: figures.class_counts(classes, originals.counts(), planned))
    if policy is not None and policy.kind != "none":
        some = images[np.linspace(0, len(images) - 1, min(PREVIEWED, len(images))).astype(int)]
        files.figure(
            "augmentation",
            lambda: figures.augmentation_preview(some, _draws(some, policy, seed)),
        )


def _draws(originals: np.ndarray, policy: Policy, seed: int) -> np.ndarray:
    """Returns what the policy makes of originals (n, h, w, 3), uint8 (n, DRAWS, h, w, 3)."""
    return np.array(
        [
            [policy.draw(i, generator(seed, Purpose.FIGURE, n, k)) for k in range(DRAWS)]
            for n, i in enumerate(originals)
        ]
    )
