"""Imported once by the process that jobs are forked from; imports what every job needs.

TensorFlow is not used here: its devices, threads and memory belong to the jobs. A module that
cannot be imported is left to the jobs, whose logs then say why.
"""

import contextlib
import importlib
import os
import sys

from melanoma_exp.training.process import use_onednn

MODULES = (
    "cv2",
    "tensorflow",
    "keras",
    "sklearn.metrics",
    "matplotlib.backends.backend_agg",
    "git",
    "mlflow.pyfunc",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.system_metrics.system_metrics_monitor",
    "melanoma_exp.run.runner",
    "melanoma_exp.run.recorder",
    "melanoma_exp.training.fit",
    "melanoma_exp.training.optim",
    "melanoma_exp.tracking.mlflow_run",
    "melanoma_exp.tracking.archive",
    "melanoma_exp.sweep.job",
    "melanoma_exp.models.cnn",
    "melanoma_exp.data.listing",
    "melanoma_exp.demo.lesions",
    "melanoma_exp.data.duplicates.fingerprints",
    "Augmentor",
)


def _import_quietly() -> None:
    """Imports; what libraries print about missing GPUs is dropped."""
    use_onednn()
    sys.stderr.flush()
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        for name in MODULES:
            with contextlib.suppress(Exception):
                importlib.import_module(name)
        with contextlib.suppress(Exception):
            # A second of CPU that every process which opens a store would spend; opens nothing.
            importlib.import_module("sqlalchemy.orm").configure_mappers()
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


_import_quietly()
