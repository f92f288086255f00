"""The audit finds what is doubled, contradictory, odd or unreadable, and nothing else."""

import csv
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pictures import picture, position, recompressed, save
from PIL import Image, ImageFilter
from small_run import experiment, runs

from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.data.audit import audit_html, cached, findings
from melanoma_exp.data.duplicates import near_duplicates
from melanoma_exp.run import runner


@pytest.fixture
def faulty(folder, tmp_path) -> Any:
    """A spec of a set that has one fault of every sort among thirty sound images."""
    root = tmp_path / "data"
    for k in range(30):
        save(picture(100 + k), root / f"Train/{'ab'[k % 2]}/sound{k}.png")
    save(picture(1), root / "Train/a/ISIC_0000001.png")
    shutil.copy(root / "Train/a/ISIC_0000001.png", root / "Train/b/bytes.png")
    save(picture(2), root / "Train/a/pixels.png")
    picture(2).save(root / "Train/a/pixels2.png", compress_level=1)
    save(picture(3), root / "Train/a/ISIC_0000003.png")
    save(recompressed(picture(3), 60), root / "Train/b/ISIC_0000003(1).png")
    save(picture(5), root / "Train/a/turned.png")
    save(recompressed(position(picture(5), 5), 50), root / "Test/b/turned5.png")
    save(picture(6), root / "Train/b/mirrored.png")
    save(position(picture(6), 1).resize((64, 64)), root / "Train/b/mirrored1.png")
    save(picture(7), root / "Train/a/ISIC_0000007.png")
    save(picture(8), root / "Test/a/ISIC_0000008.png")
    save(picture(9), root / "Train/a/ISIC_0000009.png")
    save(picture(10), root / "Train/a/1.png")
    save(picture(11), root / "Train/b/1.png")
    save(Image.eval(picture(12), lambda value: value // 2), root / "Train/a/night.png")
    save(picture(13).resize((400, 400)), root / "Train/a/large.png")
    save(picture(14).filter(ImageFilter.GaussianBlur(6)), root / "Train/a/soft.png")
    (root / "Train/a/broken.png").write_bytes(b"no image")
    (root / "meta.csv").write_text(
        "image_id,lesion_id,dx\nISIC_0000007,L1,A\nISIC_0000008,L1,\nISIC_0000009,,B\n"
    )
    return folder(
        csv="meta.csv",
        group_column="lesion_id",
        official_column="dx",
        official_classes={"A": ["a"], "B": ["b"]},
        expected={"train": {"a": 28, "b": 20}, "test": {"a": 1, "b": 1}},
    )


def test_every_fault_is_found_once_and_nothing_else(faulty, tmp_path) -> None:
    found = findings.find(faulty.survey(tmp_path / "cache"))
    names = [(f.kind, f.detail, *sorted(Path(i).name for i in f.ids)) for f in found]
    assert names == [
        ("unreadable", "cannot be decoded", "broken.png"),
        ("two labels", "byte-identical", "ISIC_0000001.png", "bytes.png"),
        ("two labels", "near-duplicate", "turned.png", "turned5.png"),
        ("two labels", "same image id", "ISIC_0000003(1).png", "ISIC_0000003.png"),
        ("train and test", "near-duplicate", "turned.png", "turned5.png"),
        ("train and test", "same lesion", "ISIC_0000007.png", "ISIC_0000008.png"),
        ("official label", "officially b", "ISIC_0000009.png"),
        ("doubled", "equal pixels", "pixels.png", "pixels2.png"),
        ("doubled", "near-duplicate", "mirrored.png", "mirrored1.png"),
        ("class count", "fewer than published", "a"),
        ("colour", "darker", "night.png"),
        ("size", "large", "large.png"),
        ("sharpness", "blurred", "soft.png"),
    ]


def test_a_near_duplicate_says_how_far_and_how_turned(faulty, tmp_path) -> None:
    found = findings.find(faulty.survey(tmp_path / "cache"))
    near = {f.ids[0]: f for f in found if f.detail == "near-duplicate" and f.kind != "two labels"}
    notes = [f.note for f in near.values()]
    assert notes == ["turned by 90° anticlockwise", "mirrored left to right"]
    assert all(0 < f.distance <= near_duplicates.DISTANCE for f in near.values())


def test_every_finding_is_a_row_of_the_csv(faulty, tmp_path) -> None:
    found = findings.find(faulty.survey(tmp_path / "cache"))
    findings.write_csv(found, tmp_path / "audit.csv")
    rows = list(csv.DictReader((tmp_path / "audit.csv").open()))
    assert [r["kind"] for r in rows] == [f.kind for f in found]
    assert [tuple(r["ids"].split(" | ")) for r in rows] == [f.ids for f in found]
    assert sum(bool(r["distance"]) for r in rows) == 3


def test_the_page_needs_no_network_and_says_what_it_caps(faulty, tmp_path, monkeypatch) -> None:
    save(picture(20), tmp_path / "data/Train/<b>&/odd.png")
    survey = faulty.survey(tmp_path / "cache")
    found = findings.find(survey)
    monkeypatch.setattr(audit_html, "SHOWN", 2)
    audit_html.write(survey, findings.KINDS, found, tmp_path / "audit.html")
    text = (tmp_path / "audit.html").read_text()
    assert not re.search(r"(src|href)=\"(?!data:image/jpeg;base64,|#)|https?:|@import|url\(", text)
    pictures = text.count("data:image/jpeg")
    assert pictures == 0 + 4 + 4 + 1 + 4 + 0 + 1 + 1 + 1  # two findings a kind, pairs in full
    assert "Shown here: 2 of 3" in text
    assert "&lt;b&gt;&amp;" in text and "<b>&" not in text
    assert "not a medical device" in text


def test_an_audit_is_made_once(faulty, tmp_path, monkeypatch) -> None:
    survey = faulty.survey(tmp_path / "cache")
    first = cached.audit(survey, tmp_path / "cache")
    monkeypatch.setattr(audit_html, "write", lambda *_: pytest.fail("made again"))
    monkeypatch.setattr(near_duplicates, "find", lambda *_: pytest.fail("looked again"))
    again = cached.audit(faulty.survey(tmp_path / "cache"), tmp_path / "cache")
    assert again.findings == first.findings
    assert [path.is_file() for path in again.files] == [True, True]


def test_the_command_leaves_its_files_and_a_run_of_its_own(faulty, tmp_path, capsys) -> None:
    options = [
        f"dataset.root={faulty.root}",
        f"cache.dir={tmp_path / 'cache'}",
        f"tracking.folder={tmp_path / 'mlruns'}",
    ]
    COMMANDS["audit"](["--out", str(tmp_path / "out"), "dataset=folder", *options])
    left = ["audit.csv", "audit.html", "audit_markers.csv"]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == left
    printed = capsys.readouterr().out
    assert "two labels" in printed and "melanoma_exp_audits" in printed
    (run,) = runs(tmp_path)
    artifacts = Path(run.info.artifact_uri.removeprefix("file://"))
    assert sorted(p.name for p in artifacts.iterdir()) == left
    assert run.data.metrics["findings/unreadable"] == 1
    assert run.info.status == "FINISHED"


def test_a_plan_says_what_the_audit_found(images, tmp_path) -> None:
    root = tmp_path / "images"
    shutil.copytree(images, root)
    shutil.copy(root / "melanoma/melanoma0.png", root / "other/again.png")
    small = experiment(root, tmp_path, "dataset.conflicts=drop")
    said = "\n".join(runner.prepare_data(small).notes())
    assert "audit of all files: two labels 1 (audit.csv" in said
    assert "dataset.conflicts=drop: images under two labels: 1 (2 files); left out: 2 files" in said


def test_the_real_set_has_the_known_faults(isic9) -> None:
    found = findings.find(isic9.survey)
    odd = ("colour", "size", "sharpness")
    assert 0 < sum(f.kind in odd for f in found) < 50
    sorts = Counter((f.kind, f.detail) for f in found if f.kind not in odd)
    assert sorts == {
        ("two labels", "byte-identical"): 155,
        ("train and test", "byte-identical"): 18,
        ("train and test", "same lesion"): 32,
        ("train and test", "near-duplicate"): 1,
        ("official label", "officially actinic keratosis"): 76,
        ("official label", "officially melanoma"): 26,
        ("doubled", "byte-identical"): 4,
        ("doubled", "near-duplicate"): 9,
        ("class count", "more than published"): 1,
    }
    assert len({f.ids for f in found if f.detail == "byte-identical"}) == 159
    wrong = [f for f in found if f.detail == "officially actinic keratosis"]
    assert {f.labels for f in wrong} == {("nevus",)}
    crossing = {f.ids for f in found if f.kind == "train and test"}
    two = [(f.ids in crossing, f.labels) for f in found if f.kind == "two labels"]
    pairs = Counter((crosses, tuple(sorted(labels))) for crosses, labels in two)
    keratoses = ("actinic keratosis", "nevus"), ("melanoma", "seborrheic keratosis")
    assert [pairs[False, k] for k in keratoses] == [62, 75]
    assert [pairs[True, k] for k in keratoses] == [15, 3]
