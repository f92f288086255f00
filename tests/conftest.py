"""What several test files build on: options from `conf/`, tables of rows, the real sets."""

import fcntl
import gc
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import settings
from PIL import Image
from pydantic import TypeAdapter

from melanoma_exp.augment import AnyPolicy
from melanoma_exp.data.balance import AnyBalance
from melanoma_exp.data.datasets import AnyDataset
from melanoma_exp.data.datasets.base import LoadedDataset
from melanoma_exp.data.samples import Samples
from melanoma_exp.data.splits import AnySplit
from melanoma_exp.evaluation.config import Evaluation
from melanoma_exp.tracking import local
from melanoma_exp.training import process

ROOT = Path(__file__).parents[1]
# Where containers forbid bytecode, each process of the suite would compile all modules and rewrite
# the assertions of all tests: 0.2 CPU-s for each command, 3 for each worker.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# A suite in the background of a shell would have all the commands it starts ignore an interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
process.use_onednn()  # as the command line does; a test may be the first to import TensorFlow
GROUPS: dict[str, Any] = {
    "augment": AnyPolicy,
    "balance": AnyBalance,
    "dataset": AnyDataset,
    "evaluation": Evaluation,
    "split": AnySplit,
}

settings.register_profile("suite", derandomize=True, deadline=None, max_examples=60, database=None)
settings.load_profile("suite")


def pytest_collection_finish() -> None:
    """Spares the garbage collector what all tests have imported, which Keras has it go through."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def option() -> Callable[..., Any]:
    """Gives the option `conf/<group>/<name>.yaml` with some values changed."""

    def build(group: str, name: str, **changes: Any) -> Any:
        content = yaml.safe_load((ROOT / "conf" / group / f"{name}.yaml").read_text())
        content = {**content.get(group, content), **changes}
        return TypeAdapter(GROUPS[group]).validate_python(content)

    return build


@pytest.fixture
def folder(option, tmp_path) -> Callable[..., Any]:
    """Gives the dataset spec of `tmp_path/data`, decoded to 8x8."""

    def build(kind: str = "folder", **changes: Any) -> Any:
        given = {"root": tmp_path / "data", "image_size": (8, 8), "resize": "nearest"}
        return option("dataset", kind, **{**given, **changes})

    return build


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Gives a real disk of a size such as `64k`."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(size: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("a small disk can only be mounted by root")
        return place

    yield mount
    if place.is_mount():
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture(scope="session")
def table() -> Callable[..., Samples]:
    """Gives rows with the listed labels; without groups every row is its own."""

    def build(
        labels: Sequence[int],
        groups: Sequence[object] | None = None,
        test: Sequence[bool] | None = None,
        classes: int | None = None,
    ) -> Samples:
        n = len(labels)
        return Samples(
            classes=tuple(f"class{k}" for k in range(classes or max(labels) + 1)),
            image=np.arange(n),
            source=np.array([f"image{k:04d}" for k in range(n)], dtype=str),
            copy=np.zeros(n, np.int64),
            label=np.array(labels, np.int64),
            group=np.array([f"group{g}" for g in (groups or range(n))], dtype=str),
            official=np.where(test or np.zeros(n, bool), "test", "train"),
        )

    return build


@pytest.fixture(scope="session")
def real_folder() -> Callable[[str], Path]:
    """Gives the folder of a real set, or skips the test."""

    def find(name: str) -> Path:
        folder = ROOT.parent / "shared" / "data" / name
        if not folder.is_dir():
            pytest.skip(f"needs the real data in ../shared/data/{name}")
        return folder

    return find


@pytest.fixture(scope="session")
def isic9(real_folder, option, tmp_path_factory) -> LoadedDataset:
    """The real 9-class ISIC set with its lesions, at 16x16."""
    spec = option(
        "dataset", "isic9", root=real_folder("isic9"), csv="metadata.csv", image_size=(16, 16)
    )
    return spec.load(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes a folder once for all processes of the suite; tests only read what is in it."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def make(name: str, fill: Callable[[Path], object]) -> Path:
        place, made = base / f"shared_{name}", base / f"shared_{name}.made"
        with (base / f"shared_{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.exists():
                shutil.rmtree(place, ignore_errors=True)
                place.mkdir()
                fill(place)
                made.touch()
        return place

    return make


@pytest.fixture(scope="session", autouse=True)
def migrated(shared: Callable[..., Path]) -> Iterator[None]:
    """Lets new stores of this process be copies of one; MLflow's migrations take a second each."""
    migrate = local.new_database

    def copy(path: Path) -> None:
        template = shared("store", lambda place: migrate(place / "mlflow.db"))
        shutil.copyfile(template / "mlflow.db", path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "new_database", copy)
        yield


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty-two small pictures of three classes, one folder per class."""
    root = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for label, (name, count) in enumerate({"melanoma": 14, "naevus": 18, "other": 10}.items()):
        (root / name).mkdir()
        for k in range(count):
            pixels = random.integers(0, 90, (20, 24, 3)) + 70 * label
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{name}{k}.png")
    return root


@pytest.fixture(scope="session")
def finished(images: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Path]:
    """One finished run: its place, the MLflow run and its artifacts."""
    from small_run import CHILDREN, JUDGED, experiment, runs

    from melanoma_exp.run import runner

    place = tmp_path_factory.mktemp("finished")
    asked = experiment(images, place, *CHILDREN, *JUDGED)
    runner.run(asked, place, {"asked": "by a test"})
    (run,) = runs(place)
    return place, run, Path(run.info.artifact_uri.removeprefix("file://"))
