"""Every example, dropped in from outside of the package, goes through the whole main job."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from main_job import ALL_FORMATS, main_job

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
MONITOR = "train.early_stopping.monitor"


# Each test is five commands; on a busy machine they take minutes.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """The examples in a folder of the user's own."""
    return Path(shutil.copytree(EXAMPLES, tmp_path / "lab"))


def recorded(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "experiment.json").read_text())
    return content


def test_a_pre_activation_residual_network(lab: Path, images: Path, tmp_path: Path) -> None:
    small = ["model.widths=[8,16]", "model.blocks=1", "model.groups=4"]
    words = [f"extend={lab}/preact_resnet.py", "model=preact_resnet", *small]
    folder, run = main_job(tmp_path, images, *words, formats=ALL_FORMATS)
    (source,) = recorded(folder)["extend"]
    assert source["kinds"] == ["model=preact_resnet"]
    kept = folder / "extensions" / "preact_resnet.py"
    assert kept.read_text() == (lab / "preact_resnet.py").read_text()
    assert "stages of width 8 16" in (folder / "model_card.md").read_text()
    # 3x3 stem and blocks, 1x1 shortcut and head, by hand: 2 operations a multiply-add.
    maps, half = 16 * 16, 8 * 8
    work = maps * 9 * (3 * 8 + 2 * 8 * 8) + half * (9 * (8 * 16 + 16 * 16) + 8 * 16) + 16 * 3
    assert run.data.metrics["flops_per_image"] == pytest.approx(2 * work, rel=0.02)
    assert len(list((tmp_path / "out").iterdir())) == len(ALL_FORMATS.split())


@pytest.mark.parametrize(
    ("file", "words", "kind"),
    [
        ("colour_policy.py", ["augment=colour_jitter"], "augment=colour_jitter"),
        ("sqrt_oversampler.py", ["balance=sqrt_oversampler"], "balance=sqrt_oversampler"),
    ],
)
def test_a_policy_and_a_balancer(
    file: str, words: list[str], kind: str, lab: Path, images: Path, tmp_path: Path
) -> None:
    folder, _ = main_job(tmp_path, images, f"extend={lab / file}", *words)
    (source,) = recorded(folder)["extend"]
    assert source["kinds"] == [kind]
    assert (folder / "extensions" / file).is_file()


def test_mixup_is_yaml(lab: Path, images: Path, tmp_path: Path) -> None:
    folder, _ = main_job(
        tmp_path, images, f"extend={lab}/colour_policy.py", "augment=flip_and_mixup"
    )
    assert [step["kind"] for step in recorded(folder)["augment"]["batch"]] == ["mixup"]


def test_images_listed_in_a_csv(lab: Path, images: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(images, tmp_path / "own"))
    paths = sorted(path.relative_to(own) for path in own.rglob("*.png"))
    with (own / "images.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "lesion", "sex"])
        # Two images of a lesion each: they must never be on both sides of the split.
        table.writerows([p, p.parent.name, f"{p.parent}{k // 2}", "f"] for k, p in enumerate(paths))
    folder, _ = main_job(tmp_path, own, f"extend={lab}/csv_dataset.py", "dataset=csv")
    rows = list(csv.DictReader((folder / "split.csv").open()))
    sides: dict[str, set[str]] = {}
    for row in rows:
        sides.setdefault(row["group"], set()).add(row["part"])
    assert len(rows) == len(paths) and all(len(side) == 1 for side in sides.values())
    assert len(sides) < len(paths)


def test_a_metric_is_logged_with_its_interval_and_can_be_monitored(
    lab: Path, images: Path, tmp_path: Path
) -> None:
    words = [f"extend={lab}/error_cost.py", "evaluation=error_cost", "train.keep=best"]
    words += [f"{key}=val/error_cost" for key in ("evaluation.objective", MONITOR)]
    folder, run = main_job(tmp_path, images, *words)
    with (folder / "predictions_val.csv").open(newline="") as file:
        rows = [
            (r["label"] == "melanoma", r["predicted"] == "melanoma") for r in csv.DictReader(file)
        ]
    cost = sum(20 * (is_it and not called) + (called and not is_it) for is_it, called in rows)
    names = [f"final/val/error_cost{end}" for end in ("_low", "", "_high")]
    low, value, high = (run.data.metrics[name] for name in names)
    assert value == pytest.approx(cost / len(rows)) and low <= value <= high
    assert run.data.metrics["val/error_cost"] >= 0  # of the last epoch, for early stopping
