"""What a CSV is asked for has an effect or is refused; images that are not used are counted."""

import shutil
from collections.abc import Mapping

import pytest
from PIL import Image

from melanoma_exp.spec import UserError

CLASSES = {"benign/a": 1, "benign/b": 2, "malignant/c": 3, "malignant/d": 4}


@pytest.fixture
def draw(tmp_path):
    """Writes images of one shade below `tmp_path/data`."""

    def save(shades: Mapping[str, int], suffix: str = "png") -> None:
        for name, shade in shades.items():
            path = tmp_path / "data" / f"{name}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (40 * shade, 9, 9)).save(path)

    return save


def refused(spec, place) -> str:
    with pytest.raises(UserError) as error:
        spec.load(place)
    (line,) = error.value.lines
    return line


@pytest.mark.parametrize("key", ["label_column", "group_column", "official_column"])
def test_a_column_of_no_csv_is_refused_before_any_image_is_sought(folder, draw, tmp_path, key):
    draw(CLASSES)
    spec = folder(**{key: "patient"})
    assert f"dataset.{key}=patient: is a column of a CSV and" in refused(spec, tmp_path)
    with pytest.raises(UserError, match=r"pass dataset.csv=FILE"):
        spec.check_environment()


def test_what_a_column_that_is_not_named_means_is_refused(folder, draw, tmp_path):
    draw(CLASSES)
    spec = folder(official_classes={"NV": ["nevus"]})
    assert "dataset.official_column names none" in refused(spec, tmp_path)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("1.0,P1\n2.0,P2\n", "names none of the 4 images: it has '1.0', the first image is"),
        ("a,NA\nb,\nc,nan\nd,?\n", "dataset.group_column=patient: the column is empty for all 4"),
        ("", "has a heading and no rows"),
    ],
)
def test_a_column_that_ties_no_image_is_refused(folder, draw, tmp_path, rows, said):
    draw(CLASSES)
    (tmp_path / "data/p.csv").write_text(f"image_id,patient\n{rows}")
    assert said in refused(folder(csv="p.csv", group_column="patient"), tmp_path)


def test_a_column_that_ties_some_images_says_how_many(folder, draw, tmp_path):
    draw(CLASSES)
    (tmp_path / "data/p.csv").write_text("image_id,patient\na,P1\nb,-\nc,P1\n")
    loaded = folder(csv="p.csv", group_column="patient").load(tmp_path)
    assert "1 of 4 images are not in p.csv (first: malignant/d.png)" in loaded.notes
    assert "dataset.group_column=patient: known for 2 of 4 images" in loaded.notes
    assert len(set(loaded.samples.group)) == 3


def test_a_csv_of_the_working_directory_is_pointed_at(folder, draw, tmp_path, monkeypatch):
    draw(CLASSES)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.csv").write_text("image_id\na\n")
    line = refused(folder(csv="p.csv"), tmp_path)
    assert "is looked for below dataset.root" in line and str(tmp_path / "p.csv") in line


@pytest.mark.parametrize("place", ["", "train/", "images/", "part_{}/"])
def test_a_table_labels_images_that_lie_in_no_class_folder(folder, draw, tmp_path, place):
    draw({place.format(k % 2) + f"i{k}": k for k in range(6)})
    rows = [f"i{k};{'MEL' if k < 2 else 'NV'};P{k // 2}" for k in range(5)]
    (tmp_path / "data/t.csv").write_text("\n".join(["image_id;dx;patient", *rows]))
    loaded = folder(csv="t.csv", label_column="dx", group_column="patient").load(tmp_path)
    samples = loaded.samples
    assert samples.classes == ("MEL", "NV") and len(samples) == 5
    by_name = {s.rpartition("/")[2]: k for k, s in enumerate(samples.source.tolist())}
    assert [samples.label[by_name[f"i{k}.png"]] for k in range(5)] == [0, 0, 1, 1, 1]
    assert len(set(samples.group)) == 3
    assert any("1 images have no label and are left out" in note for note in loaded.notes)


def test_train_and_test_stay_parts_where_a_table_labels(folder, draw, tmp_path):
    draw({"train/a": 1, "train/b": 2, "test/c": 3})
    (tmp_path / "data/t.csv").write_text("image_id,dx\na,mel\nb,nv\nc,nv\n")
    samples = folder(csv="t.csv", label_column="dx").load(tmp_path).samples
    parts = dict(zip(samples.source.tolist(), samples.official.tolist(), strict=True))
    assert parts == {"train/a.png": "train", "train/b.png": "train", "test/c.png": "test"}


def test_a_flat_folder_without_a_table_says_what_to_name(folder, draw, tmp_path):
    draw({"a": 1, "b": 2})
    line = refused(folder(), tmp_path)
    assert "2 images lie in it directly" in line and "dataset.label_column" in line


UNUSED = {
    "val": ({"val/benign/x": 5}, "png", "val/ holds 1 images that are not used: validation"),
    "other folder": ({"spare/x": 5}, "png", "spare/ holds 1 images that are not used: beside"),
    "nested": ({"train/benign/more/x": 5}, "png", "train/benign/more/ holds 1 images"),
    "loose": ({"train/x": 5}, "png", "train/ holds 1 images that are not used: they lie in no"),
    "loose at the top": ({"x": 5}, "png", "data/ holds 1 images that are not used"),
    "other format": ({"train/benign/x": 5, "train/benign/y": 6}, "bmp", "2 images are left out"),
}


@pytest.mark.parametrize("case", UNUSED)
def test_images_that_are_not_used_are_counted(folder, draw, tmp_path, case):
    more, suffix, said = UNUSED[case]
    draw({f"{part}/{name}": k for part in ("train", "test") for name, k in CLASSES.items()})
    draw(more, suffix)
    loaded = folder().load(tmp_path)
    assert len(loaded.samples) == 8
    (note,) = [
        n for n in loaded.notes if "image" in n and "no class is" not in n and "two" not in n
    ]
    assert note.startswith(said)


def test_two_folders_of_one_part_are_refused(folder, draw, tmp_path):
    draw({f"{part}/{name}": k for part in ("Train", "Training") for name, k in CLASSES.items()})
    assert "Train/ and Training/, both of which mean train" in refused(folder(), tmp_path)


def test_names_that_are_not_utf_8_are_refused(folder, draw, tmp_path):
    draw(CLASSES)
    shutil.copy(tmp_path / "data/benign/a.png", bytes(tmp_path / "data/benign") + b"/\xe4.png")
    assert r"'benign/\udce4.png': the name is not in UTF-8" in refused(folder(), tmp_path)


def test_images_of_an_unknown_class_are_left_out(folder, draw, tmp_path):
    draw({**CLASSES, "unknown/x": 5, "NA/y": 6})
    loaded = folder().load(tmp_path)
    assert loaded.samples.classes == ("benign", "malignant")
    assert "2 images have no label and are left out (first: NA/y.png)" in loaded.notes
