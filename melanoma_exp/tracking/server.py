"""Runs on an MLflow server."""

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from melanoma_exp.tracking.mlflow_tracking import MlflowTracking
from melanoma_exp.tracking.store import DEFAULT_FOLDER


class Server(MlflowTracking):
    """An MLflow server, or any other tracking URI that MLflow knows.

    A run continues while the server is unreachable; its record waits below `mlruns/spool`.
    """

    kind: Literal["server"]
    uri: str = Field(min_length=1)

    @field_validator("uri")
    @classmethod
    def _hold_no_password(cls, uri: str) -> str:
        if urlsplit(uri).password is not None:
            raise ValueError(
                "should hold no password, for the config is logged; set MLFLOW_TRACKING_USERNAME "
                "and MLFLOW_TRACKING_PASSWORD instead"
            )
        return uri

    def check(self) -> None:
        """Connects; see the base class."""
        from melanoma_exp.tracking.connection import connect

        connect(self.uri)

    def state_folder(self, folder: Path) -> Path:
        """Returns where unfinished runs keep their checkpoints: on this machine."""
        return DEFAULT_FOLDER / "checkpoints"

    def storage_overrides(self) -> list[str]:
        """Returns the option and its address."""
        return ["tracking=server", f"tracking.uri={self.uri}"]

    def describe(self) -> str:
        """Returns the tracking URI."""
        return self.uri
