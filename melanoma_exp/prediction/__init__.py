"""Predictions of a finished run: a worklist, a page, a served model, exported files.

No module here trains, and nothing here executes code from a run's artifacts: the network is built
from the run's `experiment.json` and its weights are loaded from `model.weights.h5`.
"""
