"""What a dataset promises about labels and groups: the CSV's word counts, copies stay together."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.sparse.csgraph import connected_components

from melanoma_exp.data.groups import unite
from melanoma_exp.spec import UserError


@pytest.fixture
def draw(tmp_path):
    """Writes an image of one shade below `tmp_path/data`."""

    def save(name: str, shade: int) -> Path:
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (shade, 9, 9)).save(path)
        return path

    return save


def groups_of(samples) -> dict[str, str]:
    return {
        Path(source).name: str(group)
        for source, group in zip(samples.source, samples.group, strict=True)
    }


def test_copies_ids_and_lesions_join_images_through_one_another(folder, draw, tmp_path):
    draw("nevus/ISIC_0000001.png", 1)
    draw("nevus/ISIC_0000001(1).png", 2)  # the same id
    draw("melanoma/nevus_original_ISIC_0000001_x.png", 3)
    draw("melanoma/ISIC_0000002.png", 4)  # the same lesion by the CSV
    twin = draw("melanoma/ISIC_0000003.png", 5)
    draw("nevus/ISIC_0000004.png", 6)
    shutil.copy(twin, twin.parent.parent / "nevus/other.png")  # byte-identical
    csv = "image_id,lesion_id\nISIC_0000001,L1\nISIC_0000002,L1\nISIC_0000003,L1\n"
    (tmp_path / "data/meta.csv").write_text(csv)
    groups = groups_of(folder(csv="meta.csv", group_column="lesion_id").load(tmp_path).samples)
    alone = groups.pop("ISIC_0000004.png")
    assert len(set(groups.values())) == 1
    assert alone not in groups.values()


KEYS = st.tuples(*(st.sampled_from(["", *(f"{column}{k}" for k in "abcdef")]) for column in "ILS"))


@given(rows=st.lists(KEYS, min_size=1, max_size=12))
def test_rows_share_a_group_if_and_only_if_keys_connect_them(rows):
    columns = list(zip(*rows, strict=True))
    linked = [[any(x and x == y for x, y in zip(a, b, strict=True)) for a in rows] for b in rows]
    _, expected = connected_components(np.array(linked))
    group = unite(columns)
    assert (np.equal.outer(group, group) == np.equal.outer(expected, expected)).all()


def test_a_plain_number_for_a_name_joins_nothing(folder, draw, tmp_path):
    for k, name in enumerate(("Train/a/1", "Train/b/1", "Test/a/1", "Test/b/1")):
        draw(f"{name}.png", k)
    samples = folder().load(tmp_path).samples
    assert len(set(samples.group)) == 4


def test_classes_are_the_folders_and_differences_from_published_counts_are_noted(
    folder, draw, tmp_path
):
    for k, name in enumerate(("naevi/a.png", "naevi/b.jpeg", "Ärzte & Co/a.JPG", "odd/a.png")):
        draw(name, 40 * k)
    loaded = folder(expected={"train": {"naevi": 2, "odd": 4, "gone": 3}}).load(tmp_path)
    assert loaded.samples.classes == ("naevi", "odd", "Ärzte & Co")
    note = loaded.notes[0]
    for words in ("train/odd 1 (published 4)", "gone 0 (published 3)", "Ärzte & Co 1"):
        assert words in note
    assert "naevi" not in note


def test_tasks_have_two_classes(folder, draw, tmp_path):
    for k, name in enumerate(("a/1", "b/2", "b/3", "c/4")):
        draw(f"{name}.png", k)
    for task, labels in {"melanoma": [0, 1, 1, 0], "malignant": [0, 1, 1, 1]}.items():
        samples = folder(task=task, melanoma=["b"], malignant=["b", "c"]).load(tmp_path).samples
        assert samples.classes == ("rest" if task == "melanoma" else "benign", task)
        assert samples.label.tolist() == labels
    with pytest.raises(UserError) as refused:
        folder(task="melanoma", melanoma=["mel"]).load(tmp_path)
    (line,) = refused.value.lines
    assert "no class mel" in line and "a, b, c" in line


def test_the_csv_replaces_labels_where_it_has_one_and_brings_metadata(folder, draw, tmp_path):
    for k, name in enumerate(("a/x", "a/y", "b/z", "b/unlisted")):
        draw(f"{name}.png", k)
    (tmp_path / "data/meta.csv").write_text("name,dx,age\nx,b,50\ny,,60\nz,c,\n")
    loaded = folder(csv="meta.csv", id_column="name", label_column="dx").load(tmp_path)
    samples = loaded.samples
    assert samples.classes == ("a", "b", "c")
    labels = {s: samples.classes[k] for s, k in zip(samples.source, samples.label, strict=True)}
    assert labels == {"a/x.png": "b", "a/y.png": "a", "b/unlisted.png": "b", "b/z.png": "c"}
    assert loaded.metadata["a/x.png"]["age"] == "50"
    notes = "\n".join(loaded.notes)
    assert "1 of 4 images are not in meta.csv (first: b/unlisted.png)" in notes
    assert "labels of meta.csv that no folder has: c (last on line 4)" in notes


def test_rows_without_a_file_are_noted_by_line(folder, draw, tmp_path):
    draw("a/x.png", 1)
    (tmp_path / "data/meta.csv").write_text("name\nx\ngone\nlost\n")
    note = folder(csv="meta.csv", id_column="name").load(tmp_path).notes[0]
    assert note == "2 images of meta.csv have no file (first: gone, line 3)"


def test_a_csv_that_may_be_absent_is_used_where_it_is_and_missed_where_not(folder, draw, tmp_path):
    for k in (1, 2):
        draw(f"Train/nevus/ISIC_000000{k}.png", 40 * k)
    spec = folder("isic9", expected={})
    note = spec.load(tmp_path).notes[0]
    assert "metadata.csv is not in" in note and "lesion" in note
    columns = "image_id,isic2019_label,lesion_id\n"
    rows = "ISIC_0000001,NV,L1\nISIC_0000002,,L1\n"
    (tmp_path / "data/metadata.csv").write_text(columns + rows)
    loaded = spec.load(tmp_path)
    assert loaded.samples.group.tolist() == ["L1", "L1"]
    assert loaded.notes[0] == "dataset.official_column=isic2019_label: known for 1 of 2 images"
    assert loaded.survey.confirmed == [("nevus",), ()]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"name,dx\nx,a\nx,b\n", ["line 3", "x comes twice", "line 2"]),
        (b"name,dx\nx,a\n,b\n", ["line 3", "has no name"]),
        (b"name,dx\nx,a,b\n", ["line 2", "more cells"]),
        (b"name,dx\nx,a\ny,n\xe4vus\n", ["line 3", "UTF-8", "0xe4"]),
        (b"image,dx\nx,a\n", ["lacks the column name", "image, dx"]),
        (b"name\nx\n", ["lacks the column dx"]),
        (b"name,dx\nx,n\xe4vus\n", ["UTF-8"]),
        (b"", ["lacks the column dx, name"]),
        (None, ["cannot be read"]),
    ],
)
def test_a_wrong_csv_is_refused_in_one_line(folder, draw, tmp_path, content, said):
    draw("a/x.png", 1)
    path = tmp_path / "data/meta.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as refused:
        folder(csv="meta.csv", id_column="name", label_column="dx").load(tmp_path)
    (line,) = refused.value.lines
    assert "\n" not in line
    for words in [str(path), *said]:
        assert words in line


def test_the_errors_of_a_csv_are_listed_up_to_a_limit(folder, draw, tmp_path):
    draw("a/x.png", 1)
    (tmp_path / "data/meta.csv").write_text("name\n" + "x\n" * 40)
    with pytest.raises(UserError) as refused:
        folder(csv="meta.csv", id_column="name").load(tmp_path)
    assert len(refused.value.lines) == 21
    assert "19 more like these" in refused.value.lines[-1]


@pytest.mark.parametrize(
    ("kind", "name", "rows", "said"),
    [
        ("isic9", "metadata.csv", "image_id,isic2019_label,lesion_id\nx,NV,\ny,MLE,\n", "MEL"),
        ("ham10000", "HAM10000_metadata.csv", "image_id,dx,lesion_id\nx,nv,1\ny,,1\n", "nv"),
    ],
)
def test_an_unknown_label_is_refused_by_line(folder, draw, tmp_path, kind, name, rows, said):
    draw("Train/nevus/x.png", 1)
    (tmp_path / "data" / name).write_text(rows)
    with pytest.raises(UserError) as refused:
        folder(kind).load(tmp_path)
    (line,) = refused.value.lines
    assert "line 3" in line and said in line


def test_ham10000_is_read_in_its_authors_form(folder, draw, tmp_path):
    for k in range(5):
        draw(f"images_part_{1 + k % 2}/ISIC_000000{k}.png", k)
    rows = [f"L{k // 2},ISIC_000000{k},{'mel' if k == 1 else 'nv'},histo,40" for k in (3, 1, 2, 0)]
    csv = "\n".join(["lesion_id,image_id,dx,dx_type,age", *rows, "L9,ISIC_0000009,df,histo,"])
    (tmp_path / "data/HAM10000_metadata.csv").write_text(csv + "\n")
    loaded = folder("ham10000").load(tmp_path)
    assert loaded.samples.classes == ("mel", "nv")
    assert loaded.samples.source.tolist() == [f"ISIC_000000{k}" for k in range(4)]
    assert loaded.samples.label.tolist() == [1, 0, 1, 1]
    assert loaded.pixels[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert loaded.samples.group.tolist() == ["L0", "L0", "L1", "L1"]
    assert set(loaded.samples.official) == {"train"}
    assert loaded.metadata["ISIC_0000002"]["age"] == "40"
    missing, unnamed = loaded.notes
    assert missing.startswith("1 ") and unnamed.startswith("1 ")


def test_the_real_isic_set_is_what_is_known_of_it(isic9):
    samples = isic9.samples
    in_train = samples.official == "train"
    assert (in_train.sum(), (~in_train).sum(), len(samples.classes)) == (2241, 118, 9)
    groups, official, counts, conflicts = isic9.notes
    assert groups == "dataset.group_column=lesion_id: known for 1514 of 2359 images"
    assert official == "dataset.official_column=isic2019_label: known for 1862 of 2359 images"
    assert "train/basal cell carcinoma 378 (published 376)" in counts
    assert counts.count("published") == 2  # the heading and this one class
    assert "keep: images under two labels: 155 (310 files); left out: 0 files" in conflicts
    # Of 77 seborrheic keratoses 75 are byte for byte melanomas.
    keratosis = in_train & (samples.label == samples.classes.index("seborrheic keratosis"))
    melanoma = in_train & (samples.label == samples.classes.index("melanoma"))
    assert np.isin(samples.group[keratosis], samples.group[melanoma]).sum() >= 75


def test_the_real_ham10000_is_what_is_known_of_it(option, real_folder, tmp_path):
    root = real_folder("ham10000")
    loaded = option("dataset", "ham10000", root=root, image_size=(8, 8)).load(tmp_path)
    samples, pairs = loaded.samples, loaded.survey.fingerprints.pairs
    assert len(samples) == 4119
    # The set names its lesions, so a pair of two lesions would be a false one.
    lesions = np.array(loaded.survey.listing.lesions)
    assert len(pairs) == 54
    assert (lesions[pairs.first] == lesions[pairs.second]).all()
    assert len(samples.classes) == 7
    assert len(set(samples.group)) == 3048
