"""Comparing runs of a real store: what is one row, what is best, what is refused, what is shown."""

import json
import math
import re

import pytest
from stored_runs import CLASSES, PARTS, Store, built, compared
from stored_runs import images as drawn

from melanoma_exp.cli.arguments import sweep_name
from melanoma_exp.cli.commands.compare import compare
from melanoma_exp.comparison import selection, table
from melanoma_exp.spec import UserError
from melanoma_exp.tracking.archive import Archive

LAUNCHER = {"kind": "local", "slots": 1, "threads": 1, "timeout_minutes": 1, "grace_seconds": 60}


def refusal(store: Store, *ids: str) -> tuple[str, ...]:
    with pytest.raises(UserError) as caught:
        built(store, list(ids))
    return caught.value.lines


def test_runs_that_differ_in_seed_alone_are_one_row_with_a_mean(store, sweep) -> None:
    found = built(store, sweep)
    assert [len(row.runs) for row in found.rows] == [3, 3, 3, 1]
    assert [row.seeds for row in found.rows] == [3, 3, 3, 1]
    key = "final/val/accuracy"
    values = [run.stored.metrics[key] for run in found.rows[0].runs]
    mean = found.rows[0].mean(key)
    assert mean.value == pytest.approx(sum(values) / 3)
    spread = math.sqrt(sum((v - mean.value) ** 2 for v in values) / 2)
    assert mean.half == pytest.approx(4.302653 * spread / math.sqrt(3), rel=1e-5)
    assert math.isnan(found.rows[3].mean(key).half)


def test_what_changes_no_number_makes_no_row_of_its_own(store) -> None:
    ids = [
        store.write("model.dropout=0.4", *words, seed=seed)
        for seed, words in enumerate(
            ([], ["train.checkpoint.every_epochs=5"], ["evaluation.bins=5"], ["name=other"]), 1
        )
    ]
    assert [len(row.runs) for row in built(store, ids).rows] == [4]


def test_a_leaky_run_is_shown_last_marked_and_never_best_nor_tested(store, sweep) -> None:
    found = built(store, sweep)
    last = found.rows[-1]
    key = "final/val/balanced_accuracy"
    assert last.leaky and last.mean(key).value > found.rows[0].mean(key).value
    assert found.best is found.rows[0] and "dropout=0.2" in found.best.label
    assert table.mark(last, found.best) == "leaky"
    assert table.mark(last, last) == "leaky"
    tested = [row.letter for t in found.tested for row, _ in t.rows]
    assert last.letter not in tested
    assert any(f"Leaky: {last.name}: 88 % of its validation" in c for c in found.verdict.caveats)


def test_a_clear_difference_is_shown_with_its_size_and_a_small_one_is_not(store, sweep) -> None:
    found = built(store, sweep)
    assert re.match(
        r"In balanced accuracy on validation, A is ahead of B by 0\.\d{3} "
        r"\(95 % interval 0\.\d+ to 0\.\d+, p (<|=) 0\.\d+ after Holm over 3 pairs\)",
        found.verdict.headline,
    )
    assert "mcnemar" not in found.tested[0].pairs[0].outcomes  # three answers an image
    second, third = found.rows[1:3]
    outcome = found.tested[0].pair(second, third).outcomes["balanced_accuracy"]
    assert not outcome.significant and outcome.low < 0 < outcome.high


def test_against_a_reference_each_row_is_tested_once_and_holm_counts_those_pairs(
    store, sweep
) -> None:
    everything = built(store, sweep)
    worst = everything.rows[2]
    found = built(store, sweep, reference=worst.runs[1].stored.id)
    pairs = [(p.first.letter, p.second.letter) for p in found.tested[0].pairs]
    assert pairs == [("A", "C"), ("B", "C")]
    for pair in found.tested[0].pairs:
        alone = everything.tested[0].pair(pair.first, pair.second)
        assert alone is not None
        for name, outcome in pair.outcomes.items():
            assert outcome.p == alone.outcomes[name].p
            assert outcome.adjusted <= min(2 * outcome.p, 1) + 1e-12
    assert "A is ahead of C" in found.verdict.headline
    assert "after Holm over 2 pairs" in found.verdict.headline
    leaky = everything.rows[-1].runs[0].stored.id
    for wrong, said in (("absent", "not among the compared runs"), (leaky, "is leaky")):
        with pytest.raises(UserError, match=f"--reference {wrong}: .*{said}"):
            built(store, sweep, reference=wrong)


def test_equal_answers_differ_in_nothing(store) -> None:
    ids = [store.write(f"model.dropout={rate}", draw=77) for rate in (0.51, 0.52)]
    found = built(store, ids)
    for tested in found.tested:
        assert tested.pairs[0].outcomes["mcnemar"].counts == (0, 0)
        for outcome in tested.pairs[0].outcomes.values():
            assert outcome.estimate == 0 and outcome.p == 1 and not outcome.significant
    assert "no significant difference between A and B: their estimates" in found.verdict.headline


def test_a_run_made_twice_counts_once(store) -> None:
    once, again = (store.write("model.dropout=0.61", seed=1, draw=5) for _ in range(2))
    other = store.write("model.dropout=0.61", seed=2)
    found = built(store, [once, again, other])
    assert [run.stored.id for run in found.rows[0].runs] == [again, other]
    assert any(once in line and "counted once" in line for line in found.left_out)
    assert "repeat one setup" in found.verdict.headline


def test_folds_are_one_row_tested_over_folds_and_on_their_joined_images(store) -> None:
    ids = []
    for rate, skill in ((0.71, 0.8), (0.72, 0.1)):
        for fold in range(3):
            parts = {"val": drawn(90, 3, fold, f"fold{fold}-"), "test": PARTS["test"]}
            ids.append(
                store.write(
                    f"model.dropout={rate}",
                    "split=kfold",
                    "split.folds=3",
                    f"split.fold={fold}",
                    skill=skill,
                    parts=parts,
                    draw=10 + fold,
                )
            )
    found = built(store, ids)
    assert [(len(row.runs), row.folds) for row in found.rows] == [(3, 3), (3, 3)]
    val, test = found.tested
    assert len(val.rows[0][1].label) == 270 and val.rows[0][1].probability.shape[0] == 1
    assert len(test.rows[0][1].label) == 60 and test.rows[0][1].probability.shape[0] == 3
    differences = [
        a.stored.metrics["final/val/balanced_accuracy"]
        - b.stored.metrics["final/val/balanced_accuracy"]
        for a, b in zip(found.rows[0].runs, found.rows[1].runs, strict=True)
    ]
    outcome = val.pairs[0].outcomes["folds"]
    assert outcome.estimate == pytest.approx(sum(differences) / 3)
    mean = outcome.estimate
    spread = math.sqrt(sum((d - mean) ** 2 for d in differences) / 2)
    error = spread * math.sqrt(1 / 3 + 90 / 100)  # the store's runs say 100 training images
    assert outcome.high - mean == pytest.approx(4.302653 * error, rel=1e-5)
    assert any("they are not independent" in line for line in found.verdict.caveats)


def test_rows_with_other_images_are_reported_not_tested_and_not_ranked(store) -> None:
    other = {"val": drawn(130, 3, 9, "else"), "test": PARTS["test"]}
    ids = [store.write("model.dropout=0.81"), store.write("split.seed=9", parts=other)]
    found = built(store, ids)
    assert found.best is None
    assert "different validation images" in found.verdict.headline
    assert not found.tested[0].pairs and found.tested[1].pairs
    assert re.search(r"has other validation images \(1[23]0, of which 0", found.tested[0].notes[0])


def test_runs_of_other_classes_are_refused_in_one_line(store, sweep) -> None:
    four = (*CLASSES, "fourth")
    run = store.write("model.dropout=0.91", classes=four)
    (line,) = refusal(store, run, sweep[0])
    assert "different classes and are not compared" in line and "fourth (4)" in line


def test_runs_that_cannot_be_compared_are_named_with_the_reason(store, sweep) -> None:
    killed = store.write("model.dropout=0.92", status="KILLED")
    running = store.write("model.dropout=0.92", status="RUNNING")
    deleted = store.write("model.dropout=0.92")
    store.client.delete_run(deleted)
    lines = refusal(store, killed, running, deleted, "0" * 32, sweep[0])
    assert len(lines) == 4
    for line, run, reason in zip(
        lines,
        (killed, running, deleted, "0" * 32),
        ("not finished (KILLED)", "not finished (RUNNING)", "was deleted", "has no run"),
        strict=True,
    ):
        assert run in line and reason in line and "\n" not in line
    assert "takes two finished runs (got 1)" in refusal(store, sweep[0], sweep[0])[0]


def test_missing_and_damaged_predictions_are_reported(store, sweep) -> None:
    runs = [store.write("model.dropout=0.93", seed=seed) for seed in (1, 2, 3)]
    store.artifact(runs[0], "predictions_val.csv").unlink()
    half = store.artifact(runs[1], "predictions_test.csv")
    half.write_text(half.read_text()[:-30])
    wrong = store.artifact(runs[2], "predictions_val.csv")
    wrong.write_text(wrong.read_text().replace("melanoma", "mole"))
    lines = refusal(store, *runs, sweep[0])
    assert len(lines) == 3
    assert runs[0] in lines[0] and "has no artifact predictions_val.csv" in lines[0]
    assert "is damaged: it is empty or truncated" in lines[1]
    assert "is damaged: its columns do not begin with id" in lines[2]


def test_a_sweep_leaves_unfinished_runs_out_and_says_so(store, tmp_path, capsys) -> None:
    tags = {"sweep": "2026-02-02/11-11-11"}
    for rate in (0.11, 0.12):
        store.write(f"model.dropout={rate}", tags=tags)
    failed = store.write("model.dropout=0.13", tags=tags, status="FAILED")
    empty = store.write("model.dropout=0.14", tags=tags)
    store.artifact(empty, "classes_val.csv").unlink()
    compared(store, tmp_path, "--sweep", "11-11-11")
    lines = capsys.readouterr().out.splitlines()
    left = [line for line in lines if line.startswith("left out")]
    assert len(left) == 2
    assert failed in left[0] and "not finished (FAILED)" in left[0]
    assert empty in left[1] and "has no artifact classes_val.csv" in left[1]


def test_a_sweep_is_named_by_its_date_its_run_one_of_its_jobs_or_its_folder(
    store, tmp_path, capsys
) -> None:
    name = "2026-03-03/12-12-12"
    jobs = [store.write(f"model.dropout={rate}", tags={"sweep": name}) for rate in (0.21, 0.22)]
    parent = store.write("model.dropout=0.23", tags={"sweep_parent": name}, status="RUNNING")
    archive = Archive(store.uri, store.experiment, store.folder / "spool")
    for asked in ("2026-03-03", "12-12-12", name, parent, jobs[0]):
        assert {run.id for run in selection.by_sweep(archive, asked).runs} == set(jobs)
    folder = tmp_path / "renamed"
    folder.mkdir()
    job = {"number": 0, "overrides": [], "name": "x", "tags": {}, "folder": "0"}
    saved = {"schema": 1, "name": name, "launcher": LAUNCHER, "jobs": [job]}
    (folder / "sweep.json").write_text(json.dumps(saved))
    assert sweep_name(str(folder)) == name and sweep_name("12-12-12") == "12-12-12"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sweep", "2020"], "no such sweep.*known: .*2026-0"),
        (["--experiment", "melanoma_ex"], "known: melanoma_exp, Default.*did you mean"),
        (["--experiment", "Default"], r"takes two finished runs \(got 0\)"),
        ([], "name runs, or a --sweep"),
        (["a" * 32, "--experiment", "x"], "or an --experiment"),
        (["a" * 32, "--images", "-1"], "0 or more"),
        (["a" * 32, "seed=2"], "tracking, cache and extend overrides only"),
    ],
)
def test_what_cannot_be_selected_is_reported_with_what_there_is(
    store, sweep, tmp_path, words, message
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        compare([*words, f"tracking.folder={store.folder}", "--out", str(tmp_path)])
    assert len(caught.value.lines) == 1
    assert not list(tmp_path.iterdir())
