"""No row is the best by chance, on a tie or for an easy fold; a verdict names its test."""

from pathlib import Path

import numpy as np
from stored_runs import Store, built

from melanoma_exp.comparison.pairing import FEW, SWAPPED, _differ, _metrics
from melanoma_exp.evaluation.metrics.paired_tests import GroupBootstrap
from melanoma_exp.evaluation.objectives import Objective
from melanoma_exp.sweep import plan
from melanoma_exp.sweep.folder import EXPERIMENT, Job, Status
from melanoma_exp.sweep.progress import find_best


def test_a_tie_has_no_best_and_its_verdict_says_so(store: Store) -> None:
    ids = [store.write(f"model.dropout={rate}", skill=0.9, draw=7) for rate in (0.21, 0.22)]
    found = built(store, ids)
    assert found.best is None
    assert found.verdict.headline.startswith("No row is the best: A and B have the same balanced")
    assert "their estimates are equal (95 % interval −0.056 to 0.056)" in found.verdict.headline


def test_at_chance_none_is_the_best_however_they_are_ordered(store: Store) -> None:
    ids = [
        store.write(f"model.dropout={rate}", skill=0.0, draw=k)
        for k, rate in ((3, 0.23), (4, 0.24))
    ]
    for by in ("balanced_accuracy", "melanoma_sensitivity"):
        found = built(store, ids, by)
        assert found.best is None
        assert "may know nothing" in found.verdict.headline
    good = store.write("model.dropout=0.25", skill=1.5)
    assert built(store, [*ids, good]).best is not None


def test_networks_that_differ_in_name_only_are_named(store: Store) -> None:
    ids = [store.write(f"model={name}", skill=0.9, seed=k) for k, name in enumerate(("m2", "m3"))]
    other = store.write("model=m1", skill=0.9, seed=4)
    caveats = built(store, [*ids, other]).verdict.caveats
    (line,) = [line for line in caveats if "differ in name only" in line]
    letters = {row.letter for row in built(store, [*ids, other]).rows if "m1" not in row.label}
    assert all(letter in line.split(" differ")[0] for letter in letters)


def test_a_sweep_names_networks_that_differ_in_name_only(tmp_path: Path) -> None:
    jobs = []
    for k, text in enumerate(
        (
            '{"name": "a", "model": {"name": "m2", "dropout": 0.2}, "seed": 1}',
            '{"name": "b", "model": {"name": "m3", "dropout": 0.2}, "seed": 1}',
            '{"name": "c", "model": {"name": "m1", "dropout": 0.0}, "seed": 1}',
            '{"name": "d", "model": {"name": "m2", "dropout": 0.2}, "seed": 2}',
        )
    ):
        folder = tmp_path / str(k)
        folder.mkdir()
        (folder / EXPERIMENT).write_text(text)
        jobs.append(Job(k, (), f"run{k}", {}, folder))
    (line,) = plan.same_but_for_name(jobs)
    assert line.startswith("jobs 0 and 1 train the same network: m2 and m3 differ in name only")


def test_a_fold_is_never_the_best_job() -> None:
    accuracy = Objective("val/accuracy", {"val/accuracy": True})
    jobs = [
        (Job(k, (f"split.fold={k}", "seed=1"), "", {}, Path()), Status("finished", score=k / 10))
        for k in range(3)
    ]
    assert find_best(jobs, accuracy) is None
    same = [(Job(k, ("split.fold=1",), "", {}, Path()), s) for k, (_, s) in enumerate(jobs)]
    best = find_best(same, accuracy)
    assert best is not None and best[0].number == 2


def test_the_verdict_names_the_test_that_objects(store: Store) -> None:
    """Four melanomas that one network finds: the bootstrap is sure, the others are not."""
    from types import SimpleNamespace

    label, group = np.repeat([0, 1], [16, 24]), np.arange(40)
    first = np.where(np.arange(40) < 4, 0, 1)
    sides = [
        SimpleNamespace(label=label, predicted=x[None], training=np.zeros(40, int))
        for x in (first, np.ones(40, int))
    ]
    bootstrap = GroupBootstrap(group)
    tested = [_metrics(bootstrap, side, [0])["sensitivity"] for side in sides]
    outcome = _differ("sensitivity", *tested, group)
    assert outcome.low < 0 < outcome.high and outcome.objecting == (SWAPPED, FEW)
    ids = [
        store.write(f"model.dropout={rate}", skill=0.9, draw=k)
        for k, rate in ((1, 0.26), (2, 0.27))
    ]
    headline = built(store, ids).verdict.headline
    assert "object" in headline or "is ahead of" in headline
