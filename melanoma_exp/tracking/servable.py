"""Writes the model of a run to a folder, in the form that `mlflow models serve` takes."""

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
    "simplejpeg",
    "ai-edge-litert",
)
# Fields of the record of an image; if it is unreadable, all but `error` and `notice` are absent.
RECORD: dict[str, Any] = {
    "advice": "string",
    "alert": "boolean",
    "alert_probability": "double",
    "unsure": "boolean",
    "unusual": "string",
    "predicted": "string",
    "probabilities": Map(DataType.double),
    "error": "string",
    "notice": "string",
}


def write(folder: Path, code: Path, files: Mapping[str, Path], columns: Mapping[str, str]) -> None:
    """Writes a model that takes bytes of images, and maybe metadata, and returns records.

    Args:
        folder: Created here.
        code: The module that predicts.
        files: The files it reads, by name.
        columns: The types of what it takes beside images, by name; all are optional.
    """
    record: list[Any] = [
        ColSpec(kind, name, required=name == "notice") for name, kind in RECORD.items()
    ]
    inputs: list[Any] = [ColSpec("binary", "image")]
    inputs += [ColSpec(kind, name, required=False) for name, kind in columns.items()]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*An input example", UserWarning)
        warnings.filterwarnings("ignore", ".*Add type hints", UserWarning)
        mlflow.pyfunc.save_model(
            folder,
            python_model=str(code),
            artifacts={name: str(path) for name, path in files.items()},
            signature=ModelSignature(Schema(inputs), Schema(record)),
            # Without this MLflow imports the model in a subprocess to guess: 15 to 20 seconds.
            pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
        )
