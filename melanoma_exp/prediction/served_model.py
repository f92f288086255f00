"""What `mlflow models serve` runs: bytes of a JPEG or PNG in, probabilities and alert out.

MLflow keeps a copy of this file with the logged model and runs the copy when the model is loaded.
It only names what the installed package does, so nothing is pickled; the package must be installed
where the model is served. docs/serving.md has the signature and an example.
"""

import threading
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.pyfunc import PythonModel

from melanoma_exp.prediction import saved_model
from melanoma_exp.prediction.predict import judge
from melanoma_exp.prediction.worklist import record
from melanoma_exp.report.console import DISCLAIMER

LARGEST = 32 * 2**20  # bytes of an image
MOST = 256  # images a request


class ServedModel(PythonModel):
    """Answers one record an image, in the order of the images."""

    def load_context(self, context: Any) -> None:
        """Builds the network and reads its weights, once a process."""
        files = {name: Path(path) for name, path in context.artifacts.items()}
        self._saved = saved_model.load("served", files)
        self._one_at_a_time = threading.Lock()

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: Any = None
    ) -> list[dict[str, Any]]:
        """Returns a list of records; one that could not be read has only `error` and `notice`.

        Args:
            context: MLflow's.
            model_input: A data frame with a column `image` of bytes.
            params: None are known.
        """
        contents = list(model_input["image"])
        if len(contents) > MOST:
            raise mlflow.exceptions.MlflowException.invalid_parameter_value(
                f"at most {MOST} images a request (got {len(contents)})"
            )
        decoded = [self._decoded(content) for content in contents]
        good = [image for image in decoded if not isinstance(image, str)]
        judged = iter(self._judged(good))
        return [
            {"error": one, "notice": DISCLAIMER} if isinstance(one, str) else next(judged)
            for one in decoded
        ]

    def _decoded(self, content: Any) -> np.ndarray | str:
        """Returns the pixels, or why there are none."""
        if not isinstance(content, bytes):
            return "expected the bytes of a JPEG or PNG image, base64 in JSON"
        if len(content) > LARGEST:
            return f"{len(content)} bytes are over the limit of {LARGEST} for one image"
        try:
            return self._saved.decode(content)
        except Exception as error:  # a damaged image can make a decoder raise anything
            return str(error) or type(error).__name__

    def _judged(self, images: list[np.ndarray]) -> list[dict[str, Any]]:
        if not images:
            return []
        with self._one_at_a_time:
            predictions = judge(self._saved, [Path()] * len(images), np.stack(images))
        return [
            {**record(p, self._saved.classes), "error": None, "notice": DISCLAIMER}
            for p in predictions
        ]


mlflow.models.set_model(ServedModel())
