"""No member of an ensemble scores an image of a group that it trained on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_run import experiment

from melanoma_exp.config import Experiment
from melanoma_exp.data.samples import Samples
from melanoma_exp.evaluation.logits import mean_logits
from melanoma_exp.run.ensemble.record import setups
from melanoma_exp.run.ensemble.scoring import assign
from melanoma_exp.spec import UserError

PARTS = ("train", "val", "test", "unused")


@given(
    st.lists(st.integers(0, 5), min_size=4, max_size=12),
    st.integers(2, 4),
    st.data(),
)
def test_nobody_scores_what_it_or_its_group_was_trained_on(
    table: Callable[..., Samples], groups: list[int], members: int, data: Any
) -> None:
    samples = table([k % 2 for k in range(len(groups))], groups)
    where = [
        data.draw(st.lists(st.sampled_from(PARTS), min_size=len(groups), max_size=len(groups)))
        for _ in range(members)
    ]
    splits = [
        {
            p: {str(s) for s, is_in in zip(samples.source, w, strict=True) if is_in == p}
            for p in PARTS
        }
        for w in where
    ]
    try:
        scoring = assign(samples, splits)
    except UserError:
        return
    group = dict(zip(samples.source, samples.group, strict=True))
    for part in ("val", "test"):
        rows = dict(scoring.parts.items())[part]
        for source, allowed in zip(rows.source, scoring.scorers[part], strict=True):
            for split, scores in zip(splits, allowed, strict=True):
                trained = {group[s] for s in split["train"]}
                assert scores == (group[source] not in trained)
            assert allowed.any() and (part == "val" or allowed.all())
    assert not np.intersect1d(scoring.parts.val.source, scoring.parts.test.source).size
    assert set(scoring.leak.values()) == {0.0}


def test_what_every_member_trained_on_is_refused(table: Callable[..., Samples]) -> None:
    samples = table([0, 1, 0, 1], groups=[0, 0, 1, 1])
    one, two = str(samples.source[0]), str(samples.source[1])
    split = {"train": {one}, "val": {two}, "test": set()}
    with pytest.raises(UserError, match="none is left to measure the ensemble on"):
        assign(samples, [split, split])


def test_a_mean_stays_finite_where_a_probability_is_below_the_smallest_number() -> None:
    logits = np.array([[[0.0, 2000.0]], [[0.0, 3000.0]]])
    found = mean_logits(logits, np.array([[True, True]]))
    np.testing.assert_allclose(found, [[-2000 - np.log(2), 0]])
    np.testing.assert_allclose(mean_logits(logits, np.array([[False, True]])), [[-3000, 0]])


def test_ensembles_are_repeats_where_their_members_differ_in_the_seed_alone(tmp_path: Path) -> None:
    def folds(seed: int, *more: str) -> list[Experiment]:
        words = ("split=kfold", "split.folds=2", f"seed={seed}", *more)
        return [experiment(tmp_path, tmp_path, *words, f"split.fold={k}") for k in range(2)]

    one = setups(folds(1))
    assert one == setups(folds(2)) and one == setups(folds(1)[::-1])
    others = (
        folds(1, "train.learning_rate=0.1"),
        folds(1, "inference=flips"),
        [folds(1)[0], folds(2)[0]],
        [folds(1)[0], folds(3)[0]],
    )
    assert len({one, *map(setups, others)}) == 5
