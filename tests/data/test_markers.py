"""Markers are found where they are drawn, nowhere else, and counted per class."""

import csv
import hashlib
from collections.abc import Callable

import drawn_markers as drawn
import numpy as np
import pytest
from pictures import save
from PIL import Image

from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.data.audit.markers import decide, found, measured, per_class
from melanoma_exp.data.samples import Samples
from melanoma_exp.spec import UserError

DRAWN = {
    decide.TEXT: drawn.with_text,
    decide.FRAME: drawn.with_frame,
    decide.CORNERS: drawn.with_dark_corners,
    decide.RULER: drawn.with_ruler,
    decide.INK: drawn.with_ink,
}
Draw = Callable[[Image.Image], Image.Image]


def marks(images: list[Image.Image]) -> list[set[str]]:
    """Returns the markers of each image."""
    seen = [measured.of_image(image) for image in images]
    columns = {name: np.stack([one[name] for one in seen]) for name in measured.NAMES}
    has: list[set[str]] = [set() for _ in images]
    for name in decide.MARKERS:
        for hit in decide.decide(measured.Measured(**columns), name):
            has[hit.row].add(name)
    return has


def test_a_lesion_alone_has_no_marker() -> None:
    assert marks([drawn.lesion(seed) for seed in range(24)]) == [set()] * 24


@pytest.mark.parametrize(("marker", "draw"), DRAWN.items(), ids=DRAWN)
def test_a_marker_is_found_in_a_picture_of_any_size_and_position(marker: str, draw: Draw) -> None:
    large = [draw(drawn.lesion(seed, side)) for seed, side in ((1, 180), (2, 256), (3, 600))]
    turned = [draw(drawn.lesion(4)).rotate(180), draw(drawn.lesion(5)).rotate(90)]
    turned = [draw(drawn.lesion(k)) for k in (4, 5)] if marker == decide.TEXT else turned
    assert marks([*large, *turned]) == [{marker}] * 5


def test_small_red_figures_that_run_into_each_other_are_text() -> None:
    assert marks([drawn.with_small_text(drawn.lesion(k)) for k in range(4)]) == [{decide.TEXT}] * 4


def test_a_black_picture_has_no_dark_corners() -> None:
    assert marks([Image.new("RGB", (90, 60))]) == [{decide.OFF_TOPIC}]


def test_hairs_are_no_ruler_and_few_ticks_are_none() -> None:
    lesion = drawn.lesion(7)
    assert marks([drawn.with_ruler(lesion, 2)]) == [set()]
    random = np.random.default_rng(0)
    pixels = np.asarray(lesion).copy()
    for x, y in random.integers(10, 240, (60, 2)):
        pixels[y : y + 12, x : x + 2] = 25
    assert marks([Image.fromarray(pixels)]) == [set()]


def test_what_is_no_lesion_is_off_topic_alone_and_in_a_set() -> None:
    odd = [drawn.page(), drawn.photographed_page(), drawn.radiograph(), drawn.plants()]
    odd.append(Image.new("RGB", (300, 200), (205, 160, 140)))
    assert all(decide.OFF_TOPIC in has for has in marks(odd))
    some = marks([*(drawn.lesion(seed) for seed in range(24)), *odd])
    assert [decide.OFF_TOPIC in has for has in some] == [False] * 24 + [True] * 5


def samples(label: list[int], group: list[int] | None = None) -> Samples:
    n = len(label)
    rows, names = np.arange(n), np.array([f"i{k}" for k in range(n)])
    groups = np.array([f"g{k}" for k in group or range(n)])
    parts = np.full(n, "train")
    classes = ("melanoma", "nevus", "other")
    return Samples(classes, rows, names, np.zeros(n, int), np.array(label), groups, parts)


def test_a_marker_of_one_class_is_called_a_shortcut_and_one_of_all_is_not() -> None:
    label = np.repeat([0, 1, 2], 40)
    one, all_alike = np.zeros(120, bool), np.arange(120) % 4 == 0
    one[:20] = True
    counts = per_class.count(samples(label.tolist()), {"ruler": one, "ink": all_alike})
    (said,) = per_class.shortcuts(counts)
    assert said.startswith("ruler stands with melanoma (almost) only: 20 of the 20 lesions")
    assert "33% of all lesions are melanoma (p < 0.001)" in said
    one[40:44] = True
    (said,) = per_class.shortcuts(per_class.count(samples(label.tolist()), {"ruler": one}))
    assert said.startswith("ruler is on 50.0% of the lesions of melanoma (35.2% to 64.8%) and on")
    assert not per_class.shortcuts(per_class.count(samples(label.tolist()), {"ink": all_alike}))


def test_photographs_of_one_lesion_are_no_evidence() -> None:
    label, group = [0] * 20 + [1] * 20, [0] * 10 + list(range(1, 31))
    has = np.arange(40) < 10
    counts = per_class.count(samples(label, group), {"ruler": has})
    melanoma = counts[0]
    assert (melanoma.images, melanoma.marked_images) == (20, 10)
    assert (melanoma.lesions, melanoma.marked) == (11, 1)
    assert not per_class.shortcuts(counts)


def test_chances_allow_for_the_number_of_tests() -> None:
    has, label = np.arange(40) % 2 == 0, [0] * 40
    marked = {"ruler": np.arange(40) < 7, "ink": has}
    label[20:] = [1] * 20
    few = per_class.count(samples(label), {"ruler": marked["ruler"]})
    more = per_class.count(samples(label), marked)
    assert few[0].p < more[0].p == pytest.approx(2 * few[0].p)


@pytest.fixture
def marked(folder, tmp_path) -> list[str]:
    """A set whose melanomas have rulers, one nevus ink, and one picture of a page."""
    root = tmp_path / "data"
    for k in range(30):
        label = "melanoma" if k < 12 else "nevus"
        image = drawn.lesion(k, 128)
        image = drawn.with_ruler(image) if k < 12 else image
        save(drawn.with_ink(image) if k == 20 else image, root / label / f"{k:02}.png")
    save(drawn.page(), root / "nevus/page.png")
    storage = [f"cache.dir={tmp_path / 'cache'}", "tracking=off"]
    return ["dataset=folder", f"dataset.root={root}", *storage]


def test_the_command_counts_names_the_shortcut_and_keeps_an_older_report(
    marked, tmp_path, capsys, monkeypatch
) -> None:
    out = tmp_path / "out"
    COMMANDS["audit"]([*marked, "--quick", "--out", str(out)])
    printed = capsys.readouterr().out
    assert "shortcut? ruler stands with melanoma (almost) only: 12 of the 12" in printed
    rows = list(csv.DictReader((out / "audit_markers.csv").open()))
    have = {(r["marker"], r["class"]): r["with it"] for r in rows if r["with it"] != "0"}
    assert have.pop(("ruler", "melanoma")) == "12"
    assert have == {(name, "nevus"): "1" for name in ("off topic", "text", "frame", "ink")}
    page = (out / "audit.html").read_text()
    assert "ruler stands with melanoma (almost) only" in page
    assert 'data-source="nevus/page.png"' in page and 'data-source="nevus/20.png"' in page
    # Drop by a person's decision: it is not found again.
    (tmp_path / "d.csv").write_text("source,decision,value\nnevus/page.png,drop,\n")
    again = [*marked, f"dataset.decisions={tmp_path / 'd.csv'}", "--markers", "off-topic"]
    COMMANDS["audit"]([*again, "--quick", "--out", str(tmp_path / "second")])
    assert "page.png" not in (tmp_path / "second/audit.html").read_text()
    assert "ruler" not in (tmp_path / "second/audit_markers.csv").read_text()

    before = {path.name: path.read_bytes() for path in out.iterdir()}
    monkeypatch.setattr(found, "find", lambda *_: pytest.fail("looked before it refused"))
    with pytest.raises(UserError, match=r"audit\.csv is there already, of an older audit: name"):
        COMMANDS["audit"]([*marked, "--out", str(out)])
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_markers_can_be_left_out_and_an_unknown_one_is_named(marked, tmp_path) -> None:
    COMMANDS["audit"]([*marked, "--quick", "--markers", "none", "--out", str(tmp_path / "none")])
    assert not (tmp_path / "none/audit_markers.csv").exists()
    assert "Markers by class" not in (tmp_path / "none/audit.html").read_text()
    with pytest.raises(UserError, match="--markers: 'rulers' is none of off-topic.*did you mean"):
        COMMANDS["audit"]([*marked, "--markers", "rulers", "--out", str(tmp_path / "new")])


def test_a_stopped_audit_goes_on_where_it_was(tmp_path, monkeypatch) -> None:
    paths = [save(drawn.lesion(k, 64), tmp_path / f"{k}.png") for k in range(6)]
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    monkeypatch.setattr(measured, "BLOCK", 2)
    look, seen = measured.of_image, []

    def stopped(image: Image.Image) -> dict[str, np.ndarray]:
        seen.append(image)
        if len(seen) > 5:
            raise KeyboardInterrupt
        return look(image)

    monkeypatch.setattr(measured, "of_image", stopped)
    with pytest.raises(KeyboardInterrupt):
        measured.load(paths, digests, 10**6, tmp_path / "cache")
    seen.clear()
    whole = measured.load(paths, digests, 10**6, tmp_path / "cache")
    assert len(seen) == 2 and len(whole.ticks) == 6
