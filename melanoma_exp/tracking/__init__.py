"""Where a run is recorded: the options of the group and the MLflow code that does the work."""

import os

# MLflow reports its use to its makers unless it is told not to before it is imported; without a
# network that also delays the end of every process.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
