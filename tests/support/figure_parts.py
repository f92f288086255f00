"""Images and figures to draw from, and what a drawn one says."""

from pathlib import Path

import numpy as np
import yaml
from matplotlib.figure import Figure
from matplotlib.text import Text

from melanoma_exp.evaluation.config import Evaluation
from melanoma_exp.evaluation.metrics import part_metrics, threshold
from melanoma_exp.evaluation.metrics.interval import Bootstrap

ROOT = Path(__file__).parents[2]


NINE = [
    "actinic keratosis",
    "basal cell carcinoma",
    "dermatofibroma",
    "melanoma",
    "nevus",
    "pigmented benign keratosis",
    "seborrheic keratosis",
    "squamous cell carcinoma",
    "vascular lesion",
]


def pictures(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)


def texts(figure: Figure) -> list[str]:
    found = [text.get_text() for text in figure.findobj(Text)]
    return [" ".join(text.split()) for text in found if text.strip()]


def worth(images: int) -> part_metrics.PartMetrics:
    """Of a model that knows something, or of a single image."""
    spec = Evaluation.model_validate(
        yaml.safe_load((ROOT / "conf/evaluation/default.yaml").read_text())
    ).model_copy(update={"resamples": 100})
    random = np.random.default_rng(0)
    truth = random.integers(0, 9, 90)
    logits = random.normal(size=(90, 9)) + 2 * np.eye(9)[truth]
    draws = [Bootstrap(np.array([f"g{k}" for k in range(n)]), 100, 1, 0.95) for n in (90, images)]
    alerts = {"melanoma": ("melanoma",), "malignant": ("melanoma", "squamous cell carcinoma")}
    decisions = threshold.decide(logits, truth, NINE, alerts, spec.threshold, draws[0])
    return part_metrics.compute(
        logits[:images], truth[:images], NINE, [{}] * images, decisions, spec, draws[1]
    )
