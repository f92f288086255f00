"""Where a run is recorded: the options of the group and the MLflow code behind them."""

import os
from typing import Annotated

from pydantic import Field

from melanoma_exp.tracking.local import Local
from melanoma_exp.tracking.off import Off
from melanoma_exp.tracking.server import Server

# MLflow sends usage data to its makers unless this is set before it is imported; without a network
# that also delays the end of every process.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

AnyTracking = Annotated[Local | Server | Off, Field(discriminator="kind")]
