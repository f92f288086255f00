"""What the pipeline promises: any batch, any time, by anybody, from (seed, epoch, step) alone."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from melanoma_exp.data import children as made_children
from melanoma_exp.data import loader as loading
from melanoma_exp.data.children import Origin, make_reader
from melanoma_exp.data.loader import Loader, Reader
from melanoma_exp.spec import UserError
from melanoma_exp.system.randomness import Purpose, generator

SIDE = 16


@pytest.fixture
def rows(table):
    """Fifty rows of three classes."""
    return table(np.repeat([0, 1, 2], [30, 15, 5]).tolist())


@pytest.fixture
def pixels():
    """Fifty images that all differ."""
    return np.random.default_rng(0).integers(0, 256, (50, SIDE, SIDE, 3), dtype=np.uint8)


@pytest.fixture
def loader(rows, pixels, option):
    """Gives a shuffled training loader with an online policy."""

    def build(seed=1, balance="class_weight", augment="dihedral", batch_size=8):
        plan = option("balance", balance).apply(rows, seed)
        reader = Reader(pixels, np.empty((0, SIDE, SIDE, 3), np.uint8))
        return Loader.training(plan, reader, option("augment", augment), batch_size, seed)

    return build


def same(first, second) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("augment", ["dihedral", "flip_rotate_zoom", "none"])
def test_a_batch_is_a_function_of_seed_epoch_and_step(loader, augment):
    one, other = loader(augment=augment), loader(augment=augment)
    batches = [(epoch, step) for epoch in (0, 1, 5) for step in range(one.steps)]
    forwards = {batch: one.batch(*batch) for batch in batches}
    for batch in np.random.default_rng(3).permutation(batches).tolist():
        np.random.random(2)
        assert same(forwards[tuple(batch)], other.batch(*batch)), batch


def test_every_row_comes_once_an_epoch(loader, rows, pixels):
    one = loader(augment="none")
    number = {image.tobytes(): k for k, image in enumerate(pixels)}
    for epoch in range(3):
        batches = [one.batch(epoch, step) for step in range(one.steps)]
        assert [len(images) for images, *_ in batches] == [8] * 6 + [2]
        seen = [number[image.tobytes()] for images, *_ in batches for image in images]
        assert sorted(seen) == list(range(50))
        assert np.concatenate([b[1] for b in batches]).tolist() == rows.label[seen].tolist()


def test_epochs_and_seeds_have_their_own_order_and_variants(loader):
    orders = [loader(seed).order(epoch).tolist() for seed in (1, 2) for epoch in (0, 1)]
    assert len(set(map(tuple, orders))) == 4
    one = loader(batch_size=50)
    variants = [one.batch(epoch, 0)[0][np.argsort(one.order(epoch))] for epoch in (0, 1)]
    changed = (variants[0] != variants[1]).any(axis=(1, 2, 3)).mean()
    assert 0.7 < changed < 1  # 7/8 expected: one of the eight repeats by chance


def test_every_epoch_and_position_draws_its_own_variants(loader, pixels):
    pixels[:] = pixels[0]
    one = loader()
    drawn = [one.batch(*batch)[0].tobytes() for batch in ((0, 0), (0, 1), (1, 0))]
    assert len(set(drawn)) == 3


def test_evaluation_keeps_rows_images_and_weights_as_they_are(rows, pixels):
    one = Loader(rows, Reader(pixels, pixels[:0]), 20)
    images, labels, weights = (
        np.concatenate(column) for column in zip(*map(one.batch, [3] * 3, range(3)), strict=True)
    )
    assert (images == pixels).all() and (labels == rows.label).all() and (weights == 1).all()


def test_class_weights_reach_the_rows(loader, rows, option):
    weight = option("balance", "class_weight").apply(rows, 1).class_weight
    one = loader(batch_size=50)
    _, labels, weights = one.batch(0, 0)
    np.testing.assert_allclose(weights, weight[labels], rtol=1e-6)
    assert len(set(weights.tolist())) == 3 and weights.dtype == np.float32
    assert weights.mean() == pytest.approx(1)
    assert (loader(balance="none").batch(0, 0)[2] == 1).all()


@pytest.fixture
def children(rows, pixels, option, tmp_path, monkeypatch):
    """Makes or reads the 36 children of a plan, in jobs small enough to need three workers."""
    monkeypatch.setattr(made_children, "FEWEST", 10)
    monkeypatch.setattr(made_children, "MOST", 10)
    plan = option("balance", "add_per_class", count=12).apply(rows, 1).samples

    def make(workers=1, seed=1, data="digest", cache="cache", plan=plan, augment="augmentor"):
        monkeypatch.setattr(os, "cpu_count", lambda: workers)
        policy = option("augment", augment)
        origin = Origin(pixels, data, "set")
        reader = make_reader(plan, origin, policy, seed, tmp_path / cache)
        return reader.read(plan.take(plan.copy > 0)), plan, reader

    return make


def test_children_do_not_depend_on_workers_order_or_other_children(children, pixels):
    one, plan, _ = children(1)
    two, *_ = children(2, cache="other")
    three, *_ = children(3, cache="another")
    assert (one == two).all() and (one == three).all()
    shuffled = plan.take(np.random.default_rng(0).permutation(len(plan))[:70])
    part, shuffled, reader = children(2, cache="third", plan=shuffled)
    at = {name: k for k, name in enumerate(plan.take(plan.copy > 0).id)}
    assert (part == one[[at[name] for name in shuffled.take(shuffled.copy > 0).id]]).all()
    originals = shuffled.take(shuffled.copy == 0)
    assert (reader.read(originals) == pixels[originals.image]).all()
    sources = pixels[plan.take(plan.copy > 0).image]
    changed = (one != sources).any(axis=(1, 2, 3)).mean()
    assert 0.4 < changed < 0.95  # rotated with probability .7


def test_children_come_from_the_cache_the_second_time(children, tmp_path, monkeypatch):
    first, *_ = children()
    (path,) = (tmp_path / "cache").rglob("*.npy")
    with monkeypatch.context() as patch:
        patch.setattr(
            made_children, "ProcessPoolExecutor", lambda *_, **__: pytest.fail("made again")
        )
        assert (children(2)[0] == first).all()
    # What a killed run left behind, under this very name, is written over.
    path.rename(path.with_suffix(f".{os.getpid()}.tmp"))
    path.with_suffix(f".{os.getpid()}.tmp").write_bytes(b"half")
    path.with_suffix(".99.tmp").write_bytes(b"half")
    assert (children()[0] == first).all()
    assert len(list(path.parent.glob("*.npy"))) == 1


def test_other_seeds_and_data_make_other_children(children, tmp_path):
    first, *_ = children()
    assert (children(seed=2)[0] != first).any()
    children(data="other pixels")
    assert len(list((tmp_path / "cache").rglob("*.npy"))) == 3


def test_a_changed_policy_from_outside_makes_other_children(children, tmp_path, monkeypatch):
    for files, code in enumerate(("0" * 64, "1" * 64, "1" * 64), start=1):
        used = [SimpleNamespace(sha256=code)]
        monkeypatch.setattr(made_children, "used_by", lambda *_, used=used: used)
        children()
        assert len(list((tmp_path / "cache").rglob("*.npy"))) == min(files, 2)


def test_a_batch_costs_no_permutation_of_the_epoch(loader, monkeypatch):
    one, drawn = loader(), []

    def counted(seed, purpose, *counters):
        drawn.append(purpose)
        return generator(seed, purpose, *counters)

    monkeypatch.setattr(loading, "generator", counted)
    for epoch in (2, 3):
        assert len([one.batch(epoch, step) for step in range(one.steps)]) == one.steps
    assert drawn.count(Purpose.SHUFFLE) == 2


def test_any_thread_may_ask_for_any_batch(loader):
    one, other = loader(augment="flip_rotate_zoom"), loader(augment="flip_rotate_zoom")
    batches = [(epoch, step) for epoch in range(4) for step in range(one.steps)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda batch: one.batch(*batch), batches))
    assert all(same(a, other.batch(*b)) for a, b in zip(found, batches, strict=True))


def test_images_from_disk_are_those_from_memory(loader, pixels, tmp_path):
    np.save(tmp_path / "x.npy", pixels)
    memory = loader(augment="flip_rotate_zoom")
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    disk = replace(memory, reader=Reader(mapped, pixels[:0]))
    batches = [(disk.batch(1, step), memory.batch(1, step)) for step in range(memory.steps)]
    assert all(same(*pair) for pair in batches)


def test_workers_end_when_the_process_that_started_them_is_killed(tmp_path):
    """Their pipes stay open, so they would wait for work for ever."""
    code = (
        "import pathlib, sys, time\n"
        "from melanoma_exp.data import children\n"
        "def stay(path):\n"
        "    pathlib.Path(path).write_text(str(__import__('os').getpid()))\n"
        "    time.sleep(1000)\n"
        "if __name__ == '__main__':\n"
        "    with children._workers(1) as pool:\n"
        "        pool.submit(stay, sys.argv[1]).result()\n"
    )
    (tmp_path / "start.py").write_text(code)
    path = tmp_path / "worker"
    parent = subprocess.Popen([sys.executable, str(tmp_path / "start.py"), str(path)])
    deadline = time.monotonic() + 100
    while not (path.exists() and path.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    worker = int(path.read_text())
    parent.kill()
    parent.wait()
    while psutil.pid_exists(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not psutil.pid_exists(worker)


def test_a_failed_write_leaves_nothing_behind(children, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(UserError) as refused:
        children()
    assert "cache.dir" in str(refused.value) and "disk full" in str(refused.value)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


@pytest.mark.parametrize("augment", ["none", "dihedral"])
def test_policies_that_make_no_children_show_the_source(children, pixels, augment, tmp_path):
    shown, plan, _ = children(augment=augment)
    assert (shown == pixels[plan.take(plan.copy > 0).image]).all()
    assert not (tmp_path / "cache").exists()


def test_a_later_start_gives_what_an_earlier_start_would_have_given(loader):
    one = loader()
    whole = list(one.dataset(1).as_numpy_iterator())
    tail = list(one.dataset(1, first=2).as_numpy_iterator())
    assert len(whole) == one.steps and len(tail) == one.steps - 2
    assert all(same(a, b) for a, b in zip(whole[2:], tail, strict=True))
    assert same(whole[2], one.batch(1, 2)) and not same(whole[2], one.batch(0, 2))
