"""Runs as they lie in a store, written at once: real configs and tables, drawn predictions."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.entities import Metric, Param, RunTag
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from melanoma_exp import config
from melanoma_exp.cli import compose
from melanoma_exp.cli.commands.compare import compare
from melanoma_exp.comparison import build, selection
from melanoma_exp.system.installation import conf_folder
from melanoma_exp.tracking.archive import Archive
from melanoma_exp.tracking.local import create_store

CLASSES = ("melanoma", "naevus", "other")


def images(n: int, classes: int, seed: int, prefix: str = "image") -> tuple[list[str], Any, Any]:
    """Returns ids, groups (a third of them pairs) and labels."""
    random = np.random.default_rng(seed)
    ids = [f"{prefix}{k:04d}.jpg" for k in range(n)]
    groups = np.array([f"{prefix}{k - (k % 6 == 1):04d}" for k in range(n)])
    return ids, groups, random.integers(0, classes, n)


def answers(label: Any, skill: float, classes: int, seed: int) -> Any:
    """Returns probabilities (n, classes) that are right about as often as `skill` says."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(len(label), classes))
    logits[np.arange(len(label)), label] += 4.0 * skill
    chance = np.exp(logits)
    return np.round(chance / chance.sum(axis=1, keepdims=True), 8)


def headline(label: Any, chance: Any, melanoma: int) -> dict[str, float]:
    """Returns the figures that a comparison shows, by the names a run gives them."""
    guess, sick = chance.argmax(axis=1), label == melanoma
    area = (
        roc_auc_score(label == k, chance[:, k])
        for k in range(chance.shape[1])
        if 0 < (label == k).sum() < len(label)
    )
    return {
        "accuracy": float((guess == label).mean()),
        "balanced_accuracy": float(balanced_accuracy_score(label, guess)),
        "macro_auc": float(np.mean(list(area))),
        "melanoma_sensitivity": float((guess[sick] == melanoma).mean()),
        "melanoma_specificity": float((guess[~sick] != melanoma).mean()),
    }


@dataclass
class Store:
    """A local store that runs are written into."""

    folder: Path
    experiment: str = "melanoma_exp"
    _composed: dict[tuple[str, ...], Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Makes the store and its experiment."""
        self.uri = f"sqlite:///{self.folder}/mlflow.db"
        create_store(self.folder)
        self.client = mlflow.MlflowClient(self.uri)
        artifacts = (self.folder / "artifacts").absolute().as_uri()
        self._place = self.client.create_experiment(self.experiment, artifacts)

    def write(
        self,
        *overrides: str,
        skill: float = 0.5,
        seed: int = 1,
        draw: int | None = None,
        parts: dict[str, tuple[list[str], Any, Any]] | None = None,
        classes: Sequence[str] = CLASSES,
        name: str | None = None,
        status: str = "FINISHED",
        epochs: int = 3,
        leak: float = 0.0,
        tags: dict[str, str] | None = None,
    ) -> str:
        """Writes one run and returns its id."""
        if overrides not in self._composed:
            composed = compose.compose(conf_folder(), list(overrides))
            self._composed[overrides] = config.parse(composed)
        experiment = self._composed[overrides].model_copy(update={"seed": seed})
        run = self.client.create_run(self._place, run_name=name or experiment.run_name)
        run_id = run.info.run_id
        folder = Path(run.info.artifact_uri.removeprefix("file://"))
        folder.mkdir(parents=True)
        (folder / "experiment.json").write_text(experiment.to_json())
        final: dict[str, float] = {}
        for part, (ids, groups, label) in (parts or PARTS).items():
            chance = answers(label, skill, len(classes), (draw or seed) * 7 + len(part))
            self._tables(folder, part, ids, groups, label, chance, classes)
            scores = headline(label, chance, classes.index("melanoma"))
            final |= {f"final/{part}/{key}": value for key, value in scores.items()}
            final[f"{part}_images"] = len(ids)
        curve = [
            Metric(key, value + step * slope, 0, step)
            for step in range(1, epochs + 1)
            for key, value, slope in (
                ("train/accuracy", 0.3, 0.5 / epochs),
                ("val/accuracy", 0.3, 0.2 / epochs),
                ("train/loss", 2.0, -1.5 / epochs),
                ("val/loss", 2.0, -0.5 / epochs),
                ("images_per_second", 50.0 + step, 0.0),
            )
        ]
        final |= {
            "train_images": 100,
            "synthetic_images": 0,
            "parameters": 1000,
            "flops_per_image": 2_500_000,
            "seconds/fit": 60.0 + seed,
            "leak/val_rows_with_train_source": leak,
        }
        tagged = {
            "leaky": str(leak > 0).lower(),
            "dataset_digest": "d" * 16,
            "git_commit": "c" * 40,
            **(tags or {}),
        }
        params = [Param(key, str(value)) for key, value in experiment.flat().items()]
        last = [Metric(key, value, 0, 0) for key, value in final.items() if value == value]
        self.client.log_batch(
            run_id,
            metrics=[*curve, *last],
            params=params,
            tags=[RunTag(key, value) for key, value in tagged.items()],
        )
        self.client.set_terminated(run_id, status) if status != "RUNNING" else None
        return run_id

    def artifact(self, run_id: str, name: str) -> Path:
        """Returns the path of an artifact."""
        return self.folder / "artifacts" / run_id / "artifacts" / name

    @staticmethod
    def _tables(
        folder: Path, part: str, ids: Any, groups: Any, label: Any, chance: Any, classes: Any
    ) -> None:
        with (folder / f"predictions_{part}.csv").open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["id", "source", "group", "label", "predicted", *classes, "age"])
            for k, name in enumerate(ids):
                start = [name, name, groups[k], classes[label[k]], classes[chance[k].argmax()]]
                writer.writerow([*start, *(f"{p:.8f}" for p in chance[k]), "60"])
        text = "class,images\n" + "".join(f"{name},1\n" for name in classes)
        (folder / f"classes_{part}.csv").write_text(text)


PARTS = {"val": images(120, 3, 0), "test": images(60, 3, 1, "test")}
SWEEP = "2026-01-01/10-00-00"


def write_sweep(store: Store) -> list[str]:
    """Writes three setups by three seeds, one far better, and a leaky run that looks best."""
    tags = {"sweep": SWEEP}
    ids = [
        store.write(f"model.dropout={rate}", skill=skill, seed=seed, tags=tags)
        for rate, skill in ((0.1, 0.2), (0.2, 0.9), (0.3, 0.25))
        for seed in (1, 2, 3)
    ]
    return [*ids, store.write("split=published", skill=3.0, leak=0.88, tags=tags)]


def compared(store: Store, out: Path, *words: str) -> str:
    """Compares by the command line's verb and returns the page."""
    compare([*words, f"tracking.folder={store.folder}", "--out", str(out)])
    return (out / "comparison.html").read_text()


def built(
    store: Store, ids: list[str], by: str = "balanced_accuracy", reference: str | None = None
) -> build.Comparison:
    """Compares named runs."""
    archive = Archive(store.uri, store.experiment, store.folder / "spool")
    chosen = selection.by_ids(archive, ids)
    return build.build(archive, chosen, named=True, by=by, reference=reference)
