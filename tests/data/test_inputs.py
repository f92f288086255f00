"""Metadata as a second input: what is learnt of which rows, and what a batch has of them."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from people import SPEC, encoded, people
from pictures import picture

from melanoma_exp.data.inputs.encoded import EncodedMetadata
from melanoma_exp.data.inputs.encoding import Encoding, fit
from melanoma_exp.data.loader import Loader, Reader
from melanoma_exp.data.samples import Plan
from melanoma_exp.prediction import given_metadata, saved_model
from melanoma_exp.spec import UserError


@given(
    st.sampled_from(["", "na", "nan", "none", "unknown", "n/a", "-", "?"]),
    st.sampled_from(["upper", "lower", "title"]),
)
def test_every_word_for_unknown_is_one_vector_and_that_of_no_cell(word: str, case: str) -> None:
    found = fit(SPEC, people(50))
    word = f" {getattr(word, case)()} "
    rows = [{"age": word, "sex": word, "site": word}, {}, {"site": "tail"}]
    vectors = found.encode(rows)
    assert (vectors == vectors[0]).all()
    assert vectors[0].tolist() == [0, 1, 0, 0, 1, 0, 0, 0, 0, 1]


def test_numbers_are_standardised_and_words_are_one_hot_over_training_rows() -> None:
    rows = [*people(80), {"age": "", "sex": "MALE ", "site": "back"}]
    vectors = fit(SPEC, rows).encode(rows)
    known = vectors[:80, 0].astype(np.float64)
    assert abs(known.mean()) < 1e-6 and abs(known.std() - 1) < 1e-6
    assert (vectors[:80, 1] == 0).all() and vectors[80, :2].tolist() == [0, 1]
    assert vectors[80, 2:5].tolist() == [0, 1, 0]  # female, male, unknown
    assert (vectors[:, 2:5].sum(axis=1) == 1).all() and (vectors[:, 5:].sum(axis=1) == 1).all()
    far = fit(SPEC, rows).encode([{"age": "1e9"}])[0, 0]
    assert 3 < far < 10  # one wrong cell cannot drown the image


def test_only_training_rows_are_learnt_from(table: Any) -> None:
    samples = table([k % 3 for k in range(90)])
    train, rows = samples.take(np.arange(60)), people(90)
    before = encoded(samples, train, rows)
    others = [{"age": "500", "sex": "other", "site": f"site{k}"} for k in range(30)]
    after = encoded(samples, train, [*rows[:60], *others])
    assert after.encoding == before.encoding and before.digest != after.digest
    np.testing.assert_array_equal(after.vectors[:60], before.vectors[:60])
    assert (after.vectors[60:, 2:] == after.encoding.encode([{}])[0, 2:]).all()


def test_an_encoding_is_read_back_from_json_as_it_was() -> None:
    from melanoma_exp.prediction.manifest import Manifest
    from melanoma_exp.spec import validate_json

    found = fit(SPEC, people(50))
    one = Manifest(("a", "b"), "0" * 64, None, None, found)
    assert validate_json(Manifest, one.to_json(), "model.json") == one
    assert "metadata" not in replace(one, metadata=None).to_json()


def loader(table: Any, policy: Any, metadata: EncodedMetadata | None, seed: int | None) -> Loader:
    samples = table([k % 3 for k in range(40)])
    samples = samples.join(samples.children(np.array([3, 3, 17])))
    pixels = np.random.default_rng(1).integers(0, 256, (40, 6, 6, 3)).astype(np.uint8)
    reader = Reader(pixels, pixels[:0], metadata=metadata)
    if seed is None:
        return Loader(samples, reader, 8)
    return Loader.training(Plan(samples, np.ones(3)), reader, policy, 8, seed)


@pytest.fixture
def metadata(table: Any) -> EncodedMetadata:
    samples = table([k % 3 for k in range(40)])
    return encoded(samples, samples, people(40))


@pytest.mark.parametrize("augment", ["dihedral", "mixup"])
def test_metadata_of_a_batch_are_a_function_of_epoch_and_position(
    augment: str, table: Any, option: Any, metadata: EncodedMetadata
) -> None:
    one, other = (loader(table, option("augment", augment), metadata, 5) for _ in range(2))
    batches = [(epoch, step) for epoch in (0, 1) for step in range(one.steps)]
    whole = {batch: one.batch(*batch)[0] for batch in batches}
    for batch in reversed(batches):
        parts = [other.batch(*batch, share)[0] for share in ((0, 3), (3, 8))]
        for k in range(2):
            found = np.concatenate([part[k] for part in parts])
            np.testing.assert_array_equal(found, whole[batch][k])
    alone = loader(table, option("augment", augment), None, 5)
    for batch in batches:  # the images are those of a run without
        np.testing.assert_array_equal(alone.batch(*batch)[0], whole[batch][0])


def test_a_child_has_its_sources_metadata_and_training_alone_hides_columns(
    table: Any, option: Any, metadata: EncodedMetadata
) -> None:
    seen = loader(table, None, metadata, None)
    vectors = np.concatenate([seen.batch(0, step)[0][1] for step in range(seen.steps)])
    np.testing.assert_array_equal(vectors[:40], metadata.vectors)
    np.testing.assert_array_equal(vectors[40:], metadata.vectors[[3, 3, 17]])
    one, hidden = loader(table, option("augment", "none"), metadata, 5), []
    for epoch in range(20):
        drawn = np.concatenate([one.batch(epoch, step)[0][1] for step in range(one.steps)])
        hidden.append(drawn[:, 1] == 1)
        as_it_is = vectors[one.order(epoch)]
        kept = ~hidden[-1]
        np.testing.assert_array_equal(drawn[kept, 0], as_it_is[kept, 0])
    assert 0.2 < np.mean(hidden) < 0.3 and not np.array_equal(hidden[0], hidden[1])


def test_mixed_images_have_mixed_metadata_in_the_shares_of_their_labels(
    table: Any, option: Any, metadata: EncodedMetadata
) -> None:
    labels = np.eye(3, dtype=np.float32)[np.arange(40) % 3]
    told = Encoding((), (), 1)
    known = EncodedMetadata(told, labels, 0.0, {})  # the vector of an image is its label
    one = loader(table, option("augment", "mixup"), known, 5)
    for step in range(one.steps):
        (_, vectors), targets, _ = one.batch(0, step)
        np.testing.assert_allclose(vectors, targets, atol=1e-6)


def test_two_pictures_of_one_name_do_not_take_each_others_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoding = SimpleNamespace(columns=("age",), numeric=())
    described = SimpleNamespace(metadata=encoding)
    run = SimpleNamespace(dataset=SimpleNamespace(id_column="image_id", max_pixels=10**6))
    monkeypatch.setattr(given_metadata.Manifest, "read", lambda path: described)
    monkeypatch.setattr(saved_model, "read_config", lambda *_, **__: (run, None))
    table, images = tmp_path / "a.csv", [tmp_path / "a" / "1.png", tmp_path / "b" / "1.png"]
    for k, image in enumerate(images):
        image.parent.mkdir()
        picture(k, 24).save(image)
    table.write_text("image_id,age\n1,40\n")
    with pytest.raises(UserError, match=f"{images[0]} and {images[1]} are different pictures of"):
        given_metadata.read(table, {"model.json": tmp_path}, images)
    table.write_text("image_id,age\na/1,40\nb/1,50\n")
    found = given_metadata.read(table, {"model.json": tmp_path}, images)
    assert [found.of(image)["age"] for image in images] == ["40", "50"]
    table.write_text("image_id,age\n1,40\n")
    picture(0, 24).save(images[1])
    assert len(set(given_metadata.read(table, {"model.json": tmp_path}, images).ids.values())) == 1
