"""A challenge's table has its columns, every image once, and the plain probabilities of the run."""

import csv
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.cli.commands.export import CHALLENGES
from melanoma_exp.prediction import saved_model, submission
from melanoma_exp.prediction.saved_model import SavedModel
from melanoma_exp.spec import UserError


@pytest.fixture(scope="module")
def saved(finished: Any) -> SavedModel:
    files = {name: finished[2] / name for name in saved_model.FILES}
    return saved_model.load("small", files)


def words(finished: Any, out: Path, challenge: str, *images: Path) -> list[str]:
    chosen = [word for path in images for word in ("--images", str(path))]
    place = f"tracking.folder={finished[0] / 'mlruns'}"
    asked = ["--format", "submission", "--challenge", challenge, "--out", str(out)]
    return [finished[1].info.run_id, *asked, *chosen, place]


def test_the_verb_offers_every_challenge() -> None:
    assert tuple(submission.CHALLENGES) == CHALLENGES


def test_the_table_holds_the_recorded_plain_probability_of_each_image(
    finished: Any, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = list(csv.DictReader((finished[2] / "predictions_val.csv").open()))
    new = tmp_path / "new"
    new.mkdir()
    expected = {}
    for k, row in enumerate(recorded):
        name = f"ISIC_{k:07d}"
        shutil.copy(images / row["source"], new / f"{name}_downsampled.png")
        expected[name] = float(row["melanoma"])
    COMMANDS["export"](words(finished, tmp_path, "isic2020", new))
    (written,) = tmp_path.glob("*-isic2020.csv")
    rows = list(csv.DictReader(written.open()))
    assert list(rows[0]) == ["image_name", "target"] and len(rows) == len(recorded)
    for row in rows:
        assert float(row["target"]) == pytest.approx(expected[row["image_name"]], abs=1e-6)
    assert "not a medical device" in capsys.readouterr().out


def test_classes_go_to_the_columns_of_their_diagnosis(saved: SavedModel) -> None:
    classes = ("MEL", "melanocytic nevi", "seborrheic keratosis", "pigmented benign keratosis")
    chosen = submission.columns(replace(saved, classes=classes), "isic2019")
    codes = chosen.challenge.codes
    shares = np.array([0.1, 0.2, 0.3, 0.4]) @ chosen.matrix
    found = dict(zip(codes, shares.tolist(), strict=True))
    assert found == pytest.approx(
        {"MEL": 0.1, "NV": 0.2, "BKL": 0.7} | dict.fromkeys(set(codes) - {"MEL", "NV", "BKL"}, 0.0)
    )
    assert "no class for BCC, AK, DF, VASC, SCC, UNK" in chosen.notes[0]


@pytest.mark.parametrize(
    ("challenge", "classes", "message"),
    [
        ("isic2018", ("melanoma", "naevus", "other"), "other of the run is none of its classes"),
        ("isic2024", ("naevus", "wart"), "no class of the run is that"),
    ],
)
def test_a_run_of_other_classes_is_refused(
    saved: SavedModel, challenge: str, classes: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        submission.columns(replace(saved, classes=classes), challenge)


def test_a_name_is_no_formula_and_may_be_no_utf8(
    finished: Any, images: Path, tmp_path: Path
) -> None:
    one = next((images / "melanoma").iterdir())
    places = (tmp_path / "=1+1.png", tmp_path / os.fsdecode(b"m\xe9l.png"))
    for place in places:
        shutil.copy(one, place)
    COMMANDS["export"](words(finished, tmp_path, "isic2020", *places))
    (written,) = tmp_path.glob("*-isic2020.csv")
    ids = [row["image_name"] for row in csv.DictReader(written.open())]
    assert ids == ["'=1+1", r"m\udce9l"]


def test_all_images_or_none(finished: Any, images: Path, tmp_path: Path) -> None:
    one = next((images / "melanoma").iterdir())
    bad, twice = tmp_path / "bad.png", tmp_path / "twice" / one.name
    bad.write_bytes(one.read_bytes()[:200])
    twice.parent.mkdir()
    shutil.copy(one, twice)
    for other, message in ((bad, "not written: a challenge takes all"), (twice, "has the id")):
        with pytest.raises(UserError) as refused:
            COMMANDS["export"](words(finished, tmp_path, "isic2020", one, other))
        assert message in "\n".join(refused.value.lines)
    assert not list(tmp_path.glob("*.csv"))
    with pytest.raises(UserError, match="needs --images"):
        COMMANDS["export"](words(finished, tmp_path, "isic2020"))
