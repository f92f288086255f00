"""What a run leaves behind: parameters, tags, tables, figures, predictions and the model."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from melanoma_exp import figures, metrics, provenance
from melanoma_exp.config import Experiment
from melanoma_exp.material import Material
from melanoma_exp.pipeline import Feed
from melanoma_exp.randomness import Purpose, generator
from melanoma_exp.samples import Samples
from melanoma_exp.tracking.spec import Run

if TYPE_CHECKING:
    import keras


PREVIEWED, DRAWS = 4, 6  # originals in the preview of a policy, and draws of each


class Record:
    """Writes everything a researcher expects of one run."""

    def __init__(self, run: Run, experiment: Experiment, material: Material, place: Path) -> None:
        """Prepares the record.

        Args:
            run: Where to.
            experiment: What is run.
            material: Its data.
            place: A folder for files on their way to the run.
        """
        self._run, self._experiment, self._material = run, experiment, material
        self._place = place
        self._classes = material.parts.train.classes
        self._mark = "leaky" if material.leaky else ""

    def beginning(self, model: "keras.Model", feed: Feed) -> None:
        """Records what is known before training, so that a killed run can be understood too."""
        experiment, material = self._experiment, self._material
        parts, data = material.parts, material.data
        self._text("experiment.json", experiment.model_dump_json(indent=2))
        self._text("split.csv", parts.to_csv(data.samples))
        lines: list[str] = []
        model.summary(print_fn=lambda line, **_: lines.append(line), line_length=100)
        self._text("model_summary.txt", "\n".join(lines) + "\n")
        if data.skipped:
            self._text("skipped_files.txt", "\n".join(data.skipped) + "\n")
        for path in material.audit.files:
            self._run.log_file(path)
        touched = {f"data.{name}": count for name, count in data.touched.items()}
        self._run.log_params({**experiment.flat(), **touched})
        self._run.set_tags(
            {
                "dataset_digest": data.digest,
                "split_digest": parts.digest,
                "config_digest": experiment.digest,
                "leaky": str(material.leaky).lower(),
                **provenance.collect(),
            }
        )
        counts = {f"{name}_images": len(part) for name, part in parts.items()}
        self._run.log_metrics(
            {
                **material.leak,
                **counts,
                "synthetic_images": int((parts.train.copy > 0).sum()),
                "skipped_files": len(data.skipped),
                "parameters": model.count_params(),
            }
        )
        source = str(getattr(experiment.dataset, "root", None) or "generated")
        self._run.log_dataset(experiment.dataset.kind, data.digest, source, counts)
        self._figures_of_data(feed)

    def ending(
        self, model: "keras.Model", history: Mapping[str, list[float]]
    ) -> dict[str, dict[str, float]]:
        """Evaluates, records the results and returns the figures of each part."""
        import keras

        self._figure("curves", figures.curves(dict(history), self._mark))
        # The same layers without the optimizer, whose moments are twice the size of the weights.
        kept = keras.Model(model.inputs, model.outputs, name=model.name)
        weights = self._place / "model.weights.h5"
        kept.save_weights(weights)
        self._run.log_file(weights)
        scores = {}
        parts = self._material.parts
        for name, part in (("val", parts.val), ("test", parts.test)):
            if len(part):
                probability = self._predict(model, part)
                scores[name] = self._scores(part, probability)
                self._tables(name, part, probability)
                self._gallery(name, part, probability)
        flat = {f"final/{name}/{key}": v for name, s in scores.items() for key, v in s.items()}
        self._run.log_metrics(flat)
        self._run.log_model(kept, self._material.reader.read(parts.val.take(np.arange(1))))
        return scores

    def _predict(self, model: "keras.Model", part: Samples) -> np.ndarray:
        """Returns float64 (n, classes), the softmax of the logits."""
        feed = Feed(part, self._material.reader, self._experiment.train.batch_size)
        logits = model.predict(feed.dataset(), verbose=0)
        logits = np.asarray(logits, np.float64)
        exponent = np.exp(logits - logits.max(axis=1, keepdims=True))
        return exponent / exponent.sum(axis=1, keepdims=True)

    def _scores(self, part: Samples, probability: np.ndarray) -> dict[str, float]:
        dataset = self._experiment.dataset
        name = "malignant" if dataset.task == "malignant" else "melanoma"
        wanted = dataset.melanoma if dataset.task == "classes" else (dataset.task,)
        positive = [k for k, c in enumerate(self._classes) if c in wanted]
        return metrics.scores(part.label, probability, positive, name)

    def _tables(self, name: str, part: Samples, probability: np.ndarray) -> None:
        predicted = probability.argmax(axis=1)
        classes = np.array(self._classes)
        metadata = self._material.data.metadata
        extra = sorted({key for s in part.source for key in metadata.get(str(s), {})})
        extra = [key for key in extra if key not in ("label", "predicted", "group", "source")]
        heads = ["id", "source", "group", "label", "predicted"]
        rows = (
            [
                ids, source, group, classes[label], classes[guess],
                *(f"{p:.8f}" for p in chances),
                *(metadata.get(str(source), {}).get(key, "") for key in extra),
            ]
            for ids, source, group, label, guess, chances in zip(
                part.id, part.source, part.group, part.label, predicted, probability, strict=True
            )
        )  # fmt: skip
        self._csv(f"predictions_{name}.csv", [*heads, *self._classes, *extra], rows)
        table = metrics.class_table(part.label, probability)
        columns = (table.support, table.precision, table.recall, table.f1, table.auc)
        self._csv(
            f"classes_{name}.csv",
            ["class", "images", "precision", "recall", "f1", "auc"],
            ([c, *values] for c, *values in zip(self._classes, *columns, strict=True)),
        )
        title = {"val": "Validation", "test": "Test"}[name]
        title += f" ({self._mark})" if self._mark else ""
        self._figure(f"confusion_{name}", figures.confusion(table.confusion, self._classes, title))
        self._figure(
            f"classes_{name}",
            figures.class_scores(self._classes, table.precision, table.recall, table.support),
        )

    def _gallery(self, name: str, part: Samples, probability: np.ndarray) -> None:
        images = self._material.reader.read(part)
        ids = [Path(i).name for i in part.id]
        predicted = probability.argmax(axis=1)
        gallery = figures.mistakes(images, ids, part.label, predicted, probability, self._classes)
        self._figure(f"mistakes_{name}", gallery)

    def _figures_of_data(self, feed: Feed) -> None:
        material, policy = self._material, self._experiment.augment
        originals = material.unbalanced
        _, first = np.unique(originals.label, return_index=True)
        shown = originals.take(first)
        images = material.reader.read(shown)
        self._figure("examples", figures.examples(images, shown.label, self._classes))
        self._figure(
            "class_counts",
            figures.class_counts(self._classes, originals.counts(), feed.samples.counts()),
        )
        if policy.kind != "none":
            some = images[np.linspace(0, len(images) - 1, min(PREVIEWED, len(images))).astype(int)]
            seed = self._experiment.seed
            draws = [
                [policy.draw(i, generator(seed, Purpose.FIGURE, n, k)) for k in range(DRAWS)]
                for n, i in enumerate(some)
            ]
            self._figure("augmentation", figures.augmentation_preview(some, np.array(draws)))

    def _figure(self, name: str, figure: Figure) -> None:
        path = self._place / f"{name}.png"
        figures.save(figure, path)
        self._run.log_file(path, "figures")

    def _text(self, name: str, text: str) -> None:
        path = self._place / name
        path.write_text(text, encoding="utf-8")
        self._run.log_file(path)

    def _csv(self, name: str, heads: list[str], rows: Iterable[Iterable[Any]]) -> None:
        path = self._place / name
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(heads)
            writer.writerows(rows)
        self._run.log_file(path)
