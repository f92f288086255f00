"""The page of a run says what the run recorded, and says so where that is gone."""

import base64
import csv
import hashlib
import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.report.run_page import flow, gallery
from melanoma_exp.report.run_page.record import RunRecord
from melanoma_exp.spec import UserError
from melanoma_exp.tracking.archive import Archive

CLASSES = ("melanoma", "naevus", "other")


@pytest.fixture
def moved(finished: Any, tmp_path: Path) -> tuple[str, Path, Path]:
    """A copy of a store: the id of its run, its folder and the run's artifacts."""
    store, run_id = tmp_path / "moved", finished[1].info.run_id
    shutil.copytree(finished[0] / "mlruns", store)
    return run_id, store, store / "artifacts" / run_id / "artifacts"


def written(run_id: str, store: Path, *words: str) -> str:
    out = store / "run.html"
    storage = [f"tracking.folder={store}", f"cache.dir={store / 'cache'}"]
    COMMANDS["report"]([run_id, "--out", str(out), *storage, *words])
    return out.read_text()


def cells(page: str, part: str) -> dict[tuple[int, int], int]:
    found = re.findall(rf'href="#images-{part}" data-pair="(\d)-(\d)".*?>(\d+)</a>', page)
    return {(int(k), int(m)): int(n) for k, m, n in found}


def test_a_run_ends_with_its_page_which_needs_nothing_else(finished: Any) -> None:
    _, run, artifacts = finished
    page = (artifacts / "report.html").read_text()
    assert page.index("Research software") < page.index("<h1>") and run.info.run_id in page
    assert len(page) < 5_000_000 and "Not here" not in page
    assert not re.search(r"(src|href)=\"(?!data:image/jpeg;base64,|#)", page)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page and "default-src 'none'" in page


def test_cells_and_pictures_are_those_of_the_predictions(finished: Any) -> None:
    artifacts = finished[2]
    page = (artifacts / "report.html").read_text()
    for part in ("val", "test"):
        rows = list(csv.DictReader((artifacts / f"predictions_{part}.csv").open()))
        pairs = Counter((CLASSES.index(r["label"]), CLASSES.index(r["predicted"])) for r in rows)
        assert cells(page, part) == pairs
        for row in rows:  # few enough for all to be shown
            assert f'alt="{row["id"]}"' in page


def test_the_worst_mistake_is_first_and_each_cell_has_an_image() -> None:
    heads = ["id", "source", "group", "label", "predicted", *CLASSES]
    rows = [heads]
    for k in range(60):
        rows.append([f"a{k}", f"a{k}", "g", "melanoma", "naevus", "0.3", f"0.{4000 + k}", "0.2"])
    rows.append(["lone", "lone", "g", "other", "other", "0.1", "0.2", "0.7"])
    found = gallery.read("\n".join(map(",".join, rows)) + "\n", CLASSES, 20)
    assert [len(found.images), found.images[0].id, found.images[-1].id] == [20, "a59", "lone"]
    assert found.count[0][1] == 60 and found.mistakes == 60


def test_nothing_found_is_lost_on_the_way(moved: tuple[str, Path, Path], images: Path) -> None:
    run_id, store, _ = moved
    archive = Archive(f"sqlite:///{store}/mlflow.db", "melanoma_exp", store / "spool")
    found = flow.read(RunRecord(archive, archive.run(run_id)))
    assert found is not None
    assert found.found == len(list(images.rglob("*.png"))) == sum(found.parts.values())
    assert found.synthetic == 18 and not found.excluded  # six of each class
    assert sum(n for counts in found.classes.values() for n in counts.values()) == found.found


def test_what_an_old_run_lacks_is_named(moved: tuple[str, Path, Path]) -> None:
    run_id, store, artifacts = moved
    for name in ("split.csv", "decision.json", "evaluation_test.json", "predictions_val.csv"):
        (artifacts / name).unlink()
    (artifacts / "figures" / "explanations_test.png").unlink()
    page = written(run_id, store)
    missing = page[page.index("Not here") :]
    for name in ("split.csv", "decision.json", "evaluation_test.json", "predictions_val.csv"):
        assert f"<li>{name}: " in missing
    assert "Not known: the run has not finished" in page


def test_a_damaged_file_is_named(moved: tuple[str, Path, Path]) -> None:
    run_id, store, artifacts = moved
    (artifacts / "predictions_test.csv").write_text("id,source\n1,2\n")
    (artifacts / "evaluation_val.json").write_text("{")
    page = written(run_id, store)
    for name in ("predictions_test.csv", "evaluation_val.json"):
        assert f"<li>{name}: is damaged" in page


def test_pictures_are_of_the_same_images_or_none(
    moved: tuple[str, Path, Path], images: Path
) -> None:
    run_id, store, artifacts = moved
    changed = store / "changed"
    shutil.copytree(images, changed)
    path, text = artifacts / "experiment.json", (artifacts / "experiment.json").read_text()
    path.write_text(text.replace(str(images), str(changed)))
    assert "data:image/jpeg" in written(run_id, store, "--images", "30").split("Grad-CAM")[0]
    shutil.copyfile(images / "other" / "other1.png", changed / "other" / "other0.png")
    page = written(run_id, store)
    assert "No pictures: the dataset is another one now" in page
    assert "data:image/jpeg" not in page.split("Grad-CAM")[0] and cells(page, "test")
    shutil.rmtree(changed)
    assert "No pictures: dataset.root: there is no folder" in written(run_id, store)
    assert "<img" not in written(run_id, store, "--images", "0").split("Grad-CAM")[0]


def test_an_alert_worth_nothing_is_red(moved: tuple[str, Path, Path]) -> None:
    run_id, store, artifacts = moved
    decision = json.loads((artifacts / "decision.json").read_text())
    decision["worth"]["auc"] = {"value": 0.5, "low": 0.3, "high": 0.7}
    (artifacts / "decision.json").write_text(json.dumps(decision))
    page = written(run_id, store, "--images", "0")
    assert 'class="verdict doubtful"' in page and "which is chance" in page


def test_a_wrong_word_is_one_line(moved: tuple[str, Path, Path]) -> None:
    run_id, store, _ = moved
    with pytest.raises(UserError, match="0 or more"):
        COMMANDS["report"]([run_id, "--images", "-1"])
    with pytest.raises(UserError, match="has no run"):
        COMMANDS["report"](["f" * 32, f"tracking.folder={store}"])
