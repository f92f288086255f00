"""Imported once by the process that jobs are forked from; imports what every job needs.

Nothing of TensorFlow is used here: devices, threads and memory come into being in the jobs. A
module that cannot be imported is left to the jobs, which tell why in their logs.
"""

import contextlib
import importlib
import os
import sys

MODULES = (
    "cv2", "tensorflow", "keras", "mlflow.pyfunc", "sklearn.metrics", "matplotlib.figure",
    "melanoma_exp.runner", "melanoma_exp.recording", "melanoma_exp.training.fit",
    "melanoma_exp.training.compile", "melanoma_exp.tracking.mlflow_run",
    "melanoma_exp.tracking.archive",
)  # fmt: skip


def _import_quietly() -> None:
    """Imports; what libraries write of missing GPUs goes nowhere."""
    sys.stderr.flush()
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        for name in MODULES:
            with contextlib.suppress(Exception):
                importlib.import_module(name)
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


_import_quietly()
