"""What the evaluation of a run on another set leaves behind."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from melanoma_exp.config import Experiment
from melanoma_exp.data.datamodule import DataModule
from melanoma_exp.data.samples import Samples
from melanoma_exp.evaluation import out_of_distribution
from melanoma_exp.evaluation.evaluate import PartEvaluation, apply
from melanoma_exp.evaluation.metrics import summary
from melanoma_exp.evaluation.metrics.decision import Decision
from melanoma_exp.evaluation.out_of_distribution import OutOfDistribution
from melanoma_exp.report import external_html
from melanoma_exp.report.external_screen import ClassRow
from melanoma_exp.run import origin
from melanoma_exp.run.external.class_map import LEFT_OUT, Mapped
from melanoma_exp.run.external.overlap import REASONS, Overlap
from melanoma_exp.run.recorder import Recorder
from melanoma_exp.system import provenance
from melanoma_exp.tracking.archive import EVALUATION_OF, StoredRun
from melanoma_exp.tracking.base import Run

if TYPE_CHECKING:
    import keras

PART = "external"


@dataclass(frozen=True)
class Judged:
    """A run and what it is judged on.

    Attributes:
        stored: The run, as the store has it.
        weights_sha256: Of its weights.
        decisions: Its own, one for each alert.
        own: Its own evaluations, the content of `evaluation_<part>.json` by part.
        found: All images of the set, with the set's classes.
        mapped: By class of the set the run's.
        rows: Those whose class the run knows, with the run's classes.
        overlap: Of `rows`.
        keep_overlap: Whether images that the run has seen are judged too.
    """

    stored: StoredRun
    weights_sha256: str
    decisions: list[Decision]
    own: Mapping[str, Mapping[str, Any]]
    found: Samples
    mapped: Mapping[str, Mapped]
    rows: Samples
    overlap: Overlap
    keep_overlap: bool

    @property
    def part(self) -> Samples:
        """The images that are judged."""
        return self.rows if self.keep_overlap else self.rows.take(~self.overlap.seen)

    @property
    def counts(self) -> dict[str, int]:
        """How many images there are, are left out, and why; by the names of metrics."""
        seen = int(self.overlap.seen.sum())
        return {
            "external/images_found": len(self.found),
            "external/images_left_out_by_class": len(self.found) - len(self.rows),
            "external/images_left_out_by_overlap": 0 if self.keep_overlap else seen,
            "external/images": len(self.part),
            "overlap/images": seen,
            **{f"overlap/{key}": count for key, count in self.overlap.counts().items()},
            "overlap/with_validation_alone": int(self.overlap.validation_only.sum()),
            "overlap/with_test": int(self.overlap.tested.sum()),
        }

    def classes(self) -> list[ClassRow]:
        """Returns a row for each class of the set that has an image."""
        total, rows = self.found.counts(), {}
        where = np.isin(self.found.source, self.rows.source[self.overlap.seen])
        for name, one in self.mapped.items():
            label = self.found.classes.index(name)
            images, seen = int(total[label]), int((where & (self.found.label == label)).sum())
            judged = images if self.keep_overlap else images - seen
            rows[name] = ClassRow(
                name, one.target, one.why, images, seen, judged * (one.target != LEFT_OUT)
            )
        return list(rows.values())

    def table(self) -> Iterator[list[str]]:
        """Yields for each image of the set its class, the run's, and whether it is judged."""
        reasons = dict(zip(map(str, self.rows.source), self.overlap.reason.tolist(), strict=True))
        for source, group, label in zip(
            self.found.source, self.found.group, self.found.label, strict=True
        ):
            name, reason = self.found.classes[label], reasons.get(str(source))
            judged = reason is not None and (self.keep_overlap or not reason)
            target = "" if reason is None else self.mapped[name].target
            yield [str(source), str(group), name, target, str(judged).lower(), reason or ""]


class ExternalRecorder(Recorder):
    """Judges a network on another set with the decisions of its run, and records that alone."""

    _trains = False

    def __init__(
        self,
        run: Run,
        experiment: Experiment,
        datamodule: DataModule,
        folder: Path,
        judged: Judged,
        ood: OutOfDistribution | None,
    ) -> None:
        """Prepares the recorder.

        Args:
            run: Where to.
            experiment: The judged run's, with the other set as its dataset.
            datamodule: The set; its test part is what is judged.
            folder: A folder for files on their way to the run.
            judged: The run and what it is judged on.
            ood: Its score of unusual images, None where it has none.
        """
        super().__init__(run, experiment, datamodule, folder)
        self._judged, self._ood = judged, ood

    def start(self, model: "keras.Model") -> None:
        """Records the set, the class map and the overlap."""
        judged, data, experiment = self._judged, self._datamodule.data, self._experiment
        stored, targets = judged.stored, {k: one.target for k, one in judged.mapped.items()}
        dataset = {k: v for k, v in experiment.flat().items() if k.startswith("dataset.")}
        settings = {
            EVALUATION_OF: stored.id,
            "weights_sha256": judged.weights_sha256,
            "dataset_digest": data.digest,
            "dataset": experiment.dataset.model_dump(mode="json"),
            "classes": {k: {"is": m.target, "why": m.why} for k, m in judged.mapped.items()},
            "keep_overlap": judged.keep_overlap,
            "overlap_by_pixels": judged.overlap.by_pixels,
            "counts": judged.counts,
        }
        self._files.text("judged.json", json.dumps(settings, indent=1) + "\n")
        heads = ["id", "group", "label", "class_of_the_run", "judged", "overlap"]
        self._files.table("external.csv", heads, judged.table())
        if data.skipped:
            self._files.text("skipped_files.txt", "\n".join(data.skipped) + "\n")
        for path in self._datamodule.audit.files:
            self._run.log_file(path)
        self._run.log_params({**dataset, "classes": json.dumps(targets), EVALUATION_OF: stored.id})
        note = (
            f"Run {stored.name} ({stored.id}) judged on {experiment.dataset.kind}, digest "
            f"{data.digest}: {len(judged.part)} images. Nothing was trained.\n"
        )
        self._run.set_tags(
            {
                EVALUATION_OF: stored.id,
                "mlflow.parentRunId": stored.id,
                "mlflow.note.content": note,
                "dataset_digest": data.digest,
                "overlap": "kept" if judged.keep_overlap else "left out",
                "overlap_by": "ids, pixels, pictures, lesions"
                if judged.overlap.by_pixels
                else "names",
                "leaky": str(self._datamodule.leaky).lower(),
                **provenance.collect(),
            }
        )
        self._run.log_metrics({**judged.counts, **self._datamodule.leak})
        counts = {"external_images": len(judged.part)}
        origin.record(self._run, experiment.dataset, data.digest, counts)

    def finish(
        self, model: "keras.Model", history: Mapping[str, list[float]]
    ) -> dict[str, dict[str, float]]:
        """Judges the set and records every figure, beside those of the run's own parts.

        Args:
            model: The run's network, without views.
            history: Of no epoch.

        Returns:
            The metrics of the set.
        """
        judged, data, spec = self._judged, self._datamodule.data, self._experiment.evaluation
        rows = self._datamodule.parts.test
        logits = self._predictor(model)(PART, rows)
        part = apply(judged.decisions, rows, logits, data.metadata, spec)
        scores = {PART: summary.flat(part.metrics)}
        unusual = self._unusual(rows)
        self._run.log_metrics(
            {
                **{f"final/{PART}/{key}": value for key, value in scores[PART].items()},
                **({} if unusual is None else {"external/out_of_distribution": unusual}),
            }
        )
        scores = self._record_parts(model, {PART: part}, judged.decisions[0], scores)
        self._files.text("external.html", self._page(part, unusual))
        return scores

    def _unusual(self, rows: Samples) -> float | None:
        """Returns the share of images unlike those of the run's training, None where unknown."""
        if self._ood is None:
            return None
        some = rows.take(out_of_distribution.sample(len(rows)))
        far = self._ood.distance(self._datamodule.reader.read(some)) > self._ood.limit
        return float(np.mean(far))

    def _page(self, part: PartEvaluation, unusual: float | None) -> str:
        judged, spec = self._judged, self._experiment.evaluation
        content = json.loads(summary.to_json(part.metrics, PART, spec))
        return external_html.render(
            run=(judged.stored.id, judged.stored.name),
            dataset=(self._experiment.dataset.kind, self._datamodule.data.digest),
            mapped=[(name, m.target, m.why, m.images) for name, m in judged.mapped.items()],
            counts=judged.counts,
            reasons=REASONS,
            kept=judged.keep_overlap,
            by_pixels=judged.overlap.by_pixels,
            own=judged.own,
            here=content,
            unusual=unusual,
            decision=replace(judged.decisions[0], out_of_distribution=None),
            figures=self._files.folder,
        )
