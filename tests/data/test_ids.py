"""Which row of a CSV an image belongs to, however the CSV writes its name; and namesakes."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from pictures import picture, save, skin
from PIL import Image

from melanoma_exp.data.layouts.ids import tie
from melanoma_exp.data.metadata import Table
from melanoma_exp.spec import UserError

IMAGES = [f"{'benign' if k < 3 else 'malignant'}/IMG_{k:04d}.JPG" for k in range(6)]
FORMS = {
    "stem": lambda name: Path(name).stem,
    "suffix": lambda name: Path(name).name,
    "other suffix": lambda name: f"{Path(name).stem}.dcm",
    "path": lambda name: name,
    "path without suffix": lambda name: str(Path(name).with_suffix("")),
    "from here": lambda name: f"./{name}",
    "longer path": lambda name: f"/kaggle/input/lesions/{name}",
    "other folders": lambda name: f"elsewhere/{Path(name).name}",
    "of Windows": lambda name: "C:\\data\\" + name.replace("/", "\\"),
    "lower case": lambda name: name.lower(),
    "upper case": lambda name: Path(name).name.upper(),
    "downsampled": lambda name: f"{Path(name).stem}_downsampled",
}


def table(*ids: str, **cells: str) -> Table:
    rows = {image: dict(cells) or {"patient": f"P{k}"} for k, image in enumerate(ids)}
    return Table(Path("meta.csv"), rows, {image: k + 2 for k, image in enumerate(ids)})


@pytest.mark.parametrize("form", FORMS)
def test_ids_are_understood_in_every_form(form):
    ids = [FORMS[form](name) for name in IMAGES]
    assert tie(IMAGES, table(*reversed(ids))) == ids


def test_names_on_disk_may_be_the_longer_ones():
    images = ["a/ISIC_0000001_downsampled.jpg", "a/isic_0000002.jpg", "a/nevus_ISIC_0000003(1).jpg"]
    ids = ["ISIC_0000001", "ISIC_0000002.jpg", "x/ISIC_0000003_downsampled"]
    assert tie(images, table(*ids)) == ids
    assert tie(["a/ISIC_00000012.jpg"], table("ISIC_0000001")) == [""]  # eight digits, not seven
    assert tie(
        ["a/u\N{COMBINING DIAERESIS}1.jpg"], table("\N{LATIN SMALL LETTER U WITH DIAERESIS}1")
    )


def test_folders_and_suffixes_tell_namesakes_apart():
    images = ["Train/a/1.png", "Train/b/1.png", "Test/a/1.png", "Train/a/2.png", "Train/a/2.jpg"]
    ids = ["train/a/1", "train/b/1", "test/a/1", "2.png", "2.jpeg"]
    assert tie(images, table(*ids)) == ids
    assert tie(images[:3], table("train/a/1")) == ["train/a/1", "", ""]
    assert tie(["a/1.png", "b/1.png"], table("b/1", "c/1")) == ["", "b/1"]
    assert tie(["IMG1.jpg", "img1.jpg"], table("img1", "IMG1")) == ["IMG1", "img1"]


def test_two_rows_of_one_image_are_refused_unless_they_agree():
    with pytest.raises(UserError, match=r"IMG1 \(line 3\) and img1.jpg \(line 2\) name the same"):
        tie(["a/img1.jpg"], table("img1.jpg", "IMG1"))
    assert tie(["a/img1.jpg"], table("img1.jpg", "IMG1", patient="P")) == ["img1.jpg"]


@pytest.fixture
def draw(tmp_path):
    def save(name: str, shade: int, mode: str = "RGB") -> Path:
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (shade, 9, 9)).convert(mode).save(path)
        return path

    return save


def write(tmp_path: Path, text: str, name: str = "meta.csv") -> None:
    (tmp_path / "data" / name).write_text(text)


def test_one_camera_number_in_two_folders_takes_nobodys_label(folder, draw, tmp_path):
    for k, name in enumerate(("benign/1", "malignant/1", "benign/2", "malignant/3")):
        draw(f"{name}.png", 40 * k)
    write(tmp_path, "image_id,patient\n1,P1\n2,P2\n3,P3\n")
    spec = folder(csv="meta.csv", group_column="patient")
    with pytest.raises(UserError, match="benign/1.png and malignant/1.png are different pictures"):
        spec.load(tmp_path)
    write(tmp_path, "image_id,patient\nbenign/1,P1\nmalignant/1,P9\n2,P2\n3,P3\n")
    assert spec.load(tmp_path).samples.group.tolist() == ["P1", "P2", "P9", "P3"]


def test_copies_of_one_picture_share_a_name(folder, draw, tmp_path):
    first = draw("benign/1.png", 40)
    shutil.copy(first, draw("malignant/1.png", 90))
    draw("malignant/2.png", 120)
    write(tmp_path, "image_id,patient\n1,P1\n2,P2\n")
    loaded = folder(csv="meta.csv", group_column="patient").load(tmp_path)
    assert loaded.samples.group.tolist() == ["P1", "P1", "P2"]


def ham(tmp_path: Path, images: int) -> None:
    rows = [f"L{k},ISIC_000000{k},{'mel' if k % 2 else 'nv'}" for k in range(images)]
    write(tmp_path, "\n".join(["lesion_id,image_id,dx", *rows]), "HAM10000_metadata.csv")


@pytest.mark.parametrize(
    "masks",
    [
        "masks/{}.png",
        "Lesion_Segmentations/{}.png",
        "ISIC2018_Task1_Training_GroundTruth/{}.png",
        "a/{}_segmentation.png",
    ],
)
def test_masks_are_named_and_left_out(folder, draw, tmp_path, masks):
    for k in range(4):
        draw(f"images/ISIC_000000{k}.png", 40 * k)
        draw(masks.format(f"ISIC_000000{k}"), 255, "1")
    ham(tmp_path, 4)
    loaded = folder("ham10000").load(tmp_path)
    assert loaded.pixels[:, 0, 0, 0].tolist() == [0, 40, 80, 120]
    assert "4 images are not used, for their names say masks or segmentations" in loaded.notes[0]


def test_two_pictures_of_one_id_are_refused_by_both_names(folder, draw, tmp_path):
    for k in range(2):
        draw(f"images/ISIC_000000{k}.png", 40 * k)
    draw("second/ISIC_0000001.png", 255, "1")
    ham(tmp_path, 2)
    with pytest.raises(UserError) as refused:
        folder("ham10000").load(tmp_path)
    (line,) = refused.value.lines
    assert "images/ISIC_0000001.png and second/ISIC_0000001.png are different pictures" in line
    draw("second/ISIC_0000001.png", 40)  # the same pixels
    (note,) = [n for n in folder("ham10000").load(tmp_path).notes if "further" in n]
    assert note.startswith("1 further files of images that are there already")


def test_a_folder_of_masks_is_no_class(folder, draw, tmp_path):
    for k, name in enumerate(("nevus/a", "melanoma/b", "masks/a", "nevus/a_mask")):
        draw(f"{name}.png", 40 * k)
    loaded = folder().load(tmp_path)
    assert loaded.samples.source.tolist() == ["melanoma/b.png", "nevus/a.png"]
    assert "2 images are not used" in loaded.notes[0] and "masks/" in loaded.notes[0]


def test_masks_that_no_name_says_are_named_by_their_pixels(folder, tmp_path):
    y, x = np.mgrid[-1:1:90j, -1:1:120j]
    for k in range(4):
        save(picture(k), tmp_path / f"data/{'ab'[k % 2]}/{k}.png")
        mask = 255 * (np.hypot(x, 1.2 * y + 0.1 * k) < 0.3 + 0.1 * k).astype(np.uint8)
        suffix = "png" if k % 2 else "jpg"
        save(Image.fromarray(mask), tmp_path / f"data/{'ab'[k % 2]}/{k}_lesion.{suffix}")
    notes = folder().load(tmp_path / "cache").notes
    (note,) = [note for note in notes if "black and white alone" in note]
    assert note.startswith("4 of 8 images") and "first: a/0_lesion.jpg" in note


def test_photographs_grey_ones_and_drawings_of_flat_colour_are_no_masks(folder, tmp_path):
    pictures = [picture(1), picture(2).convert("L"), Image.new("L", (30, 30), 255)]
    pictures.append(Image.fromarray(skin()))
    for k, one in enumerate(pictures):
        save(one, tmp_path / f"data/{'ab'[k % 2]}/{k}.png")
    assert not any("black and white" in note for note in folder().load(tmp_path / "cache").notes)


def test_groups_that_tie_nothing_are_said_to(folder, draw, tmp_path):
    for k in range(4):
        draw(f"{'ab'[k % 2]}/img{k}.png", 40 * k)
    for cells, said in ((["1", "2", "3", "4"], True), (["1", "1", "2", "3"], False)):
        write(tmp_path, "\n".join(["image_id,p", *(f"img{k},{c}" for k, c in enumerate(cells))]))
        notes = folder(csv="meta.csv", group_column="p").load(tmp_path / "cache").notes
        assert any("no two images share a value" in note for note in notes) == said
