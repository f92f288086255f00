"""`model.json`: what must be known beside `experiment.json` to use a run's weights."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from melanoma_exp.spec import UserError, validate_json
from melanoma_exp.system.files import sha256

NAME, WEIGHTS = "model.json", "model.weights.h5"


@dataclass(frozen=True)
class Manifest:
    """The classes of the logits, in their order, and the SHA-256 of `model.weights.h5`."""

    classes: tuple[str, ...]
    weights_sha256: str

    @classmethod
    def of(cls, classes: tuple[str, ...], weights: Path) -> "Manifest":
        """Describes a file of weights."""
        return cls(classes, sha256(weights))

    @classmethod
    def read(cls, path: Path) -> "Manifest":
        """Reads a `model.json`.

        Raises:
            UserError: It cannot be read or is damaged.
        """
        try:
            return validate_json(cls, path.read_bytes(), path)
        except OSError as error:
            raise UserError(f"{path}: is damaged: {error}") from None

    def to_json(self) -> str:
        """Returns the text that `read` reads."""
        return TypeAdapter(Manifest).dump_json(self, indent=2).decode() + "\n"

    def check(self, weights: Path) -> None:
        """Compares a file of weights with what the run recorded.

        Raises:
            UserError: They differ.
        """
        found = sha256(weights)
        if found != self.weights_sha256:
            raise UserError(
                f"{weights}: is not the file this run wrote (SHA-256 {found[:12]}…, recorded "
                f"{self.weights_sha256[:12]}…); restore it or train again"
            )
