"""What a run leaves behind: parameters, tags, tables, figures, predictions and the model."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from melanoma_exp import prediction
from melanoma_exp.config import Experiment
from melanoma_exp.data.datamodule import DataModule
from melanoma_exp.data.loader import Loader
from melanoma_exp.evaluation import gradcam_examples, out_of_distribution
from melanoma_exp.evaluation.evaluate import alerts_of, evaluate
from melanoma_exp.evaluation.logits import predict_logits
from melanoma_exp.evaluation.metrics import summary
from melanoma_exp.prediction import manifest, saved_model
from melanoma_exp.prediction.manifest import Manifest
from melanoma_exp.report import figures, model_card, results
from melanoma_exp.report.artifacts import Artifacts
from melanoma_exp.system import provenance
from melanoma_exp.system.randomness import Purpose, generator
from melanoma_exp.tracking.base import Run

if TYPE_CHECKING:
    import keras


PREVIEWED, DRAWS = 4, 6  # originals in the preview of a policy, and draws of each


class Record:
    """Writes everything a researcher expects of one run."""

    def __init__(
        self, run: Run, experiment: Experiment, datamodule: DataModule, place: Path
    ) -> None:
        """Prepares the record.

        Args:
            run: Where to.
            experiment: What is run.
            datamodule: Its data.
            place: A folder for files on their way to the run.
        """
        self._run, self._experiment, self._material = run, experiment, datamodule
        self._files = Artifacts(run, place, experiment.evaluation.figures)
        # Also needed at the end, which another process may reach than the one that began.
        text = experiment.model_dump_json(indent=2)
        (place / "experiment.json").write_text(text, encoding="utf-8")
        self._classes = datamodule.parts.train.classes
        self._mark = "leaky" if datamodule.leaky else ""

    def beginning(self, model: "keras.Model", loader: Loader) -> None:
        """Records what is known before training, so that a killed run can be understood too."""
        experiment, datamodule = self._experiment, self._material
        parts, data = datamodule.parts, datamodule.data
        self._run.log_file(self._files.place / "experiment.json")
        self._files.text("split.csv", parts.to_csv(data.samples))
        lines: list[str] = []
        model.summary(print_fn=lambda line, **_: lines.append(line), line_length=100)
        self._files.text("model_summary.txt", "\n".join(lines) + "\n")
        if data.skipped:
            self._files.text("skipped_files.txt", "\n".join(data.skipped) + "\n")
        for path in datamodule.audit.files:
            self._run.log_file(path)
        touched = {f"data.{name}": count for name, count in data.touched.items()}
        self._run.log_params({**experiment.flat(), **touched})
        self._run.set_tags(
            {
                "dataset_digest": data.digest,
                "split_digest": parts.digest,
                "config_digest": experiment.digest,
                "leaky": str(datamodule.leaky).lower(),
                **provenance.collect(),
            }
        )
        counts = {f"{name}_images": len(part) for name, part in parts.items()}
        self._run.log_metrics(
            {
                **datamodule.leak,
                **counts,
                "synthetic_images": int((parts.train.copy > 0).sum()),
                "skipped_files": len(data.skipped),
                "parameters": model.count_params(),
            }
        )
        source = str(getattr(experiment.dataset, "root", None) or "generated")
        self._run.log_dataset(experiment.dataset.kind, data.digest, source, counts)
        self._figures_of_data(loader)

    def ending(
        self, model: "keras.Model", history: Mapping[str, list[float]]
    ) -> dict[str, dict[str, float]]:
        """Evaluates, records the results and returns the figures of each part.

        Args:
            model: The trained network, of Keras' own layers and without an optimizer.
            history: For each figure its value in every epoch.

        Raises:
            UserError: The model's output is not finite.
        """
        files, reader, experiment = self._files, self._material.reader, self._experiment
        files.figure("curves", lambda: figures.curves(dict(history), self._mark))
        weights = files.place / manifest.WEIGHTS
        model.save_weights(weights)
        self._run.log_file(weights)
        batch_size = experiment.train.batch_size
        logits = {
            name: (part, predict_logits(model, part, reader, batch_size))
            for name, part in self._material.parts.items()[1:]
            if len(part)
        }
        spec = experiment.evaluation
        alerts = alerts_of(experiment.dataset)
        decision, evaluations = evaluate(logits, alerts, self._material.data.metadata, spec)
        decision = replace(decision, out_of_distribution=self._out_of_distribution())
        files.text("decision.json", decision.to_json())
        files.text(manifest.NAME, Manifest.of(self._classes, weights).to_json())
        scores = {name: summary.flat(part.metrics) for name, part in evaluations.items()}
        for name, part in evaluations.items():
            results.record(files, name, part, self._material, spec, self._mark)
        name, part = list(evaluations.items())[-1]  # test, where there is one
        results.record_worth(files, name, part, spec, self._mark)
        if spec.explained:
            seen = gradcam_examples.compute(
                model, part, decision, reader, spec.explained, spec.seed
            )
            results.record_explained(files, name, part, seen, self._material, self._mark)
            scores[name]["grad_cam_random_rank_correlation"] = seen.mean_correlation
        flat = {f"final/{name}/{key}": v for name, s in scores.items() for key, v in s.items()}
        flat["final/temperature"] = decision.temperature
        self._run.log_metrics(flat)
        epochs = len(next(iter(history.values())))
        card = model_card.write(experiment, self._material, evaluations, decision, epochs)
        files.text("model_card.md", card)
        kept_files = {name: files.place / name for name in saved_model.FILES}
        self._run.log_model(Path(prediction.__file__).with_name("served_model.py"), kept_files)
        return scores

    def _out_of_distribution(self) -> dict[str, Any] | None:
        """Returns the fitted out-of-distribution score, None with too few images."""
        val = self._material.parts.val
        parts = self._material.unbalanced, val.take(val.copy == 0)
        train, val_images = (
            self._material.reader.read(part.take(out_of_distribution.sample(len(part))))
            for part in parts
        )
        fitted = out_of_distribution.fit(train, val_images)
        return fitted.to_dict() if fitted else None

    def _figures_of_data(self, loader: Loader) -> None:
        datamodule = self._material
        originals = datamodule.unbalanced
        _, first = np.unique(originals.label, return_index=True)
        shown = originals.take(first)
        images = datamodule.reader.read(shown)
        self._files.figure("examples", lambda: figures.examples(images, shown.label, self._classes))
        self._files.figure(
            "class_counts",
            lambda: figures.class_counts(
                self._classes, originals.counts(), loader.samples.counts()
            ),
        )
        if self._experiment.augment.kind != "none":
            some = images[np.linspace(0, len(images) - 1, min(PREVIEWED, len(images))).astype(int)]
            self._files.figure(
                "augmentation", lambda: figures.augmentation_preview(some, self._draws(some))
            )

    def _draws(self, originals: np.ndarray) -> np.ndarray:
        """Returns what the policy makes of originals (n, h, w, 3), uint8 (n, DRAWS, h, w, 3)."""
        policy, seed = self._experiment.augment, self._experiment.seed
        return np.array(
            [
                [policy.draw(i, generator(seed, Purpose.FIGURE, n, k)) for k in range(DRAWS)]
                for n, i in enumerate(originals)
            ]
        )
