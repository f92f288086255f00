"""A table that labels images anywhere: what it may look like, and what is refused in one line."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from drawn_sets import picture, write

from melanoma_exp.spec import UserError


@pytest.fixture
def table(folder, tmp_path):
    """Gives the spec of a table of ids and labels, with some values changed."""

    def build(**changes):
        stated = {"table": "t.csv", "label_column": "dx"}
        return folder("table", **{**stated, **changes})

    return build


def draw(root: Path, *names: str) -> None:
    for k, name in enumerate(names):
        picture(root / "data" / name, k)


def rows(root: Path, heading: str, *lines: Sequence[object], name: str = "t.csv") -> None:
    write(root / "data" / name, heading, lines)


def refused(spec, place) -> str:
    with pytest.raises(UserError) as error:
        spec.load(place)
    (line,) = error.value.lines
    return line


PLACES = {
    "flat": ("a.jpg", "b.jpg", "c.jpg", "d.jpg"),
    "nested": ("x/y/a.jpg", "x/b.jpg", "z/c.jpg", "d.jpg"),
    "other formats": ("x/a.png", "x/b.bmp", "y/c.tiff", "y/d.webp"),
    "downsampled": ("a_downsampled.jpg", "x/b.jpg", "c_downsampled.jpg", "d.jpg"),
}


@pytest.mark.parametrize("place", PLACES)
def test_images_are_found_anywhere_by_id(table, tmp_path, place):
    draw(tmp_path, *PLACES[place])
    rows(tmp_path, "image_id,dx", ("a", "mel"), ("b", "nv"), ("c", "nv"), ("d", "mel"))
    samples = table().load(tmp_path / "cache").samples
    assert samples.source.tolist() == ["a", "b", "c", "d"] and samples.classes == ("mel", "nv")
    assert samples.label.tolist() == [0, 1, 1, 0]


def test_images_of_one_name_are_told_apart_by_path(table, tmp_path):
    draw(tmp_path, "p1/1.jpg", "p2/1.jpg", "p2/2.jpg")
    rows(tmp_path, "path,dx", ("p2/1.jpg", "mel"), ("p1/1.jpg", "nv"), ("p2/2.jpg", "nv"))
    samples = table(id_column="path").load(tmp_path / "cache").samples
    labels = dict(zip(samples.source.tolist(), samples.label.tolist(), strict=True))
    assert labels == {"p1/1.jpg": 1, "p2/1.jpg": 0, "p2/2.jpg": 1}


def test_the_table_is_found_in_any_folder_and_with_another_suffix(table, tmp_path):
    draw(tmp_path, "images/a.jpg", "images/b.jpg")
    rows(tmp_path, "image_id,dx", ("a", "mel"), ("b", "nv"), name="meta/t.tab")
    spec = table()
    assert len(spec.load(tmp_path / "cache").samples) == 2
    rows(tmp_path, "image_id,dx", ("a", "mel"), ("b", "nv"), name="copy/t.tab")
    assert len(spec.load(tmp_path / "cache").samples) == 2  # the same file
    rows(tmp_path, "image_id,dx", ("a", "nv"), ("b", "nv"), name="copy/t.tab")
    assert "are different tables of one name" in refused(spec, tmp_path)


def test_one_hot_columns_are_classes(table, tmp_path):
    draw(tmp_path, *(f"{k}.jpg" for k in "abcde"))
    marked = [("a", "1.0", "0"), ("b", "", "x"), ("c", 0, 1), ("d", "yes", "no"), ("e", 0, 0)]
    rows(tmp_path, "image_id,MEL,NV", *marked)
    spec = table(label_column=None, one_hot=["MEL", "NV"])
    loaded = spec.load(tmp_path / "cache")
    assert loaded.samples.label.tolist() == [0, 1, 1, 0]
    assert "1 images have no label and are left out (first: e)" in loaded.notes
    for cells, said in {(1, 1): "MEL and NV are marked", (0.7, 0.3): "MEL is '0.7'"}.items():
        rows(tmp_path, "image_id,MEL,NV", ("a", 1, 0), ("b", *cells))
        line = refused(spec, tmp_path)
        assert said in line and "t.csv, line 3" in line


def test_a_label_map_names_classes_and_leaves_out(table, tmp_path):
    draw(tmp_path, *(f"{k}.jpg" for k in "abcdef"))
    words = ("Melanoma in situ", "melanoma  IN_SITU", "Nevus", "wart", "wart", "unknown")
    rows(tmp_path, "image_id,dx", *zip("abcdef", words, strict=True))
    spec = table(label_map={"melanoma in situ": "mel", "wart": None})
    loaded = spec.load(tmp_path / "cache")
    assert loaded.samples.classes == ("Nevus", "mel")
    assert loaded.samples.label.tolist() == [1, 1, 0]
    assert "dataset.label_map leaves out images that the tables name: 2 wart" in loaded.notes
    assert "3 images have no label and are left out (first: d)" in loaded.notes
    with pytest.raises(UserError) as error:
        table(classes=["mel", "Nevis"], label_map=spec.label_map).load(tmp_path)
    first, second = error.value.lines
    assert "t.csv, line 4: dx is 'Nevus', which is none of dataset.classes: mel, Nevis" in first
    assert "line 7: dx is ''" in second


def test_images_that_share_any_value_of_a_group_column_are_one_group(table, tmp_path):
    draw(tmp_path, *(f"{k}.jpg" for k in "abcdef"))
    ties = [("L1", "P1"), ("L1", "P2"), ("L2", "P2"), ("NA", "P3"), ("", "P3"), ("P3", "?")]
    told = [(image, "mel", *tie) for image, tie in zip("abcdef", ties, strict=True)]
    rows(tmp_path, "image_id,dx,lesion_id,patient_id", *told)
    spec = table(group_columns=["lesion_id", "patient_id"], classes=["mel"])
    loaded = spec.load(tmp_path / "cache")
    group = loaded.samples.group
    assert len({*group[:3]}) == 1 and group[3] == group[4]
    assert len({*group}) == 3  # lesion P3 is not patient P3
    assert "images are tied by lesion_id for 4 of 6, patient_id for 5 of 6" in loaded.notes
    line = refused(table(group_columns=["patient"]), tmp_path)
    assert "no table has a column patient" in line and "did you mean patient_id?" in line


@pytest.mark.parametrize("how", ["column", "tables", "rows", "folders"])
def test_official_parts_are_told_in_four_ways(table, option, tmp_path, how):
    words = ("Training", "train", "valid", "Test", "testing")
    folders = [f"{word.lower()}/" * (how == "folders") for word in words]
    draw(tmp_path, *(f"{f}{k}.jpg" for f, k in zip(folders, "abcde", strict=True)))
    told = list(zip("abcde", ("mel", "nv", "mel", "nv", "mel"), words, strict=True))
    changes = {}
    if how == "column":
        rows(tmp_path, "image_id,dx,set", *told)
        changes = {"part_column": "set"}
    elif how == "tables":
        rows(tmp_path, "image_id,dx", *(t[:2] for t in told[:2]))
        rows(tmp_path, "image_id,dx", told[2][:2], name="v.csv")
        rows(tmp_path, "image_id,dx", *(t[:2] for t in told[3:]), name="more/h.csv")
        changes = {"part_tables": {"val": ["v.csv"], "test": ["h.csv", "absent.csv"]}}
    else:
        rows(tmp_path, "image_id,dx", *(t[:2] for t in told))
    if how == "rows":
        for name, numbers in {"tr": (0, 1), "va": (2,), "te": (3, 4)}.items():
            rows(tmp_path, "indexes", *([n] for n in numbers), name=f"{name}.csv")
        tables = {"train": ["tr.csv"], "val": ["va.csv"], "test": ["te.csv"]}
        changes = {"part_tables": tables, "row_column": "indexes"}
    samples = table(**changes).load(tmp_path / "cache").samples
    assert samples.official.tolist() == ["train", "train", "val", "test", "test"]
    parts = option("split", "holdout").apply(samples)
    assert [p.source.tolist() for _, p in parts.items()] == [["a", "b"], ["c"], ["d", "e"]]


def test_a_part_that_means_nothing_is_refused_and_an_empty_one_left_out(table, tmp_path):
    draw(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    told = [("a", "mel", "train"), ("b", "nv", "unused"), ("c", "nv", "")]
    rows(tmp_path, "image_id,dx,set", *told)
    loaded = table(part_column="set").load(tmp_path / "cache")
    assert loaded.samples.source.tolist() == ["a"]
    assert "2 images are in no official part and left out: b, ..." in loaded.notes
    rows(tmp_path, "image_id,dx,set", ("a", "mel", "north"))
    line = refused(table(part_column="set"), tmp_path)
    assert "line 2: set is 'north', expected train, val or test" in line


def test_joined_tables_add_columns(table, tmp_path):
    draw(tmp_path, "a.jpg", "b.jpg")
    rows(tmp_path, "image_id,dx", ("a", "mel"), ("b", "nv"))
    rows(tmp_path, "image_id,age,lesion_id", ("b", 50, "L"), ("a", "", "L"), name="m.csv")
    spec = table(joined=["m.csv", "gone.csv"], group_columns=["lesion_id"])
    loaded = spec.load(tmp_path / "cache")
    assert loaded.samples.group.tolist() == ["L", "L"]
    assert loaded.metadata["b"] == {"age": "50", "lesion_id": "L", "dx": "nv"}
    assert "there is no gone.csv below data/: what it says is unknown" in loaded.notes


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"table": None}, "dataset.table: names no table; pass dataset.table=FILE"),
        ({"label_column": None}, "dataset.label_column: names no column"),
        ({"one_hot": ["MEL"]}, "dataset.label_column: and dataset.one_hot both name labels"),
        ({"root": None}, "dataset.root: table needs a folder: pass dataset.root=FOLDER"),
    ],
)
def test_what_is_not_named_is_said_before_anything_is_read(table, changes, said):
    with pytest.raises(UserError) as error:
        table(**changes).check_environment()
    assert error.value.lines[0].startswith(said)


def test_a_table_without_its_images_names_both(table, tmp_path):
    draw(tmp_path, "x1.jpg")
    picture(tmp_path / "data/a.gif", 5)
    rows(tmp_path, "image_id,dx", ("a", "mel"), ("b", "nv"))
    line = refused(table(), tmp_path)
    assert "holds none of the 2 images that t.csv names; its first is 'a'" in line
    assert "1 .gif" in line
