"""Which class of a run another set's class is, and which of its images the run has seen."""

import csv
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from melanoma_exp.run.external import class_map, overlap
from melanoma_exp.spec import UserError

HAM = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")


def dataset(melanoma: str, **codes: list[str]) -> Any:
    return SimpleNamespace(melanoma=(melanoma,), official_classes=codes)


def classes(table: Any, *names: str) -> Any:
    rows = table(list(range(len(names))))
    return type(rows)(**{**vars(rows), "classes": names})


def test_a_class_is_known_by_name_by_code_or_as_what_both_call_melanoma(table: Any) -> None:
    run = ("Actinic-keratosis", "basal cell carcinoma", "melanoma", "nevus", "vascular lesion")
    set_ = classes(table, "actinic_keratosis", "BCC", "mm", "nv", "vascular lesion")
    found = class_map.match(
        set_, run, {}, dataset("mm"), dataset("melanoma", NV=["nevus"], VASC=["vascular lesion"])
    )
    assert {k: m.target for k, m in found.items()} == {
        "actinic_keratosis": "Actinic-keratosis",
        "BCC": "basal cell carcinoma",
        "mm": "melanoma",
        "nv": "nevus",
        "vascular lesion": "vascular lesion",
    }
    back = class_map.match(
        classes(table, "nevus"), HAM, {}, dataset("x", NV=["nevus"]), dataset("mel")
    )
    assert back["nevus"].target == "nv"


def test_a_code_of_two_classes_is_none(table: Any) -> None:
    run = ("pigmented benign keratosis", "seborrheic keratosis")
    trained = dataset("melanoma", BKL=list(run))
    with pytest.raises(UserError, match="class bkl of the set"):
        class_map.match(classes(table, "bkl"), run, {}, dataset("mel"), trained)
    only = class_map.match(classes(table, "bkl"), run[:1], {}, dataset("mel"), trained)
    assert only["bkl"].target == run[0]


def test_every_unknown_class_and_every_misnamed_one_is_a_line(table: Any) -> None:
    rows = classes(table, *HAM)
    with pytest.raises(UserError) as error:
        class_map.match(
            rows, ("melanoma", "nevus"), {"nv": "nevsu", "melo": "-"}, dataset("mel"), dataset("x")
        )
    text = "\n".join(error.value.lines)
    for name in ("akiec", "bcc", "bkl", "df", "vasc"):
        assert f"class {name} of the set (1 image) is none" in text
    assert "no class nevsu" in text and "did you mean nevus" in text
    assert "no class melo" in text and "did you mean mel" in text
    assert "class nv of the set" not in text


def test_what_is_stated_counts_and_what_is_left_out_is_gone(table: Any) -> None:
    rows = classes(table, *HAM)
    stated = class_map.read(["akiec=AK,bcc=-, bkl=-", "df=AK,mel=MEL,nv=-,vasc=-"])
    mapped = class_map.match(rows, ("AK", "MEL"), stated, dataset("mel"), dataset("MEL"))
    left = class_map.relabel(rows, mapped, ("AK", "MEL"))
    assert left.classes == ("AK", "MEL") and left.label.tolist() == [0, 0, 1]
    assert left.source.tolist() == rows.source[[0, 3, 4]].tolist()
    for wrong in ("mel", "mel=", "=MEL", "mel=MEL,mel=AK"):
        with pytest.raises(UserError, match="--classes"):
            class_map.read([wrong])
    with pytest.raises(UserError, match="leaves out every class"):
        class_map.match(rows, ("AK",), dict.fromkeys(HAM, "-"), dataset("a"), dataset("b"))


def draw(path: Path, seed: int, turn: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (32, 32, 3), np.uint8)
    Image.fromarray(np.rot90(pixels, turn)).save(path)


def lesions(root: Path, rows: dict[str, str]) -> None:
    with (root / "m.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image_id", "lesion"), *rows.items()])


@pytest.fixture
def sets(option: Any, tmp_path: Path) -> tuple[Any, Any, dict[str, tuple[set[str], str]]]:
    """A run's dataset and another set, decoded, and the run's split."""
    run, other = tmp_path / "run", tmp_path / "other"
    parts = {"ISIC_0000001": "train", "b": "train", "c": "train", "d": "train", "e": "val"}
    parts |= {"f": "test", "g": "unused"}
    for seed, name in enumerate(parts):
        draw(run / "x" / f"{name}.png", seed)
    lesions(run, {"d": "L1", "f": "L2", "g": "L3"})
    (other / "y").mkdir(parents=True)
    draw(other / "y" / "ISIC_0000001_crop.png", 100)  # the id alone
    shutil.copy(run / "x" / "b.png", other / "y" / "copy.png")
    draw(other / "y" / "turned.png", 2, turn=1)  # of c
    draw(other / "y" / "again.png", 101)  # of the lesion of d
    draw(other / "y" / "mate.png", 102)  # of the lesion of the copy, by the other set alone
    shutil.copy(run / "x" / "e.png", other / "y" / "val.png")
    shutil.copy(run / "x" / "f.png", other / "y" / "tested.png")
    shutil.copy(run / "x" / "g.png", other / "y" / "unused.png")
    draw(other / "y" / "new.png", 103)
    lesions(other, {"again": "L1", "copy": "K", "mate": "K", "new": "L9"})
    loaded = [
        option(
            "dataset",
            "folder",
            root=root,
            csv="m.csv",
            group_column="lesion",
            image_size=(8, 8),
        ).load(tmp_path / "cache")
        for root in (run, other)
    ]
    split = {f"x/{name}.png": ({part}, f"x/{name}.png") for name, part in parts.items()}
    return loaded[0], loaded[1], {k: v for k, v in split.items() if v[0] != {"unused"}}


WANTED = {
    "ISIC_0000001_crop": "same_id",
    "copy": "same_pixels",
    "turned": "near_identical",
    "again": "same_lesion",
    "mate": "same_group",
    "val": "same_pixels",
    "tested": "",
    "unused": "",
    "new": "",
}


def test_an_image_the_run_has_learned_from_is_found_by_whatever_tells(
    sets: Any, tmp_path: Path
) -> None:
    run, other, split = sets
    known = overlap.known_by_files(split, run)
    found = overlap.measure(known, other, 10**6, tmp_path / "cache", same_lesions=True)
    names = [Path(s).stem for s in other.samples.source]
    assert dict(zip(names, found.reason.tolist(), strict=True)) == WANTED
    assert [n for n, v in zip(names, found.validation_only, strict=True) if v] == ["val"]
    assert [n for n, v in zip(names, found.tested, strict=True) if v] == ["tested"]
    assert sum(found.counts().values()) == found.seen.sum() == 6
    apart = overlap.measure(known, other, 10**6, tmp_path / "cache", same_lesions=False)
    assert dict(zip(names, apart.reason.tolist(), strict=True)) == {**WANTED, "again": ""}


def test_names_alone_tell_ids_and_lesions(sets: Any, tmp_path: Path) -> None:
    _, other, split = sets
    split["x/d.png"] = ({"train"}, "L1")  # as split.csv calls the group of a known lesion
    known = overlap.known_by_names(split)
    found = overlap.measure(known, other, 10**6, tmp_path / "cache", same_lesions=True)
    names = [Path(s).stem for s in other.samples.source]
    told = {k: v for k, v in WANTED.items() if v in ("same_id", "same_lesion")}
    assert not found.by_pixels
    assert {n: r for n, r in zip(names, found.reason.tolist(), strict=True) if r} == told


def test_a_child_counts_as_its_source_and_an_unused_image_as_none() -> None:
    text = (
        "id,source,group,label,part\na,a,g,x,val\na#1,a,g,x,train\nb,b,h,x,unused\nc,c,i,x,test\n"
    )
    assert overlap.read_split(text) == {"a": ({"train", "val"}, "g"), "c": ({"test"}, "i")}
