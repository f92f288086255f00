"""The logits of a trained model for a part of the data."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from melanoma_exp.data.loader import Loader, Reader
from melanoma_exp.data.samples import Samples
from melanoma_exp.spec import UserError

if TYPE_CHECKING:
    import keras


def predict_logits(
    model: "keras.Model", part: Samples, reader: Reader, batch_size: int
) -> NDArray[np.float64]:
    """Returns the model's logits for a part, float64 (n, c).

    Raises:
        UserError: Some are not finite.
    """
    outputs = model.predict(Loader(part, reader, batch_size).dataset(), verbose=0)
    logits = np.asarray(outputs, np.float64)
    check_finite(logits)
    return logits


def mean_logits(logits: NDArray[np.float64], scorers: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Returns the logarithm of the mean probability of some networks, float64 (n, c).

    Args:
        logits: float64 (networks, n, c); what does not count may be anything.
        scorers: bool (n, networks), whose probabilities count for an image; at least one a row.
    """
    counts = scorers.T[..., None]
    top = logits.max(axis=2, keepdims=True)
    chances = logits - top - np.log(np.exp(logits - top).sum(axis=2, keepdims=True))
    chances = np.where(counts, chances, -np.inf)
    best = chances.max(axis=0)
    total = np.exp(chances - best).sum(axis=0)
    mean: NDArray[np.float64] = best + np.log(total / counts.sum(axis=0))
    return mean


def check_weights(model: "keras.Model", source: object) -> None:
    """Rejects a network whose weights are not finite.

    Args:
        model: The network.
        source: The file they are from, for the message.

    Raises:
        UserError: Some are not.
    """
    bad = [one.path for one in model.weights if not np.isfinite(np.asarray(one, np.float32)).all()]
    if bad:
        more = f" and {len(bad) - 1} more" if bad[1:] else ""
        raise UserError(f"{source}: holds weights that are not numbers, in {bad[0]}{more}")


def check_finite(logits: NDArray[np.float64]) -> None:
    """Rejects logits that are not finite.

    Args:
        logits: float64 (n, c).

    Raises:
        UserError: Some are not.
    """
    bad = int((~np.isfinite(logits)).any(axis=1).sum())
    if bad:
        raise UserError(
            f"train: the model's output is not a number for {bad} of {len(logits)} images: "
            "training diverged; lower train.learning_rate or set train.clip_norm=1"
        )
