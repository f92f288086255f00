"""The range test of learning rates finds what a curve shows, and says so in files and a line."""

import csv
from pathlib import Path

import numpy as np
import pytest
from small_run import overrides

from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.spec import UserError
from melanoma_exp.training.learning_rate.finder import Found, smooth


def test_suggestions_are_the_steepest_fall_and_a_tenth_of_the_lowest() -> None:
    rates = np.geomspace(1e-6, 1, 601)
    at = np.log10(rates)
    losses = 2 - 1 / (1 + np.exp(-6 * (at + 3))) + np.maximum(at + 1, 0) ** 2
    found = Found(rates, losses, losses)
    assert found.steepest == pytest.approx(1e-3, rel=0.05)
    assert found.tenth == pytest.approx(1e-2, rel=0.1)


def test_smoothing_has_no_start_up_bias() -> None:
    np.testing.assert_allclose(smooth(np.full(30, 2.5)), 2.5)
    weights = 0.9 ** np.arange(2, -1, -1)
    assert smooth(np.array([1.0, 4, 2]))[-1] == pytest.approx(weights @ [1, 4, 2] / weights.sum())


def test_the_command_writes_a_curve_and_tracks_nothing(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = overrides(images, tmp_path, "train.schedule=cosine", "train.ema=0.9")
    COMMANDS["find-lr"]([*words, "--steps=30", "--high=0.01", f"--out={tmp_path / 'found'}"])
    printed = capsys.readouterr().out.splitlines()[-1]
    assert printed.startswith("train.learning_rate=") and "(30 steps)" in printed
    with (tmp_path / "found" / "find_lr.csv").open() as file:
        rates = [float(row["learning_rate"]) for row in csv.DictReader(file)]
    np.testing.assert_allclose(rates, np.geomspace(1e-6, 0.01, 30))
    assert (tmp_path / "found" / "find_lr.png").stat().st_size > 5000
    assert not (tmp_path / "mlruns").exists()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--steps=3"], "--steps 3: expected 20 or more"),
        (["--low=1", "--high=0.1"], "--low 1 --high 0.1: expected 0 < low < high"),
        (["distribution=mirrored"], r"find-lr: needs distribution=single \(got mirrored\)"),
    ],
)
def test_a_range_that_cannot_be_tested_is_refused(words: list[str], line: str) -> None:
    with pytest.raises(UserError, match=f"^{line}"):
        COMMANDS["find-lr"](words)
