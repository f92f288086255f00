"""What a CSV is asked for has an effect or is refused; images that are not used are counted."""

import shutil
from collections.abc import Mapping

import pytest
from drawn_sets import picture

from melanoma_exp.data.layouts.image_files import LeftOut
from melanoma_exp.spec import UserError

NOISE = ("benign/a", "benign/b", "malignant/c", "malignant/d")
CLASSES = {"benign/a": 1, "benign/b": 2, "malignant/c": 3, "malignant/d": 4}


@pytest.fixture
def draw(tmp_path):
    """Writes noise below `tmp_path/data`, another picture for each number."""

    def save(shades: Mapping[str, int], suffix: str = "png") -> None:
        for name, shade in shades.items():
            picture(tmp_path / "data" / f"{name}.{suffix}", shade)

    return save


def within(*parts: str) -> dict[str, int]:
    """Four images of two classes in each of these folders, no two alike."""
    names = [f"{part}{name}" for part in parts for name in NOISE]
    return {name: seed for seed, name in enumerate(names)}


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
    "other folder": ({"spare/x": 5}, "png", "spare/ holds 1 images that are not used: beside"),
    "loose": ({"train/x": 5}, "png", "train/ holds 1 images that are not used: they lie in no"),
    "loose at the top": ({"x": 5}, "png", "data/ holds 1 images that are not used"),
    "other format": ({"train/benign/x": 5, "train/benign/y": 6}, "gif", "2 images are left out"),
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


def test_an_official_validation_part_validates_unless_it_is_not_to(folder, draw, option, tmp_path):
    parts = ("Training", "valid", "Testing")
    draw(
        {
            f"{part}/{name}": 5 * k + i
            for k, part in enumerate(parts)
            for i, name in enumerate(NOISE)
        }
    )
    samples = folder().load(tmp_path / "cache").samples
    sides = {part: sum(samples.official == part) for part in ("train", "val", "test")}
    assert sides == {"train": 4, "val": 4, "test": 4}
    made = option("split", "holdout").apply(samples)
    assert [set(part.official) for _, part in made.items()] == [{"train"}, {"val"}, {"test"}]
    drawn = option("split", "holdout", official_val=False, val=0.5).apply(samples)
    assert set(drawn.train.official) | set(drawn.val.official) == {"train", "val"}
    assert len(drawn.train) + len(drawn.val) == 8 and set(drawn.test.official) == {"test"}
    folds = [option("split", "kfold", fold=k, folds=2).apply(samples).val for k in range(2)]
    assert sum(map(len, folds)) == 8


def test_training_images_of_a_patient_in_the_validation_part_are_left_out(
    folder, draw, option, tmp_path
):
    draw({"train/benign/P1/a": 1, "train/benign/P2/b": 2, "train/malignant/P3/c": 3})
    draw({"train/malignant/P4/d": 4, "val/malignant/P3/e": 5, "val/benign/P5/f": 6})
    samples = folder().load(tmp_path / "cache").samples
    parts = option("split", "holdout", test=0).apply(samples)
    assert sorted(parts.val.source) == ["val/benign/P5/f.png", "val/malignant/P3/e.png"]
    assert "train/malignant/P3/c.png" not in parts.train.source and len(parts.train) == 3


def test_patient_folders_within_classes_tie_their_images(folder, draw, tmp_path):
    names = ("benign/P1/a", "benign/P1/b", "benign/P2/c", "malignant/P2/d", "malignant/P3/x/e")
    draw({name: k for k, name in enumerate(names)})
    loaded = folder().load(tmp_path / "cache")
    assert len(loaded.samples) == 5
    group = dict(zip(loaded.samples.source.tolist(), loaded.samples.group.tolist(), strict=True))
    assert group["benign/P1/a.png"] == group["benign/P1/b.png"]
    assert group["benign/P2/c.png"] == group["malignant/P2/d.png"]  # one patient, two lesions
    assert len(set(group.values())) == 3
    assert any("stay together, as of one patient: 3 folders, 5 images" in n for n in loaded.notes)
    apart = folder(group_folders=False).load(tmp_path / "cache").samples
    assert len(set(apart.group)) == 5


def test_a_folder_that_is_alone_in_its_class_is_no_patient(folder, draw, tmp_path):
    draw({f"{label}/images/{k}": 5 * i + k for i, label in enumerate("ab") for k in range(3)})
    loaded = folder().load(tmp_path / "cache")
    assert len(set(loaded.samples.group)) == 6
    assert "folders within class folders that tie nothing: 1, 6 images" in loaded.notes


@pytest.mark.parametrize("outer", ["archive", "Skin set/inner"])
@pytest.mark.parametrize("parts", [("",), ("Train/", "Test/"), ("train/train/", "test/test/")])
def test_outer_folders_change_nothing(folder, draw, tmp_path, outer, parts):
    draw(
        {f"{part}{name}": 5 * k + i for k, part in enumerate(parts) for i, name in enumerate(NOISE)}
    )
    plain = folder().load(tmp_path / "cache")
    (tmp_path / "wrapped" / outer).parent.mkdir(parents=True)
    shutil.move(tmp_path / "data", tmp_path / "wrapped" / outer)
    (tmp_path / "wrapped/readme.txt").write_text("a note")
    loaded = folder(root=tmp_path / "wrapped").load(tmp_path / "cache")
    assert loaded.digest == plain.digest
    assert loaded.samples.source.tolist() == plain.samples.source.tolist()
    assert f"classes are sought in wrapped/{outer}/" in loaded.notes


def test_parts_may_lie_within_the_classes(folder, draw, tmp_path):
    draw(
        {
            f"{label}/{part}/x": 3 * i + k
            for i, label in enumerate("ab")
            for k, part in enumerate(("train", "val", "test"))
        }
    )
    samples = folder().load(tmp_path / "cache").samples
    found = dict(zip(samples.source.tolist(), samples.official.tolist(), strict=True))
    assert found["a/val/x.png"] == "val" and found["b/test/x.png"] == "test"
    assert samples.classes == ("a", "b") and len(set(samples.group)) == 6


def test_no_message_advises_to_empty_a_folder(folder, draw, tmp_path):
    draw({**CLASSES, "val/x/a": 5})
    (tmp_path / "data/empty").mkdir()
    line = refused(folder(), tmp_path)
    assert "the class folder holds no" in line
    assert not any(word in line for word in ("empty it", "delete", "remove", "move its"))


def test_the_record_of_a_cache_entry_is_no_stray_file(tmp_path):
    """The demo images are drawn into one."""
    left = LeftOut(tmp_path)
    left.file("entry.json")
    assert left.notes() == []
