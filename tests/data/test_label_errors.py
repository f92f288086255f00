"""Labels that networks of other images contradict are ranked, and shown beside typical images."""

import csv
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from pictures import picture, save
from stored_runs import CLASSES, Store

from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.data.audit.label_errors import rank
from melanoma_exp.spec import UserError

N = 60


def softmax(logits: np.ndarray) -> np.ndarray:
    chance = np.exp(logits)
    return chance / chance.sum(axis=1, keepdims=True)


def noisy(prefers: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns given labels, probabilities and which tenth of 600 labels is wrong."""
    random = np.random.default_rng(3)
    truth = random.integers(0, 3, 600)
    wrong = np.arange(600) % 10 == 0
    given = np.where(wrong, (truth + random.integers(1, 3, 600)) % 3, truth)
    logits = random.normal(0, 0.7, (600, 3)) + 2.5 * np.eye(3)[truth]
    logits[:, 0] += prefers
    return given, softmax(logits), wrong


def test_wrong_labels_come_first_with_the_class_they_look_like() -> None:
    given, probability, wrong = noisy()
    rows, like = rank(given, probability)
    assert wrong[rows[:40]].mean() >= 0.95
    assert np.isin(np.flatnonzero(wrong), rows).mean() >= 0.7
    assert (like != given[rows]).all() and len(set(rows.tolist())) == len(rows)


def test_a_class_that_a_network_prefers_is_not_believed_for_that() -> None:
    given, probability, wrong = noisy(prefers=3.0)
    assert (probability.argmax(axis=1) == 0).mean() > 0.7  # it sees class 0 everywhere
    rows, like = rank(given, probability)
    sound = ~wrong[rows]
    assert (sound & (like == 0)).sum() < 5
    assert wrong[rows[:40]].mean() >= 0.9


def test_a_class_without_images_and_sound_labels_are_not_suspected() -> None:
    probability = np.array([[0.1, 0.2, 0.7], [0.9, 0.1, 0.0], [0.2, 0.8, 0.0]])
    rows, _ = rank(np.array([1, 0, 1]), probability)  # no image has the third class
    assert rows.tolist() == []
    rows, _ = rank(np.array([0, 1, 2]), np.eye(3))
    assert rows.tolist() == []


@pytest.fixture
def judged(folder, tmp_path) -> tuple[Path, list[str]]:
    """A set whose every tenth label two runs contradict; gives its folder and the wrong names."""
    names, truth = [], np.arange(N) % 3
    given = np.where(np.arange(N) % 10 == 0, (truth + 1) % 3, truth)
    for k in range(N):
        names.append(f"{CLASSES[given[k]]}/{k:02}.png")
        save(picture(k, 32), tmp_path / "data" / names[-1])
    store = Store(tmp_path / "mlruns")
    for half in (0, 1):
        rows = list(range(half, N, 2))
        part = [names[k] for k in rows], [names[k] for k in rows], given[rows]
        run = store.write("model=m1", skill=2.0, parts={"val": part}, tags={"sweep": "s1"})
        table = store.artifact(run, "predictions_val.csv")
        lines = list(csv.reader(table.open()))
        for line, k in zip(lines[1:], rows, strict=True):
            line[5:8] = [f"{p:.4f}" for p in np.where(np.arange(3) == truth[k], 0.9, 0.05)]
        with table.open("w", newline="") as file:
            csv.writer(file).writerows(lines)
    return tmp_path, [names[k] for k in range(0, N, 10)]


def audit(place: Path, *words: str, out: str = "out") -> list[dict[str, Any]]:
    COMMANDS["audit"](
        [
            *("--quick", "--out", str(place / out), "dataset=folder", *words),
            *(f"dataset.root={place / 'data'}", f"cache.dir={place / 'cache'}"),
            f"tracking.folder={place / 'mlruns'}",
        ]
    )
    return list(csv.DictReader((place / out / "audit.csv").open()))


def test_the_command_ranks_by_a_sweep_and_shows_typical_images_beside(judged, capsys) -> None:
    place, wrong = judged
    found = [row for row in audit(place, "--from-sweep", "s1") if row["kind"].startswith("likely")]
    assert sorted(row["ids"] for row in found) == sorted(wrong)
    assert "probability of" in found[0]["note"] and "number 1 of" in found[0]["note"]
    assert found[0]["detail"].startswith("looks like ")
    page = (place / "out/audit.html").read_text()
    assert page.count('alt="a typical') == 4 * len(wrong)
    assert "likely wrong label" in capsys.readouterr().out
    assert not [row for row in audit(place, out="again") if row["kind"].startswith("likely")]
    assert "likely wrong label" not in capsys.readouterr().out  # nobody looked


def test_a_sweep_on_other_images_is_refused(judged) -> None:
    place, wrong = judged
    (place / "data" / wrong[0]).unlink()
    with pytest.raises(UserError, match=rf"--from-sweep s1: 1 of 60 .*first: {wrong[0]}"):
        audit(place, "--from-sweep", "s1")
    with pytest.raises(UserError, match="--sweep s2: there is no such sweep"):
        audit(place, "--from-sweep", "s2")


def test_a_leaky_sweep_is_refused(judged) -> None:
    place, _ = judged
    client = mlflow.MlflowClient(f"sqlite:///{place}/mlruns/mlflow.db")
    run = client.search_runs([client.get_experiment_by_name("melanoma_exp").experiment_id])[0]
    client.set_tag(run.info.run_id, "leaky", "true")
    with pytest.raises(UserError, match="is leaky"):
        audit(place, "--from-sweep", "s1")
