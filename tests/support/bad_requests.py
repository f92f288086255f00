"""Requests to the served model that hold no picture, too many, or too large ones."""

from pathlib import Path
from typing import Any
from unittest import mock

import mlflow
import numpy as np
import pandas as pd
from bad_images import png, rows, saved
from bad_inputs import Case

from melanoma_exp.data.decode import decode
from melanoma_exp.prediction import served_model

GOOD = saved()


class Decoder:
    """Of a run's model the part that decodes."""

    encoding = None

    def encode(self, cells: Any) -> np.ndarray:
        return np.zeros(0, np.float32)

    def decode(self, content: bytes) -> np.ndarray:
        return decode(content, (8, 8), "box", 10**8)


def asked(*contents: Any, column: str = "image") -> Case:
    """Returns the answer to the last picture of a request."""

    def given(place: Path) -> str:
        server = served_model.ServedModel()
        with mock.patch.object(served_model.saved_model, "load_light", lambda *_: Decoder()):
            server.load_context(mock.Mock(artifacts={}))
        with mock.patch.object(server, "_predicted", lambda good, _: [{"error": ""}] * len(good)):
            try:
                answers = server.predict(None, pd.DataFrame({column: list(contents)}))
            except mlflow.exceptions.MlflowException as error:
                return f"400: {error.message}"
        assert all(answer.keys() <= {"error", "notice"} for answer in answers)
        return str(answers[-1]["error"])

    return given


CASES: dict[str, Case] = {
    "no bytes": asked(b""),
    "a text": asked("photo.jpg"),
    "a number": asked(7),
    "null": asked(GOOD, None),
    "bytes that are no picture": asked(b"x"),
    "a picture that was cut off and closed": asked(GOOD[:9000] + b"\xff\xd9"),
    "a file of 33 MB": asked(bytes(33 * 2**20)),
    "a picture of 10,000 x 10,000": asked(png(10**4, 10**4, rows(1))),
    "more than 200 million pixels together": asked(*[png(5000, 4900, rows(1))] * 9),
    "257 pictures": asked(*[b"x"] * 257),
}
