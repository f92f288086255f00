"""What `mlflow models serve` runs: bytes of an image in, probabilities and alert out.

MLflow keeps a copy of this file with the logged model and runs the copy when the model is loaded.
It only calls the installed package, so nothing is pickled; the package must be installed where the
model is served. docs/serving.md has the signature and an example.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.pyfunc import PythonModel

from melanoma_exp.data import image_file
from melanoma_exp.prediction import saved_model
from melanoma_exp.prediction.predict import UnreadableFile, predict_batch
from melanoma_exp.prediction.worklist import to_record
from melanoma_exp.report.console import DISCLAIMER

MAX_BYTES = 32 * 2**20  # of an image
MAX_IMAGES = 256  # in a request
MAX_PIXELS = 25_000_000  # of an image: a small file can hold any number
REQUEST_PIXELS = 200_000_000  # of all images of a request, seconds of work
DECODES = 2  # images that are decoded at once, of all requests to a process


class ServedModel(PythonModel):
    """Returns one record for each image, in order."""

    def load_context(self, context: Any) -> None:
        """Reads the network, once a process."""
        files = {name: Path(path) for name, path in context.artifacts.items()}
        self._saved = saved_model.load_light("served", files)
        self._lock = threading.Lock()
        # Threads of its own: each of the server's many would keep memory of its largest picture.
        self._decoding = ThreadPoolExecutor(DECODES)

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: Any = None
    ) -> list[dict[str, Any]]:
        """Returns a list of records; one that could not be read has only `error` and `notice`.

        Args:
            context: MLflow's.
            model_input: A data frame with a column `image` of bytes, and any of the columns of
                metadata that the network reads; an empty cell is unknown.
            params: Ignored.
        """
        contents = list(model_input["image"])
        if len(contents) > MAX_IMAGES:
            raise mlflow.exceptions.MlflowException.invalid_parameter_value(
                f"at most {MAX_IMAGES} images a request (got {len(contents)})"
            )
        left, rows = REQUEST_PIXELS, self._rows(model_input)
        decoded: list[np.ndarray | str] = []
        for content, row in zip(contents, rows, strict=True):
            image, pixels = self._decoding.submit(self._decoded, content, row, left).result()
            left -= pixels
            decoded.append(image)
        good = [k for k, image in enumerate(decoded) if not isinstance(image, str)]
        predicted = iter(self._predicted([decoded[k] for k in good], [rows[k] for k in good]))
        return [_refused(one) if isinstance(one, str) else next(predicted) for one in decoded]

    def _decoded(
        self, content: Any, row: dict[str, str], left: int
    ) -> tuple[np.ndarray | str, int]:
        """Returns the pixels, or why there are none, and how many had to be decoded for them.

        Args:
            content: An image file.
            row: What is known of it, text by column.
            left: Pixels that the request may still have.
        """
        if not isinstance(content, bytes):
            return "expected the bytes of an image, base64 in JSON", 0
        if len(content) > MAX_BYTES:
            return f"{len(content)} bytes are over the limit of {MAX_BYTES} for one image", 0
        try:
            self._saved.encode([row])
            width, height = image_file.size(content)
            pixels = width * height
            if pixels > MAX_PIXELS:
                limit = f"the server's limit of {MAX_PIXELS} for one image"
                return f"{width}x{height} pixels are over {limit}", 0
            if pixels > left:
                limit = f"{REQUEST_PIXELS} pixels together"
                return f"the images of a request may have {limit}: send this one by itself", 0
        except ValueError as error:
            return str(error), 0
        try:
            return self._saved.decode(content), pixels
        except ValueError as error:
            return str(error), pixels

    def _rows(self, frame: pd.DataFrame) -> list[dict[str, str]]:
        """Returns what is known of each image, text by column."""
        encoding = self._saved.encoding
        known = [] if encoding is None else [c for c in encoding.columns if c in frame]
        cells = {column: frame[column].tolist() for column in known}
        return [
            {column: "" if pd.isna(cells[column][k]) else str(cells[column][k]) for column in known}
            for k in range(len(frame))
        ]

    def _predicted(self, images: list[Any], rows: list[dict[str, str]]) -> list[dict[str, Any]]:
        if not images:
            return []
        decision = self._saved.decision
        with self._lock:
            paths = [Path()] * len(images)
            predictions = predict_batch(self._saved, paths, np.stack(images), rows)
        return [
            _refused(one.reason)
            if isinstance(one, UnreadableFile)
            else {
                "validation": decision.sentence,
                "doubts": decision.doubts,
                **to_record(one, self._saved.classes),
                "error": None,
                "notice": DISCLAIMER,
            }
            for one in predictions
        ]


def _refused(reason: str) -> dict[str, Any]:
    return {"error": reason, "notice": DISCLAIMER}


mlflow.models.set_model(ServedModel())
