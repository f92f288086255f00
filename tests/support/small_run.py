"""A run small enough for tests: its command line, its experiment and what MLflow kept of it."""

from pathlib import Path
from typing import Any

from melanoma_exp import config
from melanoma_exp.cli import compose
from melanoma_exp.system.installation import conf_folder

SMALL = [
    "dataset=folder",
    "dataset.image_size=[16,16]",
    "model=m3",
    "model.filters=[[4],[8]]",
    "model.dense=[8]",
    "train.epochs=2",
    "train.batch_size=8",
    "evaluation.figures=false",
    "evaluation.report=false",
    "evaluation.explained=0",
    "evaluation.resamples=100",
]
JUDGED = [
    "evaluation.figures=true",
    "evaluation.report=true",
    "evaluation.explained=6",
    "evaluation.resamples=2000",
]
CHILDREN = ["augment=augmentor", "balance.count=6"]


def overrides(images: Path, place: Path, *more: str) -> list[str]:
    tracking = [] if "tracking=off" in more else [f"tracking.folder={place / 'mlruns'}"]
    return [*SMALL, f"dataset.root={images}", f"cache.dir={place / 'cache'}", *tracking, *more]


def experiment(images: Path, place: Path, *more: str) -> config.Experiment:
    return config.parse(compose.compose(conf_folder(), overrides(images, place, *more)))


def store(place: Path) -> Any:
    import mlflow

    return mlflow.MlflowClient(f"sqlite:///{place}/mlruns/mlflow.db")


def runs(place: Path) -> list[Any]:
    client = store(place)
    return client.search_runs([e.experiment_id for e in client.search_experiments()])
