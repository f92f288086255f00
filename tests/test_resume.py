"""A run that was stopped anywhere and gone on with ends as one that never was, bit for bit."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from small_run import experiment, overrides, runs, store
from test_training import Silent, feeds, train_spec

from melanoma_exp import cli, composition, config, provenance, runner
from melanoma_exp.checkpoint import Saved, Store
from melanoma_exp.spec import UserError
from melanoma_exp.training import fit, process
from melanoma_exp.training.compile import compile_model
from melanoma_exp.training.interruption import Interrupted, Signals
from melanoma_exp.training.spec import Train

# Everything that has state: dropout, batch normalisation, online draws, averaged weights, both
# watchers of the validation figures, the best epoch's weights.
EVERYTHING = (
    "epochs=6", "batch_size=8", "ema=0.9", "keep=best", "schedule=plateau", "plateau.patience=1",
    "plateau.monitor=val_accuracy", "early_stopping.patience=3", "learning_rate=0.05",
)  # fmt: skip
PLAIN = ("epochs=3", "batch_size=8", "schedule=cosine", "optimizer=adamw", "learning_rate=0.01")
NET = ["model=m2", "model.filters=[[4],[8]]", "model.dense=[8]", "model.norm=after_pool"]
TIMES = ("seconds", "images_per_second")


class StopAt(Silent):
    """Asks to stop after a step, or within the validation of an epoch."""

    def __init__(self, signals: Signals, epoch: int, step: int | None) -> None:
        self._signals, self._at = signals, (epoch, step)

    def step(self, epoch: int, step: int, loss: float, accuracy: float) -> None:
        if self._at == (epoch, step):
            self._signals.received = signal.SIGTERM


def train(
    spec: Train,
    place: Path,
    stop: Callable[[Signals], Any] | None = None,
    saved: Saved | None = None,
) -> tuple[list[np.ndarray], fit.History]:
    process.prepare_process(spec, 1)
    images, val = feeds(spec.batch_size)
    model = config.parse(composition.compose(cli.conf_folder(), NET)).model.build((16, 16, 3), 3)
    compile_model(model, spec, images.steps, 3)
    signals = Signals()
    progress = stop(signals) if stop else Silent()
    logged: dict[int, Any] = {}
    history = fit.fit(
        model, spec, images, val, progress, lambda figures, epoch: logged.update({epoch: figures}),
        Store(place), signals, saved,
    )  # fmt: skip
    assert sorted(logged) == list(range(1, len(history["val/loss"]) + 1))
    return [keras.ops.convert_to_numpy(v) for v in model.variables], history


def same(one: Any, other: Any) -> bool:
    weights = all(np.array_equal(a, b) for a, b in zip(one[0], other[0], strict=True))
    figures = {k: v for k, v in one[1].items() if k not in TIMES}
    return weights and figures == {k: v for k, v in other[1].items() if k not in TIMES}


@pytest.mark.parametrize(
    ("options", "stops"),
    [(EVERYTHING, [(2, 4), (3, 3)]), (PLAIN, [(1, 2), (2, 1)])],
    ids=["everything", "cosine"],
)
def test_training_goes_on_bit_for_bit_from_within_an_epoch_and_its_last_step(
    options: tuple[str, ...], stops: list[tuple[int, int]], tmp_path: Path
) -> None:
    spec = train_spec(*options)
    whole = train(spec, tmp_path / "whole")
    for k, (epoch, step) in enumerate(stops):
        place = tmp_path / str(k)
        with pytest.raises(Interrupted):
            train(spec, place, lambda signals, at=(epoch, step): StopAt(signals, *at))
        saved = Store(place).newest()
        assert saved is not None and (saved.state["epoch"], saved.state["step"]) == (
            epoch - 1,
            step,
        )
        assert same(whole, train(spec, place, saved=saved))


def test_a_signal_during_validation_repeats_it_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = train_spec(*EVERYTHING)
    whole = train(spec, tmp_path / "whole")
    evaluate = keras.Model.evaluate
    count = []

    def asked(self: Any, *arguments: Any, **named: Any) -> Any:
        count.append(1)
        if len(count) == 2:
            named["callbacks"][0]._signals.received = signal.SIGTERM
        return evaluate(self, *arguments, **named)

    monkeypatch.setattr(keras.Model, "evaluate", asked)
    with pytest.raises(Interrupted):
        train(spec, tmp_path / "cut")
    monkeypatch.undo()
    saved = Store(tmp_path / "cut").newest()
    assert saved is not None and (saved.state["epoch"], saved.state["step"]) == (1, 4)
    assert same(whole, train(spec, tmp_path / "cut", saved=saved))


@pytest.mark.slow
def test_every_checkpoint_of_a_run_leads_to_the_same_end(tmp_path: Path) -> None:
    spec = train_spec(*EVERYTHING, "checkpoint.every_steps=1")
    kept = tmp_path / "kept"
    save = Store.save

    def save_and_copy(self: Store, position: Any, *rest: Any, **named: Any) -> None:
        save(self, position, *rest, **named)
        newest = max(p for p in self.folder.iterdir())
        shutil.copytree(newest, kept / newest.name / newest.name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "save", save_and_copy)
        whole = train(spec, tmp_path / "whole")
    places = sorted(kept.iterdir())
    assert len(places) == 5 * len(whole[1]["val/loss"])
    for place in places[::3]:
        assert same(whole, train(spec, tmp_path / "again", saved=Store(place).newest()))


def test_the_last_two_and_the_best_are_kept_and_damage_falls_back(tmp_path: Path) -> None:
    kept = Store(tmp_path)
    for epoch in range(1, 7):
        kept.save((epoch, 0), {"a": np.full(5, epoch)}, {"epoch": epoch}, best=(2, 0))
    names = sorted(p.name for p in tmp_path.iterdir())
    assert [n[:12] for n in names] == ["epoch-000002", "epoch-000005", "epoch-000006"]
    newest = kept.newest()
    assert newest is not None and newest.state["epoch"] == 6 and not newest.passed_over
    arrays = tmp_path / names[2] / "arrays.npz"
    arrays.write_bytes(arrays.read_bytes()[:-7])
    newest = kept.newest()
    assert newest is not None and newest.state["epoch"] == 5
    assert "epoch-000006" in newest.passed_over[0] and "damaged" in newest.passed_over[0]
    (tmp_path / names[1] / "state.json").write_text("{}")
    newest = kept.newest()
    assert newest is not None and newest.state["epoch"] == 2 and len(newest.passed_over) == 2
    (tmp_path / names[0] / "SHA256SUMS").unlink()
    assert kept.newest() is None


def test_a_full_disk_lets_training_go_on_and_the_last_checkpoint_stays(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk can only be mounted by root")
    warned: list[str] = []

    class FillsUp(Silent):
        def step(self, epoch: int, step: int, loss: float, accuracy: float) -> None:
            if (epoch, step) == (2, 1):
                with pytest.raises(OSError, match="No space"):
                    (small / "filler").write_bytes(b"0" * 400_000)

        def warn(self, line: str) -> None:
            warned.append(line)

    try:
        _, history = train(train_spec(*PLAIN), small / "run", lambda _: FillsUp())
        assert len(history["val/loss"]) == 3
        assert len(warned) == 2 and "No space left on device" in warned[0]
        saved = Store(small / "run").newest()
        assert saved is not None and saved.state["epoch"] == 1 and not saved.passed_over
    finally:
        subprocess.run(["umount", str(small)], check=True)


RESUMED = [
    "augment=dihedral", "model.dropout=0.2", "model.norm=after_pool", "train.epochs=4",
    "train.ema=0.9", "train.keep=best", "train.schedule=plateau",
    "train.early_stopping.patience=3", "train.checkpoint.every_steps=1",
]  # fmt: skip


def killed_again_and_again(images: Path, place: Path, kills: int, seed: int) -> None:
    """Starts a run, kills it at random moments, goes on with it to its end, and compares."""
    whole = place / "whole"
    runner.run(experiment(images, whole, *RESUMED), place / "job0", {})
    (expected,) = runs(whole)
    script = Path(__file__).with_name("killed_run.py")
    words = overrides(images, place, *RESUMED)
    command = [sys.executable, str(script), str(kills), str(seed), str(place / "job1"), *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=place)
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = runs(place)
    assert run.info.status == "FINISHED"
    for key in expected.data.metrics:
        if not key.startswith(("system/", "seconds", "images_per")):
            ours, theirs = (
                [(m.step, m.value) for m in store(p).get_metric_history(r.info.run_id, key)]
                for p, r in ((place, run), (whole, expected))
            )
            assert sorted(ours) == sorted(theirs), key
    h5 = [Path(r.info.artifact_uri.removeprefix("file://")) for r in (run, expected)]
    assert same_weights(*(folder / "model.weights.h5" for folder in h5))
    assert not (place / "mlruns" / "checkpoints" / run.info.run_id).exists()


def same_weights(one: Path, other: Path) -> bool:
    import h5py

    found: list[dict[str, np.ndarray]] = []
    for path in (one, other):
        arrays: dict[str, np.ndarray] = {}
        with h5py.File(path) as file:
            file.visititems(
                lambda name, node, arrays=arrays: (
                    arrays.update({name: node[()]}) if isinstance(node, h5py.Dataset) else None
                )
            )
        found.append(arrays)
    return found[0].keys() == found[1].keys() and all(
        np.array_equal(found[0][name], found[1][name]) for name in found[0]
    )


def test_a_run_that_is_killed_five_times_ends_as_one_that_never_was(
    images: Path, tmp_path: Path
) -> None:
    killed_again_and_again(images, tmp_path, kills=5, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("seed", range(2, 12))
def test_a_run_that_is_killed_a_hundred_times_in_all(
    images: Path, tmp_path: Path, seed: int
) -> None:
    killed_again_and_again(images, tmp_path, kills=10, seed=seed)


def interrupted(images: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Leaves a run that was stopped after its first epoch; returns its id."""
    from melanoma_exp import report

    def stop(self: Any, epoch: int, figures: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(report.Screen, "epoch", stop)
        with pytest.raises(Interrupted) as stopped:
            runner.run(experiment(images, place), place / "job", {})
    (run,) = runs(place)
    assert run.info.status == "KILLED" and stopped.value.run_id == run.info.run_id
    return run.info.run_id


def verb(name: str, place: Path, *words: str) -> None:
    cli.VERBS[name]([*words, f"tracking.folder={place}/mlruns", f"cache.dir={place}/cache"])


def test_the_verb_goes_on_with_a_stopped_run_once(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    run_id = interrupted(images, tmp_path, monkeypatch)
    verb("resume", tmp_path, run_id)
    assert f"run {run_id} goes on after epoch 1" in capsys.readouterr().out
    (run,) = runs(tmp_path)
    assert run.info.status == "FINISHED"
    with pytest.raises(UserError, match=f"{run_id} has finished; `melanoma-exp rerun"):
        verb("resume", tmp_path, run_id)


def test_another_config_or_dataset_is_refused_with_the_difference(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = interrupted(images, tmp_path, monkeypatch)
    other = experiment(images, tmp_path, "train.epochs=9", "seed=5")
    with pytest.raises(UserError) as refused:
        runner.run(other, tmp_path / "job", {}, run_id)
    assert refused.value.lines[1:] == ("seed: was 1, is 5", "train.epochs: was 2, is 9")
    fewer = tmp_path / "fewer"
    shutil.copytree(images, fewer)
    next((fewer / "melanoma").iterdir()).unlink()
    with pytest.raises(UserError, match="split.csv: had melanoma/"):
        runner.run(experiment(fewer, tmp_path), tmp_path / "job", {}, run_id)
    (run,) = runs(tmp_path)
    assert run.info.status == "KILLED"


def test_a_run_whose_process_is_gone_is_marked_and_one_at_work_is_left_alone(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    run_id = interrupted(images, tmp_path, monkeypatch)
    client = store(tmp_path)
    client.update_run(run_id, status="RUNNING")
    verb("reconcile", tmp_path)
    assert "is running" in capsys.readouterr().out
    with pytest.raises(UserError, match=f"is still running, as process {os.getpid()}"):
        verb("resume", tmp_path, run_id)
    child = subprocess.Popen(["true"])
    child.wait()
    host, _, started = provenance.process().rsplit(":", 2)
    client.set_tag(run_id, "process", f"{host}:{child.pid}:{started}")
    verb("reconcile", tmp_path)
    assert "marked KILLED" in capsys.readouterr().out
    assert client.get_run(run_id).info.status == "KILLED"
    client.update_run(run_id, status="RUNNING")
    client.set_tag(run_id, "process", "elsewhere:1:2")
    verb("reconcile", tmp_path)
    assert "was started on elsewhere, left alone" in capsys.readouterr().out


def test_the_same_job_started_again_in_its_folder_goes_on(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = interrupted(images, tmp_path, monkeypatch)
    command = [sys.executable, "-m", "melanoma_exp", *overrides(images, tmp_path)]
    command.append(f"hydra.run.dir={tmp_path}/job")
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert f"run {run_id} goes on after epoch 1" in done.stdout, done.stderr
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert f"run {run_id} has finished here already" in done.stdout and done.returncode == 0
    assert [run.info.run_id for run in runs(tmp_path)] == [run_id]
