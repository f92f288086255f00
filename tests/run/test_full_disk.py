"""A disk that fills up: training goes on, or ends with one line that says how to go on."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_run import experiment, runs, store
from stopped_run import run_command

from melanoma_exp.report import console
from melanoma_exp.run import runner
from melanoma_exp.spec import UserError
from melanoma_exp.system import exit_status
from melanoma_exp.system.disk import why_unwritable
from melanoma_exp.training.interfaces import ProgressListener
from melanoma_exp.training.metric_log import MetricLog


def fill(disk: Path) -> None:
    with (disk / "filler").open("wb", buffering=0) as file, pytest.raises(OSError, match="space"):
        while True:
            file.write(b"0" * 4096)


def test_figures_that_are_refused_are_logged_later_in_order() -> None:
    full, logged, warned = [False], [], []

    class Warned(ProgressListener):
        def warn(self, line: str) -> None:
            warned.append(line)

    def log(figures: Any, epoch: int) -> None:
        if full[0]:
            raise UserError("the disk is full")
        logged.append((epoch, figures["x"]))

    metric_log = MetricLog(log, Warned())
    for epoch in range(1, 9):
        full[0] = epoch in (3, 4, 7)
        metric_log.add({"x": epoch / 10}, epoch)
    assert logged == [(k, k / 10) for k in range(1, 9)]
    assert [w.partition(";")[0] for w in warned] == [
        f"the metrics of epoch {k} cannot be logged (the disk is full)" for k in (3, 7)
    ]
    full[0] = True
    metric_log.add({"x": 0.0}, 9)
    with pytest.raises(UserError, match="the disk is full"):
        metric_log.flush()


def test_a_run_outlives_a_disk_that_is_full_for_a_while_and_ends_in_one_line_otherwise(
    images: Path,
    disk: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    small = disk("16m")
    asked = experiment(images, small, "train.epochs=6", f"cache.dir={images.parent}/cache")
    full_after, room_after = [1, 5], [3]
    epoch_ended = console.Screen.epoch

    def fill_or_clear(self: Any, epoch: int, figures: Any) -> None:
        epoch_ended(self, epoch, figures)
        if epoch in full_after:
            fill(small)
        if epoch in room_after:
            (small / "filler").unlink()

    monkeypatch.setattr(console.Screen, "epoch", fill_or_clear)
    with pytest.raises(UserError) as stopped:
        runner.run(asked, small / "job", {})
    said = capsys.readouterr()
    assert "Traceback" not in said.err and said.out.count("cannot be logged") == 2
    (run,) = runs(small)
    ((line,), run_id) = stopped.value.lines, run.info.run_id
    assert line.startswith("tracking: sqlite:///") and "database or disk is full" in line
    assert line.endswith(
        f"resume with: melanoma-exp resume {run_id} tracking.folder={small}/mlruns"
    )
    kept = sorted((small / "mlruns" / "checkpoints" / run_id).glob("epoch-*"))
    assert kept[-1].name.startswith("epoch-000005")
    (small / "filler").unlink()
    monkeypatch.undo()
    # The process that runs the test is alive, and a full disk may have kept the end from the store.
    store(small).set_terminated(run_id, "FAILED")
    run_command("resume", small, run_id)
    (run,) = runs(small)
    assert run.info.status == "FINISHED"
    points = store(small).get_metric_history(run_id, "val/loss")
    assert sorted(point.step for point in points) == [1, 2, 3, 4, 5, 6]


def test_what_cannot_be_written_is_told_from_other_failures() -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/some/file")
    assert why_unwritable(full) == "cannot write /some/file: No space left on device"
    hdf5 = OSError("Unable to write (file write failed: error message = 'No space left on device')")
    assert why_unwritable(hdf5) == "cannot write a file: No space left on device"
    folder = shutil.Error([("a", "b", "[Errno 122] Disk quota exceeded: 'b'")])
    assert why_unwritable(folder) == "cannot write a file: Disk quota exceeded"
    assert why_unwritable(FileNotFoundError(errno.ENOENT, "no such file", "x")) == ""
    assert why_unwritable(ValueError("No space left on device")) == ""


@pytest.mark.parametrize("place", ["file", "file/below", "loop/below", "n" * 300])
def test_a_place_that_can_be_no_folder_is_one_line(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    folder = tmp_path / place
    assert exit_status.exit_code(lambda: os.makedirs(folder)) == 2  # as Hydra makes it
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"cannot write {tmp_path}/{place[:4]}")
