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
