"""Columns of the metadata that give the label away are refused, and others are not."""

import csv
import re
from typing import Any

import numpy as np
import pytest
from people import SITES, SPEC, encoded, people

from melanoma_exp.data.groups import image_id
from melanoma_exp.data.inputs import leaks
from melanoma_exp.data.metadata import read
from melanoma_exp.spec import UserError


@pytest.mark.parametrize(
    "name",
    "dx dx_type diagnosis Diagnosis_1 final_dx benign_malignant melanocytic mel_class nevus_type "
    "biopsed histopathology target LABEL class image_id isic_id lesion_id Patient-ID image split "
    "filename".split(),
)
def test_columns_that_name_the_diagnosis_or_an_image_are_refused_unread(
    name: str, option: Any
) -> None:
    asked = {"numeric": [], "categorical": ["sex", name], "dropout": 0.1, "units": 4}
    with pytest.raises(ValueError, match=f"{name}: .*by its name; leave it out, it leaks"):
        option("dataset", "demo", inputs=asked)


@pytest.mark.parametrize("key", ["label_column", "group_column", "official_column", "id_column"])
def test_columns_that_the_dataset_itself_reads_are_refused(key: str, option: Any) -> None:
    asked = {"numeric": ["age"], "categorical": ["odd"], "dropout": 0.1, "units": 4}
    option("dataset", "folder", inputs=asked)
    with pytest.raises(ValueError, match="odd: (is|names) the .*; leave it out"):
        option("dataset", "folder", inputs=asked, **{key: "odd"})


def told(label: np.ndarray, what: str) -> list[dict[str, str]]:
    rows, random = people(len(label)), np.random.default_rng(2)
    for k, row in enumerate(rows):
        row["site"] = {
            "label": f"odd{label[k]}",
            "some mistakes": f"odd{label[k] if random.random() < 0.85 else random.integers(9)}",
            "coarse": "in" if label[k] else "out",
            "unknown": "" if label[k] == 1 and random.random() < 0.8 else row["site"],
            "name": f"p{k // 2}x",
        }.get(what, row["site"])
        row["age"] = str(1000 * label[k] + k) if what == "numbers" else row["age"]
    return rows


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("label", "site: tells the class of training images"),
        ("some mistakes", "site: tells the class of training images"),
        ("coarse", "site: tells the class of training images"),
        ("unknown", "site: whether it is known tells the class of training images"),
        ("numbers", "age: tells the class of training images"),
        ("name", "site: has 151 values in 300 lesions: it names lesions"),
    ],
)
def test_values_that_give_the_class_away_are_refused_in_one_line(
    what: str, line: str, table: Any
) -> None:
    label = np.random.default_rng(3).integers(0, 9, 300)
    samples = table(label.tolist())
    rows = told(label, what)
    if what == "name":
        rows[0]["site"] = "another"
    with pytest.raises(UserError, match=f"^dataset.inputs: {line}") as refused:
        encoded(samples, samples, rows)
    assert len(refused.value.lines) == 1


@pytest.mark.parametrize("n", [30, 150, 1000])
def test_columns_that_say_nothing_or_a_little_are_taken(n: int, table: Any) -> None:
    label, random = np.random.default_rng(n).integers(0, 3, n), np.random.default_rng(4)
    samples, rows = table(label.tolist()), people(n)
    for row, k in zip(rows, label, strict=True):  # older for some classes, a site that is likelier
        row["age"] = str(int(row["age"]) + 10 * k)
        row["site"] = SITES[k] if random.random() < 0.3 else row["site"]
    assert encoded(samples, samples, rows).size == 2 + 3 + 5


def test_a_lesion_counts_once_however_often_it_was_photographed(table: Any) -> None:
    label = np.arange(40) % 2
    rows = people(40)
    shown = np.repeat(np.arange(40), np.where(np.arange(40) == 7, 500, 1))
    samples = table(label[shown].tolist(), shown.tolist())
    assert encoded(samples, samples, [rows[k] for k in shown]).size == 10


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"numeric": ("age_",)}, "the metadata have no column age_; did you mean age?"),
        ({"numeric": ("sex",), "categorical": ()}, "sex of image0000 is '(fe)?male', expected a"),
        ({"categorical": ("empty",)}, "empty is unknown in every row of the dataset"),
    ],
)
def test_columns_that_cannot_be_read_are_one_line(changes: Any, line: str, table: Any) -> None:
    samples = table([k % 3 for k in range(60)])
    rows = [{**row, "empty": "-"} for row in people(60)]
    with pytest.raises(UserError, match=f"dataset.inputs: {line}") as refused:
        encoded(samples, samples, rows, SPEC.model_copy(update=changes))
    assert len(refused.value.lines) == 1


def test_ham10000s_columns_are_taken_and_how_it_was_diagnosed_is_not(real_folder: Any) -> None:
    file = real_folder("ham10000") / "HAM10000_metadata.csv"
    rows = list(csv.DictReader(file.open()))
    classes = sorted({row["dx"] for row in rows})
    label = np.array([classes.index(row["dx"]) for row in rows])
    group = np.array([row["lesion_id"] for row in rows])
    asked = SPEC.model_copy(update={"categorical": ("sex", "localization")})
    assert not leaks.determined(asked, rows, label, group, classes)
    renamed = [{**row, "how": row["dx_type"]} for row in rows]
    asked = asked.model_copy(update={"categorical": ("how",)})
    assert leaks.determined(asked, renamed, label, group, classes)


def test_isic9_tells_the_class_by_what_it_does_not_know(real_folder: Any) -> None:
    root = real_folder("isic9")
    known = read(root / "metadata.csv", "image_id").rows
    files = sorted(root.glob("Train/*/*.jpg"))
    classes = sorted({file.parent.name for file in files})
    label = np.array([classes.index(file.parent.name) for file in files])
    rows = [known.get(image_id(file.stem), {}) for file in files]
    asked = SPEC.model_copy(update={"numeric": ("age_approx",), "categorical": ("sex",)})
    names = np.array([file.stem for file in files])
    lines = leaks.determined(asked, rows, label, names, classes)
    assert len(lines) == 2
    for line in lines:
        assert re.search("age_approx: whether it is known tells|sex: .*tells the class", line)
