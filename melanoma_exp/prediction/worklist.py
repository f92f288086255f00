"""The sorted list of predictions as CSV and JSON."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melanoma_exp.prediction.predict import Prediction, UnreadableFile
from melanoma_exp.prediction.saved_model import SavedModel
from melanoma_exp.report.console import DISCLAIMER
from melanoma_exp.spec import UserError
from melanoma_exp.system.files import write
from melanoma_exp.system.shown import TableWriter

SUFFIXES = (".csv", ".json")


@dataclass(frozen=True)
class Worklist:
    """The predictions of a run for a set of images, the most urgent first.

    Attributes:
        run_id: Of the run.
        run_name: As tables show it.
        classes: In the order of `Prediction.probability`.
        name: Of the alerted class, "melanoma" or "malignant".
        threshold: Of the alert; None where the run has none.
        sentence: What the alert did on the run's validation images.
        doubts: Reasons not to believe it, a line each.
        predictions: Alerts first, then by falling probability.
        unreadable: Files that could not be read.
    """

    run_id: str
    run_name: str
    classes: tuple[str, ...]
    name: str
    threshold: float | None
    sentence: str
    doubts: tuple[str, ...]
    predictions: tuple[Prediction, ...]
    unreadable: tuple[UnreadableFile, ...]

    @classmethod
    def of(
        cls,
        run_id: str,
        saved: SavedModel,
        predictions: Sequence[Prediction],
        unreadable: Sequence[UnreadableFile],
    ) -> "Worklist":
        """Sorts predictions; equal ones keep the order of their files."""
        decision = saved.decision
        first = sorted(predictions, key=lambda p: (not p.alert, -(p.alert_probability or 0.0)))
        return cls(
            run_id,
            saved.name,
            saved.classes,
            decision.name,
            decision.threshold,
            decision.sentence,
            tuple(decision.doubts),
            tuple(first),
            tuple(unreadable),
        )

    def to_csv(self) -> str:
        """Returns a row an image; files that could not be read come last, with the reason."""
        text = io.StringIO()
        writer = TableWriter(text)
        shares = [f"calibrated {name}" for name in self.classes]
        heads = "path advice alert alert_probability unsure predicted unusual".split()
        writer.writerow([*heads, *shares, "error", "run", "notice", "validation"])
        validation = " ".join((*self.doubts, self.sentence))
        for p in self.predictions:
            writer.writerow(
                [
                    p.path,
                    p.advice,
                    _word(p.alert),
                    "" if p.alert_probability is None else f"{p.alert_probability:.8f}",
                    _word(p.unsure),
                    p.predicted,
                    p.unusual or "",
                    *(f"{share:.8f}" for share in p.probabilities),
                    "",
                    self.run_id,
                    DISCLAIMER,
                    validation,
                ]
            )
        empty = [""] * (len(shares) + 6)
        for bad in self.unreadable:
            writer.writerow([bad.path, *empty, bad.reason, self.run_id, DISCLAIMER, validation])
        return text.getvalue()

    def to_json(self) -> str:
        """Returns one object: the run, its images and the files that could not be read."""
        content = {
            "validation": self.sentence,
            "doubts": list(self.doubts),
            "notice": DISCLAIMER,
            "run": self.run_id,
            "run_name": self.run_name,
            "alerted_class": self.name,
            "threshold": self.threshold,
            "probability": "calibrated",
            "images": [
                {"path": str(p.path), **to_record(p, self.classes)} for p in self.predictions
            ],
            "unreadable": [{"path": str(u.path), "reason": u.reason} for u in self.unreadable],
        }
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        return text.encode(errors="backslashreplace").decode()  # a name may be no UTF-8

    def write(self, path: Path) -> None:
        """Writes CSV or JSON, by the suffix; the file appears whole or not at all.

        Raises:
            UserError: The file cannot be written.
        """
        write_text(path, self.to_csv() if path.suffix.lower() == ".csv" else self.to_json())


def to_record(prediction: Prediction, classes: Sequence[str]) -> dict[str, Any]:
    """Returns a prediction without its path as plain values for JSON."""
    return {
        "advice": prediction.advice,
        "alert": prediction.alert,
        "alert_probability": prediction.alert_probability,
        "unsure": prediction.unsure,
        "unusual": prediction.unusual,
        "predicted": prediction.predicted,
        "probabilities": dict(zip(classes, prediction.probabilities, strict=True)),
    }


def write_text(path: Path, text: str) -> None:
    """Writes a text file, whole or not at all.

    Raises:
        UserError: It cannot be written.
    """
    try:
        write(path, text)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from error


def _word(value: bool | None) -> str:
    return "" if value is None else str(value).lower()
