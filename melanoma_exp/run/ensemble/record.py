"""What the run of an ensemble leaves behind, where it differs from that of a training."""

import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from melanoma_exp.config import Experiment, determines
from melanoma_exp.data.datamodule import DataModule
from melanoma_exp.data.samples import Samples
from melanoma_exp.evaluation.evaluate import PartEvaluation
from melanoma_exp.evaluation.logits import mean_logits, predict_logits
from melanoma_exp.evaluation.metrics.decision import Decision
from melanoma_exp.models.ensemble import member_network
from melanoma_exp.report import model_card
from melanoma_exp.run.ensemble.members import MemberRun
from melanoma_exp.run.ensemble.scoring import Scoring
from melanoma_exp.run.recorder import Predictor, Recorder
from melanoma_exp.system.files import read_text
from melanoma_exp.system.shown import TableWriter
from melanoma_exp.tracking.base import Run

if TYPE_CHECKING:
    import keras

Progress = Callable[[int], None]


class EnsembleRecorder(Recorder):
    """Scores each image by the members that may, and says which they were."""

    _trains = False

    def __init__(
        self,
        run: Run,
        experiment: Experiment,
        datamodule: DataModule,
        folder: Path,
        members: Sequence[MemberRun],
        scoring: Scoring,
        progress: Progress,
    ) -> None:
        """Prepares the recorder.

        Args:
            run: Where to.
            experiment: The ensemble's.
            datamodule: Its data.
            folder: A folder for files on their way to the run.
            members: In order.
            scoring: Who may score what.
            progress: Called with the number of predictions made so far.
        """
        super().__init__(run, experiment, datamodule, folder)
        self._members, self._scoring, self._progress = members, scoring, progress

    def start(self, model: "keras.Model") -> None:
        """Records what is known before the members predict."""
        super().start(model)
        for k, member in enumerate(self._members, 1):
            text = read_text(member.files["experiment.json"])
            self._files.text(f"members/{k:02}-{member.stored.id}.json", text)
        self._files.text("scoring.csv", scoring_csv(self._scoring))
        scorers = self._scoring.scorers["val"].sum(axis=1)
        names = "".join(f"- {m.stored.name} ({m.stored.id})\n" for m in self._members)
        note = (
            f"Ensemble, the mean probability of {len(self._members)} runs:\n\n{names}\nValidation "
            f"is out of fold, each image by the {self._scoring.fewest_and_most} members that "
            "trained neither on it nor on its group; test is by all members.\n"
        )
        ids = " ".join(m.stored.id for m in self._members)
        self._run.set_tags({"ensemble_of": ids, "mlflow.note.content": note})
        metrics = {"members": len(self._members), "members_per_val_image": float(scorers.mean())}
        for key in ("seconds/fit", "seconds/fit_cpu"):
            spent = [m.stored.metrics.get(key, np.nan) for m in self._members]
            metrics[key] = float(np.sum(spent))
        self._run.log_metrics(metrics)

    def _params(self) -> dict[str, Any]:
        """Returns the flat config without what only some members have in common."""
        flat = super()._params()
        each = [member.experiment.flat() for member in self._members]
        shared = ("augment.", "balance.", "train.")
        differ = {
            k for k in flat if k.startswith(shared) and any(o.get(k) != flat[k] for o in each)
        }
        differ.discard("train.precision")  # the ensemble has its own
        return {k: v for k, v in flat.items() if k not in differ} | {
            "model.members": setups([member.experiment for member in self._members])
        }

    def _evaluate(self, model: "keras.Model") -> tuple[Decision, dict[str, PartEvaluation]]:
        """Returns the decision made on out-of-fold predictions, and every part evaluated."""
        decision, evaluations = super()._evaluate(model)
        counts = {name: scorers.sum(axis=1) for name, scorers in self._scoring.scorers.items()}
        return decision, {
            name: replace(part, members=counts[name]) for name, part in evaluations.items()
        }

    def _predictor(self, model: "keras.Model") -> Predictor:
        """Returns what gives the logits of a part, each row of the members that score it."""

        def predict(name: str, part: Samples) -> NDArray[np.float64]:
            found = np.zeros((len(self._members), len(part), len(part.classes)))
            for k, rows in self._scoring.scored_rows(name):
                if len(rows):
                    member = self._members[k].experiment
                    views = member.inference.count(*member.dataset.image_size)
                    batch_size = max(self._experiment.train.batch_size // views, 1)
                    found[k, rows] = predict_logits(
                        member_network(model, k),
                        part.take(rows),
                        self._datamodule.reader,
                        batch_size,
                    )
                self._progress(len(rows))
            return mean_logits(found, self._scoring.scorers[name])

        return predict

    def _class_shares(self) -> Mapping[str, float]:
        """Returns by class its share of what training saw, the mean over members."""
        corrections = [member.decision.prior_correction for member in self._members]
        each = [one.shares for one in corrections if one is not None]
        classes = self._datamodule.classes
        return {c: float(np.mean([shares[c] for shares in each])) for c in classes} if each else {}

    def _card(
        self,
        evaluations: Mapping[str, PartEvaluation],
        decision: Decision,
        history: Mapping[str, list[float]],
    ) -> str:
        lines = [
            f"member {k}: {m.stored.name}, run {m.stored.id}, {m.experiment.model.name}, seed "
            f"{m.experiment.seed}, split {m.experiment.split.kind}, weights SHA-256 "
            f"{m.manifest.weights_sha256[:12]}…"
            for k, m in enumerate(self._members, 1)
        ]
        counts = self._scoring.scorers["val"].sum(axis=1)
        limits = [
            "Validation is out of fold: an image is scored by the members that trained neither on "
            f"it nor on its group, {self._scoring.fewest_and_most} of {len(self._members)} "
            "(column `members` of the predictions). Members may have chosen their epoch on it.",
        ]
        if counts.min() < len(self._members):
            limits.append(
                "Temperature and threshold are chosen on these means of fewer members. The whole "
                "ensemble averages more, is usually better and less confident: its calibration "
                "and its threshold are estimates, and validation metrics are pessimistic."
            )
        limits.append("One ensemble: training noise between ensembles is not measured.")
        limits.append("Grad-CAM shows one member alone, also on images it trained on.")
        card = self._experiment, self._datamodule, evaluations, decision
        return model_card.write(*card, epochs=0, members=lines, limits=limits)


def scoring_csv(scoring: Scoring) -> str:
    """Returns which members, counted from 1, scored each image of val and test, as CSV."""
    text = io.StringIO()
    writer = TableWriter(text)
    writer.writerow(["id", "group", "part", "members", "scored_by"])
    for part, samples in scoring.parts.items()[1:]:
        for source, group, row in zip(
            samples.source, samples.group, scoring.scorers[part], strict=True
        ):
            numbers = " ".join(str(k + 1) for k in np.flatnonzero(row))
            writer.writerow([source, group, part, int(row.sum()), numbers])
    return text.getvalue()


def setups(members: Sequence[Experiment]) -> str:
    """Returns the setups of an ensemble's members: equal for ensembles that repeat one another.

    The seed of the first member is the ensemble's own, so it is left out of every member that
    shares it: the folds of seed 1 and those of seed 2 make two runs of one setup.

    Args:
        members: With the views and the correction that they have in the ensemble.
    """
    texts: Counter[str] = Counter()
    for member in members:
        settings = {k: v for k, v in member.flat().items() if determines(k)}
        if member.seed == members[0].seed:
            del settings["seed"]
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
        texts[f"{member.model.name} {digest[:12]}"] += 1
    return ", ".join(f"{count} x {text}" for text, count in sorted(texts.items()))
