"""Heads on precomputed features: what a frozen network computes, once, for every run of a study."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from small_run import experiment, runs
from stopped_run import interrupted, run_command, same_weights

from melanoma_exp.data.features import FeatureLoader
from melanoma_exp.run import runner, training
from melanoma_exp.spec import UserError
from melanoma_exp.system.randomness import Purpose, address, generator
from melanoma_exp.training.signals import Signals

FEATURES = ("augment=dihedral", "train.features={views: 3, seed: 7}")


def entries(place: Path) -> list[Path]:
    return sorted((place / "cache" / "features").glob("[!.]*"))


def built(images: Path, place: Path, *more: str) -> tuple[Any, Any]:
    """Returns what a run trains, its features open, and its data."""
    asked = experiment(images, place, *FEATURES, *more)
    data = runner.prepare_data(asked)
    ready = training.build(asked, data, Signals(), None)
    ready.features.open(None)
    return ready, data


def test_a_head_sees_what_the_frozen_network_makes_of_each_view(
    images: Path, tmp_path: Path
) -> None:
    ready, data = built(images, tmp_path)
    loader, policy = ready.train, data.augment
    assert isinstance(loader, FeatureLoader)
    frozen = keras.Model(ready.network.inputs[0], ready.network.get_layer("flatten").output)
    pixels, rows = data.reader.read(data.plan.samples), data.plan.samples
    for epoch in (0, 3):
        for step in range(loader.steps):
            features, labels, _ = loader.batch(epoch, step)
            seen = loader.order(epoch)[step * 8 : step * 8 + 8]
            np.testing.assert_array_equal(labels, rows.label[seen])
            possible = np.stack(
                [
                    [
                        policy.draw(
                            pixels[row],
                            generator(7, Purpose.VIEW, address(str(rows.source[row])), view),
                        )
                        if view
                        else pixels[row]
                        for view in range(3)
                    ]
                    for row in seen
                ]
            )
            expected = np.stack([frozen(views, training=False) for views in possible])
            apart = np.abs(expected - features[:, None]).max(axis=2).min(axis=1)
            assert apart.max() < 1e-5
    for step in range(ready.val.steps):
        features, _, _ = ready.val.batch(0, step)
        shown = data.reader.read(data.parts.val)[step * 8 : step * 8 + 8]
        logits = ready.network(shown, training=False)
        np.testing.assert_allclose(ready.model(features, training=False), logits, atol=1e-5)


def test_an_epoch_sees_various_views_and_is_a_function_of_its_number(
    images: Path, tmp_path: Path
) -> None:
    loader = built(images, tmp_path)[0].train
    whole = [loader.batch(2, step)[0] for step in range(loader.steps)]
    for step in (2, 0):
        for share in ((0, 3), (3, 8)):
            loader.batch(1, 1)
            features, *_ = loader.batch(2, step, share)
            np.testing.assert_array_equal(features, whole[step][slice(*share)])
    views = loader._views(2)
    assert set(views) == {0, 1, 2} and not np.array_equal(views, loader._views(3))


@pytest.mark.slow
def test_folds_heads_and_seeds_share_the_features_and_other_views_do_not(
    images: Path, tmp_path: Path
) -> None:
    same = ("split=kfold", "split.fold=1"), ("model.dense=[4,4]",), ("balance=sampling",)
    for more in ((), *same):
        built(images, tmp_path, *more)
        assert len(entries(tmp_path)) == 1, more
    others = ("train.features.seed=8",), ("augment=flip_rotate_zoom",), ("seed=2",)
    for count, more in enumerate(others, 2):  # untrained weights are drawn from the run's seed
        built(images, tmp_path, *more)
        assert len(entries(tmp_path)) == count, more


def test_a_run_trains_the_head_alone_and_keeps_the_whole_network(
    images: Path, tmp_path: Path
) -> None:
    asked = experiment(images, tmp_path, *FEATURES, "balance=class_weight", "tracking=off")
    runner.run(asked, tmp_path, {})
    ready, _ = built(images, tmp_path)
    assert len(entries(tmp_path)) == 1
    trained = asked.model.build((16, 16, 3), 3)
    trained.load_weights(tmp_path / "artifacts" / "model.weights.h5")
    for before, after in zip(ready.network.layers, trained.layers, strict=True):
        for old, new in zip(before.get_weights(), after.get_weights(), strict=True):
            is_head = before.name.startswith(("dense", "logit"))
            assert np.array_equal(old, new) != is_head, before.name


@pytest.mark.slow
def test_a_stopped_run_ends_as_one_that_never_was(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = (*FEATURES, "train.ema=0.9", "train.keep=best", "balance=class_weight")
    whole = tmp_path / "whole"
    runner.run(experiment(images, whole, *more, f"cache.dir={tmp_path}/cache"), whole, {})
    run_id = interrupted(images, tmp_path, monkeypatch, *more)
    run_command("resume", tmp_path, run_id)
    h5 = []
    for place in (whole, tmp_path):
        (run,) = runs(place)
        assert run.info.status == "FINISHED"
        h5.append(Path(run.info.artifact_uri.removeprefix("file://")) / "model.weights.h5")
    assert same_weights(*h5)
    assert len(entries(tmp_path)) == 1


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (("augment=none",), "train.features.views=3: augment=none draws no variants"),
        (("augment=augmentor",), "augment=augmentor draws synthetic children only"),
        (("augment=mixup",), r"augment.batch \(mixup\) mixes images"),
    ],
)
def test_what_does_not_go_with_features_is_refused_in_one_line(
    more: tuple[str, ...], line: str, images: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=line) as refused:
        experiment(images, tmp_path, *FEATURES[1:], *more)
    assert len(refused.value.lines) == 1


@pytest.mark.slow
def test_a_run_is_not_resumed_on_another_frozen_network(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = interrupted(images, tmp_path, monkeypatch, *FEATURES)
    load = "melanoma_exp.models.cnn.Cnn.load_pretrained"

    def other(spec: Any, model: Any) -> None:
        model.set_weights([weight + 1 for weight in model.get_weights()])

    monkeypatch.setattr(load, other)
    with pytest.raises(UserError, match="the frozen weights are not those that this run began"):
        run_command("resume", tmp_path, run_id)
