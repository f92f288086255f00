"""`model.json`: what must be known beside `experiment.json` to use a run's weights."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from melanoma_exp.data.inputs.encoding import Encoding
from melanoma_exp.spec import UserError, validate_json
from melanoma_exp.system.files import read_named, sha256

NAME, WEIGHTS = "model.json", "model.weights.h5"
EXPERIMENT, DECISION = "experiment.json", "decision.json"
LIGHT = "model.tflite"  # the network as `light` reads it


@dataclass(frozen=True)
class Manifest:
    """The classes of the logits, in their order, and the SHA-256 of each file that belongs to them.

    Attributes:
        classes: In the order of the logits.
        weights_sha256: Of `model.weights.h5`.
        experiment_sha256: Of `experiment.json`; None in files of earlier versions.
        decision_sha256: Of `decision.json`; None likewise.
        metadata: How the second input is made; None where the network takes images alone.
        light_sha256: Of `model.tflite`; None where the network has no such form, and in files of
            earlier versions.
    """

    classes: tuple[str, ...]
    weights_sha256: str
    experiment_sha256: str | None = None
    decision_sha256: str | None = None
    metadata: Encoding | None = None
    light_sha256: str | None = None

    @classmethod
    def of(
        cls, classes: tuple[str, ...], files: Mapping[str, Path], metadata: Encoding | None = None
    ) -> "Manifest":
        """Describes files, by their names; there may be no `model.tflite`."""
        weights, experiment, decision = (
            sha256(files[name]) for name in (WEIGHTS, EXPERIMENT, DECISION)
        )
        light = sha256(files[LIGHT]) if LIGHT in files else None
        return cls(classes, weights, experiment, decision, metadata, light)

    @classmethod
    def read(cls, path: Path) -> "Manifest":
        """Reads a `model.json`.

        Raises:
            UserError: It cannot be read or is damaged.
        """
        return validate_json(cls, read_named(path), path)

    def to_json(self) -> str:
        """Returns the text that `read` reads."""
        return TypeAdapter(Manifest).dump_json(self, indent=2, exclude_none=True).decode() + "\n"

    def check_weights(self, path: Path) -> None:
        """Compares a file of weights with what the run recorded.

        Raises:
            UserError: They differ, or it cannot be read.
        """
        try:
            found = sha256(path)
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
        _compare(path, found, self.weights_sha256)

    def read_light(self, path: Path) -> bytes:
        """Returns the content of `model.tflite`, as the run recorded it.

        Raises:
            UserError: It is another, or cannot be read.
        """
        content = read_named(path, 2**31)
        _compare(path, hashlib.sha256(content).hexdigest(), self.light_sha256 or "none")
        return content

    def read_text(self, name: str, path: Path) -> str:
        """Returns the text of `experiment.json` or `decision.json`, as the run recorded it.

        Args:
            name: Which of them.
            path: Where it lies.

        Raises:
            UserError: It is another, or cannot be read.
        """
        content = read_named(path)
        recorded = {EXPERIMENT: self.experiment_sha256, DECISION: self.decision_sha256}[name]
        if recorded is not None:
            _compare(path, hashlib.sha256(content).hexdigest(), recorded)
        return content.decode(errors="replace")  # the reader of the text refuses what is damaged


def _compare(path: Path, found: str, recorded: str) -> None:
    if found != recorded:
        raise UserError(
            f"{path}: is not the file this run wrote (SHA-256 {found[:12]}…, recorded "
            f"{recorded[:12]}…); restore it or train again"
        )
