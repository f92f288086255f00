"""CSVs, class folders and splits that say nothing, contradict themselves or are none."""

import io
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from bad_inputs import Case, write
from pictures import picture
from pydantic import TypeAdapter

from melanoma_exp.augment import AnyPolicy
from melanoma_exp.data import datamodule
from melanoma_exp.data.balance import AnyBalance
from melanoma_exp.data.datasets import AnyDataset
from melanoma_exp.data.splits import AnySplit
from melanoma_exp.spec import validate
from melanoma_exp.system.installation import conf_folder

GROUP = {"csv": "a.csv", "group_column": "patient"}
LABEL = {"csv": "a.csv", "label_column": "dx"}


def option(group: str, name: str, kind: Any, **changes: Any) -> Any:
    content = yaml.safe_load((conf_folder() / group / f"{name}.yaml").read_text())
    return validate(TypeAdapter(kind), {**content.get(group, content), **changes}, group)


def dataset(place: Path, **changes: Any) -> Any:
    given = {"root": place / "data", "image_size": (8, 8), "resize": "nearest", **changes}
    return option("dataset", "folder", AnyDataset, **given)


def photographs(place: Path, *names: str) -> None:
    for k, name in enumerate(names):
        path = place / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(k, 24).save(path)


def four(place: Path) -> None:
    photographs(place, "benign/img1.png", "benign/img2.png", "mel/img3.png", "mel/img4.png")


def table(content: str | bytes, **columns: Any) -> Case:
    def given(place: Path) -> Any:
        four(place)
        write(place / "data" / "a.csv", content)
        dataset(place, **(columns or GROUP)).find(place / "cache")

    return given


def rows(heading: str, *cells: str) -> str:
    return "\n".join([heading, *(f"img{k}{one}" for k, one in enumerate(cells, 1))]) + "\n"


def book(inner: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr(inner, "x")
    return content.getvalue()


def piped(place: Path) -> Any:
    four(place)
    os.mkfifo(place / "data" / "a.csv")
    dataset(place, **GROUP).find(place / "cache")


def stated(**columns: Any) -> Case:
    def given(place: Path) -> Any:
        four(place)
        dataset(place, **columns).find(place / "cache")

    return given


GOOD = rows("image_id,patient,dx", ",P1,nv", ",P1,nv", ",P2,mel", ",P2,mel")
TABLES: dict[str, Case] = {
    "an old Excel workbook": table(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
    "an OpenDocument spreadsheet": table(book("mimetype") + b"opendocument.spreadsheet"),
    "a ZIP": table(book("a.csv")),
    "a gzip file": table(b"\x1f\x8b\x08\x00"),
    "a SQLite database": table(b"SQLite format 3\0"),
    "a PDF": table(b"%PDF-1.4\n"),
    "a pipe": piped,
    "no file": stated(**GROUP),
    "UTF-16 without its mark": table(GOOD.encode("utf-16")[2:]),
    "Latin-1": table(GOOD.replace("nv", "Nävus").encode("latin-1")),
    "an empty file": table(""),
    "JSON": table("[{}]"),
    "a heading alone": table("image_id,patient\n"),
    "a column in another letter case": table(GOOD.replace("patient", "Patient")),
    "a column twice": table(GOOD.replace("dx", "patient")),
    "another column of ids": table(GOOD.replace("image_id", "isic_id")),
    "a quotation mark that is never closed": table(GOOD.replace(",P1,nv", ',"P1,nv', 1)),
    "a row with more cells than the heading": table(GOOD.replace("P2,mel", "P2,mel,x,y", 1)),
    "a row without an id": table(GOOD.replace("img3", "")),
    "an id twice": table(GOOD.replace("img2", "img1")),
    "an id twice, with two suffixes": table(GOOD.replace("img1,P1", "img3.png,P1")),
    "ids of other images": table(GOOD.replace("img", "ISIC_000000")),
    "ids that lost their zeros": table(GOOD.replace("img", "")),
    "a column of empty cells": table(GOOD.replace("P1", "").replace("P2", "")),
    "a column of words for unknown": table(GOOD.replace("P1", "unknown").replace("P2", "n/a")),
    "labels that are all unknown": table(GOOD.replace("nv", "?").replace("mel", "-"), **LABEL),
    "a column and no CSV": stated(group_column="patient"),
    "two columns and no CSV": stated(label_column="dx", id_column="image"),
    "the column of ids as groups": table(GOOD, csv="a.csv", group_column="image_id"),
    "what an official label means, and no column": stated(official_classes={"NV": ["nv"]}),
}


def folders(*names: str, **changes: Any) -> Case:
    def given(place: Path) -> Any:
        (place / "data").mkdir()
        photographs(place, *(name for name in names if not name.endswith("/")))
        for name in names:
            if name.endswith("/"):
                (place / "data" / name).mkdir(parents=True)
        prepare(place, dataset(place, **changes))

    return given


def prepare(place: Path, spec: Any, split: Any = None) -> None:
    loaded = spec.load(place / "cache")
    chosen = split or option("split", "holdout", AnySplit)
    balance, augment = option("balance", "none", AnyBalance), option("augment", "none", AnyPolicy)
    datamodule.prepare(spec, loaded, chosen, balance, augment, 1, place)


def not_utf8(place: Path) -> Any:
    four(place)
    os.rename(os.fsencode(place / "data" / "mel"), os.fsencode(place / "data") + b"/m\xe9l")
    dataset(place).find(place / "cache")


def namesakes(place: Path) -> Any:
    photographs(place, "benign/img1.png", "mel/img1.png")
    write(place / "data" / "a.csv", "image_id,patient\nimg1,P1\n")
    dataset(place, **GROUP).find(place / "cache")


def one_group(place: Path) -> Any:
    four(place)
    write(place / "data" / "a.csv", GOOD.replace("P2", "P1"))
    prepare(place, dataset(place, **GROUP))


def pipes(kind: str, *names: str) -> Case:
    def given(place: Path) -> Any:
        for name in names:
            (place / "data" / name).parent.mkdir(parents=True)
            os.mkfifo(place / "data" / name)
        option("dataset", kind, AnyDataset, root=place / "data").find(place / "cache")

    return given


def many(*classes: tuple[str, int]) -> Sequence[str]:
    return [f"{name}/{name.replace('/', '_')}{k}.png" for name, n in classes for k in range(n)]


FOLDERS: dict[str, Case] = {
    "no folder": stated(root="gone"),
    "an empty folder": folders(),
    "images and no class folders": folders("img1.png", "img2.png"),
    "a class folder without images": folders("benign/img1.png", "mel/"),
    "a class folder of GIFs": folders("benign/img1.png", "mel/img2.gif"),
    "train/ and Training/": folders("train/a/1.png", "Training/b/2.png"),
    "one class": folders(*many(("mel", 9))),
    "one class in training": folders(*many(("Train/mel", 9), ("Test/nv", 3))),
    "a class of one image": folders(*many(("mel", 12), ("nv", 1))),
    "a class for every image": folders(*many(*((f"class{k}", 1) for k in range(9)))),
    "one patient": one_group,
    "two pictures of one name": namesakes,
    "a name that is not UTF-8": not_utf8,
    "an .npz that is a pipe": pipes("dermamnist", "a/dermamnist.npz"),
    "two tables of one name that are pipes": pipes(
        "ham10000", "a/HAM10000_metadata.csv", "b/HAM10000_metadata.csv"
    ),
    "no class of the task": folders(*many(("a", 6), ("b", 6)), task="melanoma"),
    "official labels that are not there": folders(*many(("a", 6), ("b", 6)), labels="verified"),
}


def split(content: str) -> Case:
    def given(place: Path) -> Any:
        four(place)
        path = write(place / "split.csv", content)
        chosen = option("split", "file", AnySplit, path=path)
        prepare(place, dataset(place), chosen)

    return given


PARTS = (
    "id,part\nbenign/img1.png,train\nbenign/img2.png,val\nmel/img3.png,train\nmel/img4.png,val\n"
)
SPLITS: dict[str, Case] = {
    "another heading": split(PARTS.replace("part", "split")),
    "another word for a part": split(PARTS.replace("val", "valid")),
    "an image twice": split(PARTS.replace("img2", "img1")),
    "an image that there is not": split(PARTS.replace("img4", "img9")),
    "no images": split("id,part\n"),
    "no validation": split(PARTS.replace("val", "train")),
    "one class in validation": split(PARTS.replace("img2.png,val", "img2.png,train")),
}
