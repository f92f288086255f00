"""System metrics: how busy the machine is while a run lasts."""

from collections.abc import Callable, Mapping
from contextlib import suppress

from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

from melanoma_exp.spec import UserError
from melanoma_exp.tracking.mlflow_store import SAMPLED

INTERVAL = 5  # seconds


class Sampler(SystemMetricsMonitor):
    """MLflow's readings of processors, memory, disk and network, logged by the run itself.

    MLflow's own thread asks the server before each reading and ends at the first that fails.
    """

    def __init__(
        self, run_id: str, log: Callable[[Mapping[str, float], int], None], resumed: bool
    ) -> None:
        """Prepares; `start` begins sampling and `finish` ends it.

        Args:
            run_id: Of the run.
            log: Logs readings and their step.
            resumed: Whether to number them after the readings that the run has.
        """
        super().__init__(run_id, INTERVAL, resume_logging=resumed)
        self._log = log

    def monitor(self) -> None:
        """Samples until it is asked to end, or nothing can be logged."""
        with suppress(UserError):  # the run itself meets the same error and reports it
            while not self._shutdown_event.is_set():
                self.collect_metrics()
                if not self._shutdown_event.wait(self.sampling_interval):
                    self.publish_metrics(self.aggregate_metrics())

    def publish_metrics(self, metrics: Mapping[str, float]) -> None:
        """Logs one reading of each device."""
        self._log(
            {f"{SAMPLED}{name}": value for name, value in metrics.items()}, self._logging_step
        )
        self._logging_step += 1
        for monitor in self.monitors:
            monitor.clear_metrics()
