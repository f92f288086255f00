"""How busy the machine is while a run lasts."""

from collections.abc import Callable, Mapping
from contextlib import suppress

from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

from melanoma_exp.spec import UserError
from melanoma_exp.tracking.delivery import SAMPLED

INTERVAL = 5  # seconds


class Sampler(SystemMetricsMonitor):
    """MLflow's readings of processors, memory, disk and network, told by the run itself.

    MLflow's own thread asks the server before each reading and ends at the first that fails.
    """

    def __init__(
        self, run_id: str, log: Callable[[Mapping[str, float], int], None], resumed: bool
    ) -> None:
        """Prepares; `start` begins and `finish` ends it.

        Args:
            run_id: Of the run.
            log: Takes readings and their number.
            resumed: Whether to count on from the readings that the run has.
        """
        super().__init__(run_id, INTERVAL, resume_logging=resumed)
        self._log = log

    def monitor(self) -> None:
        """Reads and tells until it is asked to end, or nothing can be told."""
        with suppress(UserError):  # the run itself meets the same and says so
            while not self._shutdown_event.is_set():
                self.collect_metrics()
                if not self._shutdown_event.wait(self.sampling_interval):
                    self.publish_metrics(self.aggregate_metrics())

    def publish_metrics(self, metrics: Mapping[str, float]) -> None:
        """Tells one reading of each device."""
        self._log(
            {f"{SAMPLED}{name}": value for name, value in metrics.items()}, self._logging_step
        )
        self._logging_step += 1
        for monitor in self.monitors:
            monitor.clear_metrics()
