"""The audit finds what is doubled, contradictory or unreadable, and nothing else."""

import csv
from collections import Counter
from dataclasses import replace

import numpy as np

from melanoma_exp import audit


def found(samples, digests, skipped=()):
    return [(f.kind, f.ids) for f in audit.find(samples, digests, skipped)]


def test_equal_bytes_are_named_by_what_they_contradict(table):
    samples = table([0, 1, 2, 2, 3, 3], test=[False, False, False, False, False, True])
    a, b, c, d, e, f = map(str, samples.source)
    assert found(samples, ["x", "x", "y", "y", "z", "z"], ["broken.jpg: empty"]) == [
        ("unreadable", ("broken.jpg: empty",)),
        ("two labels", (a, b)),
        ("train and test", (e, f)),
        ("doubled", (c, d)),
    ]


def test_equal_isic_ids_count_and_equal_plain_names_do_not(table):
    names = [
        "Train/a/ISIC_0000001.jpg",
        "Train/b/ISIC_0000001(1).jpg",
        "Train/a/1.jpg",
        "Train/b/1.jpg",
    ]
    samples = replace(table([0, 1, 0, 1]), source=np.array(names))
    assert found(samples, ["p", "q", "r", "s"]) == [("two labels", tuple(names[:2]))]


def test_every_finding_is_a_row_of_the_csv(table, tmp_path):
    samples = table([0, 1, 1])
    audit.write_csv(audit.find(samples, ["x", "x", "y"], []), tmp_path / "audit.csv")
    (row,) = csv.DictReader((tmp_path / "audit.csv").open())
    assert row["kind"] == "two labels" and row["ids"].count(" | ") == 1


def test_the_real_set_has_the_known_faults(isic9):
    findings = audit.find(isic9.samples, isic9.file_digests, isic9.skipped)
    assert Counter(f.kind for f in findings) == {
        "two labels": 155,
        "train and test": 18,
        "doubled": 4,
    }
    assert len({f.ids for f in findings if f.detail == "byte-identical"}) == 159
    crossing = {f.ids for f in findings if f.kind == "train and test"}
    two = [(f.ids in crossing, f.labels) for f in findings if f.kind == "two labels"]
    pairs = Counter((crosses, tuple(sorted(labels))) for crosses, labels in two)
    keratoses = ("actinic keratosis", "nevus"), ("melanoma", "seborrheic keratosis")
    assert [pairs[False, k] for k in keratoses] == [62, 75]
    assert [pairs[True, k] for k in keratoses] == [15, 3]
