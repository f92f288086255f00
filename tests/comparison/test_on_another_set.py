"""Runs are compared on a set that each was judged on, on the images that none has seen."""

import csv
from pathlib import Path

import pytest
from sklearn.metrics import balanced_accuracy_score
from stored_runs import Store, answers, compared, images

from melanoma_exp.spec import UserError
from melanoma_exp.tracking.archive import EVALUATION_OF

IDS, GROUPS, LABEL = images(90, 3, 5, "far")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("judged") / "mlruns")


def judged(store: Store, size: int, skill: float, fewer: int = 0, digest: str = "e" * 16) -> str:
    """A run and its evaluation on a set, without the first images of it."""
    run_id = store.write(f"dataset.image_size=[{size},{size}]", skill=0.5, draw=size)
    part = (IDS[fewer:], GROUPS[fewer:], LABEL[fewer:])
    store.write(
        "dataset=folder",
        f"dataset.root={store.folder}",
        skill=skill,
        draw=size + 1,
        parts={"external": part},
        tags={EVALUATION_OF: run_id, "dataset_digest": digest},
    )
    return run_id


def test_the_better_one_on_the_set_is_ahead_there(store: Store, tmp_path: Path) -> None:
    worse, better = judged(store, 32, 0.2), judged(store, 40, 1.0, fewer=30)
    page = compared(store, tmp_path, worse, better, "--on", "folder")
    rows = {row["run ids"]: row for row in csv.DictReader((tmp_path / "comparison.csv").open())}
    guess = answers(LABEL[30:], 1.0, 3, 41 * 7 + len("external")).argmax(axis=1)
    expected = balanced_accuracy_score(LABEL[30:], guess)
    assert float(rows[better]["external/balanced_accuracy"]) == pytest.approx(expected, abs=1e-6)
    assert not any(head.startswith(("val/", "test/")) for head in rows[better])
    assert rows[better]["row"] == "A" and rows[better]["mark"] == "best"
    assert "on the other set, A is ahead of B" in page.replace("\u00a0", " ")
    assert "the tests are of the 60 that all of them are judged on" in page
    assert "The other set has 60 images" in page and "selected on validation" not in page


def test_a_run_that_was_not_judged_on_the_set_says_how(store: Store, tmp_path: Path) -> None:
    one, two = judged(store, 48, 0.2), judged(store, 56, 0.2)
    new = store.write("dataset.image_size=[64,64]")
    with pytest.raises(UserError, match=f"{new} .*was not judged on folder; melanoma-exp evaluate"):
        compared(store, tmp_path, one, two, new, "--on", "folder")
    with pytest.raises(UserError, match=r"none of the runs was judged on such a set .*folder \(e"):
        compared(store, tmp_path, one, two, "--on", "isic9")


def test_two_sets_of_a_kind_are_told_apart_by_their_digest(store: Store, tmp_path: Path) -> None:
    one, two = judged(store, 72, 0.2), judged(store, 80, 0.9)
    three = judged(store, 88, 0.9, digest="f" * 16)
    with pytest.raises(UserError, match="several sets, with the digests e{16}, f{16}"):
        compared(store, tmp_path, one, two, three, "--on", "folder")
    page = compared(store, tmp_path, one, two, "--on", "e" * 16)
    assert "on the other set" in page
