"""Labels that contradict each other: every choice does what it says and counts what it affected."""

from collections import Counter

import numpy as np
import pytest
from pictures import picture, save

from melanoma_exp.data.labels import choose
from melanoma_exp.spec import UserError

A, B, C = ("class0",), ("class1",), ("class2",)


def sources_of(chosen) -> list[str]:
    return [str(s).removeprefix("image000") for s in chosen.samples.source]


@pytest.fixture
def samples(table):
    """Image x is under 0 and 1, image y under 1 and 2 (once in test), others are sound."""
    labels = [0, 1, 1, 2, 0, 1, 1, 2]
    return table(labels, test=[k == 3 for k in range(8)])


SAME = np.array(["x", "x", "y", "y", "a", "b", "b", "c"])
CONFIRMED = [A, A, (), (), A, (), B, C]


@pytest.mark.parametrize(
    ("conflicts", "left", "out"),
    [
        ("keep", "01234567", 0),
        ("drop", "4567", 4),
        ("rarest", "034567", 2),  # class 2 has one training image, class 0 two, class 1 four
        ("official", "04567", 3),
    ],
)
def test_conflicts_are_settled_as_chosen(samples, conflicts, left, out):
    chosen = choose(samples, SAME, CONFIRMED, "folder", conflicts)
    assert "".join(sources_of(chosen)) == left
    assert chosen.affected["images_with_two_labels"] == 4
    assert chosen.affected["conflicts_left_out"] == out
    (note,) = chosen.notes
    assert f"dataset.conflicts={conflicts}: images under two labels: 2 (4 files)" in note
    assert f"left out: {out} files" in note
    assert ("official test part" in note) == (conflicts in ("drop", "official"))


def test_verified_takes_the_official_label_once_an_image(samples):
    chosen = choose(samples, SAME, CONFIRMED, "verified", "keep")
    assert sources_of(chosen) == ["0", "4", "6", "7"]
    assert chosen.samples.classes == ("class0", "class1", "class2")
    assert chosen.samples.label.tolist() == [0, 0, 1, 2]
    assert chosen.affected == {
        "images_without_official_label": 3,
        "copies_left_out": 1,
        "images_with_two_labels": 0,
        "conflicts_left_out": 0,
    }
    (note,) = chosen.notes
    assert "4 images in 3 classes" in note and "3 files without an official label" in note


def test_of_a_verified_image_in_both_parts_the_test_copy_stays(samples):
    confirmed = [A, A, C, C, A, (), B, C]
    chosen = choose(samples, SAME, confirmed, "verified", "keep")
    assert sources_of(chosen) == ["0", "3", "4", "6", "7"]


def test_the_name_of_an_official_label_is_the_first_class_it_may_be_under(samples):
    confirmed = [("class0", "class1")] * 8
    chosen = choose(samples, SAME, confirmed, "verified", "keep")
    assert chosen.samples.classes == ("class0",)
    assert "".join(sources_of(choose(samples, SAME, confirmed, "folder", "official"))) == "0124567"


@pytest.mark.parametrize("choice", [{"labels": "verified"}, {"conflicts": "official"}])
def test_official_labels_must_be_there(folder, tmp_path, choice):
    save(picture(1), tmp_path / "data/a/x.png")
    with pytest.raises(UserError) as refused:
        folder(**choice).load(tmp_path / "cache")
    ((key, value),) = choice.items()
    (line,) = refused.value.lines
    assert f"dataset.{key}={value}: needs official labels" in line


def test_a_choice_changes_the_digest_and_groups_stay(folder, tmp_path):
    root = tmp_path / "data"
    save(picture(1), root / "a/x.png")
    save(picture(1), root / "b/y.png")
    save(picture(2), root / "a/ISIC_0000001.png")
    save(picture(3), root / "b/z.png")
    loaded = {c: folder(conflicts=c).load(tmp_path / "cache") for c in ("keep", "drop", "rarest")}
    assert len({data.digest for data in loaded.values()}) == 3
    assert [len(data.samples) for data in loaded.values()] == [4, 2, 3]
    assert loaded["drop"].samples.classes == ("a", "b")


REAL = {
    "keep": (2359, 0),
    "drop": (2049, 310),
    "rarest": (2204, 155),
    "official": (2148, 211),
}


def test_the_real_set_has_eight_verified_classes(isic9):
    survey = isic9.survey
    chosen = choose(survey.samples, survey.identity, survey.confirmed, "verified", "keep")
    names = [chosen.samples.classes[k] for k in chosen.samples.label]
    assert len(names) == 1761 and len(set(names)) == 8
    assert Counter(names)["melanoma"] == 154 and "seborrheic keratosis" not in names
    assert chosen.affected["images_without_official_label"] == 497
    for conflicts, (left, out) in REAL.items():
        chosen = choose(survey.samples, survey.identity, survey.confirmed, "folder", conflicts)
        assert (len(chosen.samples), chosen.affected["conflicts_left_out"]) == (left, out)
