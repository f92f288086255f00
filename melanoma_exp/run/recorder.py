"""What a run leaves behind: parameters, tags, tables, figures, predictions and the model."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from melanoma_exp.config import Experiment
from melanoma_exp.data.datamodule import DataModule
from melanoma_exp.data.samples import Samples
from melanoma_exp.evaluation import gradcam_examples, out_of_distribution_fit
from melanoma_exp.evaluation.evaluate import PartEvaluation, evaluate
from melanoma_exp.evaluation.logits import predict_logits
from melanoma_exp.evaluation.metrics import summary
from melanoma_exp.evaluation.metrics.decision import Decision
from melanoma_exp.evaluation.out_of_distribution import sample
from melanoma_exp.models import flops
from melanoma_exp.prediction import manifest
from melanoma_exp.report import figures, model_card, results
from melanoma_exp.report.artifacts import Artifacts
from melanoma_exp.run import data_figures, model_files, origin
from melanoma_exp.system import provenance
from melanoma_exp.system.extensions import record
from melanoma_exp.tracking.base import Run

if TYPE_CHECKING:
    import keras


Predictor = Callable[[str, Samples], NDArray[np.float64]]
Show = Callable[[Decision, Mapping[str, Mapping[str, float]]], None]


class Recorder:
    """Writes everything a researcher expects of one run.

    Attributes:
        decision: Made on validation; None until it finished.
    """

    _trains = True

    def __init__(
        self,
        run: Run,
        experiment: Experiment,
        datamodule: DataModule,
        folder: Path,
        show: Show | None = None,
    ) -> None:
        """Prepares the recorder.

        Args:
            run: Where to.
            experiment: What is run.
            datamodule: Its data.
            folder: A folder for files on their way to the run.
            show: Called with the decision and the metrics of each part as soon as they are known;
                the rest of the record takes seconds.
        """
        self._show = show
        self.decision: Decision | None = None
        self._run, self._experiment, self._datamodule = run, experiment, datamodule
        self._files = Artifacts(run, folder, experiment.evaluation.figures)
        # Also needed at the end, which another process may reach than the one that began.
        text = experiment.to_json()
        (folder / "experiment.json").write_text(text, encoding="utf-8")
        self._mark = "leaky" if datamodule.leaky else ""

    def start(self, model: "keras.Model") -> None:
        """Records what is known before training, so that a killed run can be understood too."""
        experiment, datamodule = self._experiment, self._datamodule
        parts, data = datamodule.parts, datamodule.data
        self._run.log_file(self._files.folder / "experiment.json")
        for name, text in record.sources(experiment.extend).items():
            self._files.text(name, text)
        self._files.text("split.csv", parts.to_csv(data.samples))
        lines: list[str] = []
        model.summary(print_fn=lambda line, **_: lines.append(line), line_length=100)
        self._files.text("model_summary.txt", "\n".join(lines) + "\n")
        if data.skipped:
            self._files.text("skipped_files.txt", "\n".join(data.skipped) + "\n")
        for path in datamodule.audit.files:
            self._run.log_file(path)
        touched = {f"data.{name}": count for name, count in data.affected.items()}
        self._run.log_params({**self._params(), **touched})
        self._run.set_tags(
            {
                "dataset_digest": data.digest,
                "split_digest": datamodule.split_digest,
                "plan_digest": datamodule.plan.digest,
                "config_digest": experiment.digest,
                "leaky": str(datamodule.leaky).lower(),
                **provenance.collect(),
            }
        )
        cost, views = flops.measure(model), experiment.inference.count(*datamodule.image_shape[:2])
        if cost.uncounted:
            self._run.set_tags({"flops_without": ", ".join(cost.uncounted)})
        counts = {f"{name}_images": len(part) for name, part in parts.items()}
        self._run.log_metrics(
            {
                **datamodule.leak,
                **counts,
                "synthetic_images": int((parts.train.copy > 0).sum()),
                "skipped_files": len(data.skipped),
                "flops_per_image": views * cost.flops,
                "parameters": cost.parameters,
            }
        )
        origin.record(self._run, experiment.dataset, data.digest, counts)
        policy = experiment.augment if self._trains else None
        data_figures.record(self._files, datamodule, policy, experiment.seed)

    def _params(self) -> dict[str, Any]:
        return self._experiment.flat()

    def log_epoch(self, metrics: Mapping[str, float], epoch: int) -> None:
        """Logs the metrics of an epoch, which counts from 1."""
        self._run.log_metrics(metrics, epoch)

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        """Logs metrics of the run as a whole."""
        self._run.log_metrics(metrics)

    def finish(
        self, model: "keras.Model", history: Mapping[str, list[float]]
    ) -> dict[str, dict[str, float]]:
        """Saves the model, evaluates it and records what it is worth.

        The weights come first, then what predictions need: nothing that can fail, such as a figure
        or the card, stands between training and a model that can be used.

        Args:
            model: The trained network, of Keras' own layers and without an optimizer. Its weights
                are saved and Grad-CAM explains it; predictions are of the views of `inference`.
            history: For each metric its value in every epoch.

        Returns:
            For val and test their metrics.

        Raises:
            UserError: The model's output is not finite.
        """
        experiment, data = self._experiment, self._datamodule
        weights = self._files.folder / manifest.WEIGHTS
        model.save_weights(weights)
        self._run.log_file(weights)
        decision, evaluations = self._evaluate(model)
        self.decision = decision
        scores = {name: summary.flat(part.metrics) for name, part in evaluations.items()}
        if self._show:
            self._show(decision, scores)
        model_files.record(self._run, self._files.folder, experiment, data, model, decision)
        flat = {f"final/{name}/{key}": v for name, s in scores.items() for key, v in s.items()}
        prior = decision.prior_correction
        tau = {"final/prior_tau": prior.tau} if prior else {}
        self._run.log_metrics({**flat, "final/temperature": decision.temperature, **tau})
        if history:
            self._files.figure("curves", lambda: figures.curves(dict(history), self._mark))
        scores = self._record_parts(model, evaluations, decision, scores)
        self._files.text("model_card.md", self._card(evaluations, decision, history))
        return scores

    def _card(
        self,
        evaluations: Mapping[str, PartEvaluation],
        decision: Decision,
        history: Mapping[str, list[float]],
    ) -> str:
        epochs = len(next(iter(history.values())))
        return model_card.write(self._experiment, self._datamodule, evaluations, decision, epochs)

    def _evaluate(self, model: "keras.Model") -> tuple[Decision, dict[str, PartEvaluation]]:
        """Returns the decision made on validation, and every part evaluated with it."""
        experiment, parts = self._experiment, self._datamodule.parts
        predict = self._predictor(model)
        logits = {
            name: (part, predict(name, part)) for name, part in parts.items()[1:] if len(part)
        }
        alerts, metadata = self._datamodule.alerts, self._datamodule.data.metadata
        decision, evaluations = evaluate(
            logits,
            alerts,
            metadata,
            experiment.evaluation,
            experiment.inference.prior_correction,
            self._class_shares(),
            experiment.dataset.drawn,
        )
        return replace(decision, out_of_distribution=self._out_of_distribution()), evaluations

    def _predictor(self, model: "keras.Model") -> Predictor:
        """Returns what gives the logits float64 (n, c) of a part, by its name and rows."""
        experiment, reader = self._experiment, self._datamodule.reader
        views = experiment.inference.count(*self._datamodule.image_shape[:2])
        batch_size = max(experiment.train.batch_size // views, 1)  # all views are one batch
        viewed = experiment.inference.wrap(model)
        return lambda name, part: predict_logits(viewed, part, reader, batch_size)

    def _class_shares(self) -> Mapping[str, float]:
        """Returns by class its share of what training saw."""
        return self._datamodule.plan.class_shares

    def _record_parts(
        self,
        model: "keras.Model",
        evaluations: Mapping[str, PartEvaluation],
        decision: Decision,
        scores: dict[str, dict[str, float]],
    ) -> dict[str, dict[str, float]]:
        """Keeps tables and figures of each part; returns the scores with what Grad-CAM adds."""
        files, data, mark = self._files, self._datamodule, self._mark
        spec = self._experiment.evaluation
        for name, part in evaluations.items():
            results.record(files, name, part, data, spec, mark)
        name, part = list(evaluations.items())[-1]  # test, where there is one
        results.record_worth(files, name, part, spec, mark)
        if not spec.explained:
            return scores
        explained = self._experiment.model.gradcam_network(model)
        seen = gradcam_examples.compute(
            explained,
            self._experiment.model.gradcam_layer(explained),
            part,
            decision,
            data.reader,
            spec.explained,
            spec.seed,
        )
        results.record_explained(files, name, part, seen, data, mark)
        added = {"grad_cam_random_rank_correlation": seen.mean_correlation}
        self._run.log_metrics({f"final/{name}/{key}": value for key, value in added.items()})
        return {**scores, name: {**scores[name], **added}}

    def _out_of_distribution(self) -> dict[str, Any] | None:
        """Returns the fitted out-of-distribution score, None with too few images."""
        val = self._datamodule.parts.val
        parts = self._datamodule.unbalanced, val.take(val.copy == 0)
        train, val_images = (
            self._datamodule.reader.read(part.take(sample(len(part)))) for part in parts
        )
        fitted = out_of_distribution_fit.fit(train, val_images)
        return fitted.to_dict() if fitted else None
