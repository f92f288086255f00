"""The model of a run as `mlflow models serve` takes it, written to a folder."""

import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from mlflow.types.schema import Map

REQUIREMENTS = (
    "tensorflow",
    "keras",
    "numpy",
    "opencv-python-headless",
    "pillow",
    "pydantic",
    "scikit-learn",
)
ANSWER: list[
    Any
] = [  # of the served model, for each image; all but the last two are absent on an error
    ColSpec("string", "advice", required=False),
    ColSpec("boolean", "alert", required=False),
    ColSpec("double", "alert_probability", required=False),
    ColSpec("boolean", "unsure", required=False),
    ColSpec("string", "unusual", required=False),
    ColSpec("string", "predicted", required=False),
    ColSpec(Map(DataType.double), "probabilities", required=False),
    ColSpec("string", "error", required=False),
    ColSpec("string", "notice"),
]


def write(folder: Path, code: Path, files: Mapping[str, Path]) -> None:
    """Writes a model that takes bytes of images and answers records.

    Args:
        folder: Made here.
        code: The module that answers.
        files: What it reads, by name.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*An input example", UserWarning)
        warnings.filterwarnings("ignore", ".*Add type hints", UserWarning)
        mlflow.pyfunc.save_model(
            folder,
            python_model=str(code),
            artifacts={name: str(path) for name, path in files.items()},
            signature=ModelSignature(Schema([ColSpec("binary", "image")]), Schema(ANSWER)),
            # Without this MLflow imports the model in a subprocess to guess: 15 to 20 seconds.
            pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
        )
