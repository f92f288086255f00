"""What a comparison leaves: a page that needs nothing but itself, a CSV, a Markdown table."""

import csv
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from stored_runs import CLASSES, SWEEP, compared

from melanoma_exp.report.figures import SetupCurves, comparison_charts
from melanoma_exp.spec import UserError


class Page(HTMLParser):
    """Collects tags, text and what points elsewhere; complains of tags that do not match."""

    VOID = ("meta", "img", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [v or "" for k, v in attributes if k in ("src", "href", "action", "style")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_nothing_but_itself(store, sweep, tmp_path) -> None:
    text = compared(store, tmp_path, "--sweep", SWEEP)
    page = Page(text)
    assert {"table", "svg"} <= set(page.tags) and "script" not in page.tags
    assert not re.search(r"https?://|url\(|@import", text)
    assert all(link.startswith("data:") for link in page.links)
    assert "prefers-color-scheme: dark" in text and "@media print" in text
    for heading in (
        "Verdict",
        "Metrics",
        "What differs",
        "Curves",
        "Class by class",
        "Paired tests",
        "Where they disagree",
        "Cost",
    ):
        assert f"<h2>{heading}</h2>" in text
    assert "not a medical device" in text and "nan" not in re.sub(r"<style>.*</style>", "", text)


def test_the_page_says_what_differs_and_only_that(store, sweep, tmp_path) -> None:
    text = compared(store, tmp_path, *sweep[:6])
    differs = text[text.index("What differs") : text.index("<h2>Curves")]
    assert re.findall(r"<code>([^<]*)</code>", differs) == ["model.dropout"]
    assert re.findall(r'<td data-name="[AB]">([^<]*)</td>', differs) == ["0.2", "0.1"]


def test_pictures_come_from_the_dataset_and_a_missing_one_is_reported(
    store, images, tmp_path
) -> None:
    names = sorted(path.relative_to(images).as_posix() for path in images.rglob("*.png"))
    label = [CLASSES.index(name.split("/")[0]) for name in names]
    part = (names, np.array(names), np.array(label))
    words = ["dataset=folder", f"dataset.root={images}"]
    ids = [
        store.write(*words, f"model.dropout={rate}", parts={"val": part}, draw=draw, skill=0.2)
        for rate, draw in ((0.1, 1), (0.2, 2))
    ]
    text = compared(store, tmp_path, *ids, "--images", "5")
    assert text.count("data:image/jpeg;base64,") == 5 and "MFLOPs" in text
    assert 'data-name="MFLOPs per image">2.5</td>' in text  # of the recorded FLOPs
    assert "data:image" not in compared(store, tmp_path, *ids, "--images", "0")
    config = store.artifact(ids[0], "experiment.json")
    gone = [store.artifact(run, "experiment.json") for run in ids]
    for path in gone:
        path.write_text(config.read_text().replace(str(images), str(images / "gone")))
    text = compared(store, tmp_path, *ids)
    assert "data:image" not in text and "No pictures: dataset.root: there is no folder" in text


def test_names_from_outside_stay_text(store, tmp_path) -> None:
    evil = "<script>alert('x')</script>"
    classes = ("melanoma", "<b>bold</b>", "a & b")
    ids = [
        store.write(f"model.dropout={rate}", name=f"{evil}[bold]|{rate}", classes=classes)
        for rate in (0.31, 0.32)
    ]
    text = compared(store, tmp_path, *ids)
    assert evil not in text and "&lt;script&gt;" in text and "<b>bold" not in text
    assert "script" not in Page(text).tags
    lines = (tmp_path / "comparison.md").read_text().splitlines()
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
    assert "<script>" not in lines[2]


def test_a_network_from_elsewhere_is_compared_by_what_its_run_recorded(store, tmp_path) -> None:
    ids = [store.write(f"model.dropout={rate}", draw=draw) for draw, rate in ((1, 0.33), (2, 0.34))]
    path = store.artifact(ids[0], "experiment.json")
    content = json.loads(path.read_text())
    content["model"] = {"kind": "their_resnet", "name": "theirs", "depth": 18}
    path.write_text(json.dumps(content))
    store.client.log_metric(ids[0], "flops_per_image", 12_300_000)
    text = compared(store, tmp_path, *ids)
    costs = text[text.index("<h2>Cost") :]
    assert 'per image">12.3</td>' in costs and '">–</td>' in costs


def test_csv_and_markdown_hold_the_table(store, sweep, tmp_path) -> None:
    compared(store, tmp_path, *sweep, "--images", "0")
    with (tmp_path / "comparison.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["mark"] for row in rows] == ["best", "", "", "leaky"]
    assert rows[0]["run ids"].split() == sweep[3:6]
    metrics = [store.client.get_run(run).data.metrics for run in sweep[3:6]]
    mean = sum(m["final/test/macro_auc"] for m in metrics) / 3
    assert float(rows[0]["test/macro_auc"]) == pytest.approx(mean, abs=1e-6)
    assert rows[3]["val/accuracy half interval"] == ""
    lines = (tmp_path / "comparison.md").read_text().splitlines()
    assert len(lines) == 6 and "**leaky**" in lines[5] and "±" in lines[2]


def test_a_folder_that_cannot_be_written_is_reported(store, sweep, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"--out .*file.*cannot be written"):
        compared(store, tmp_path / "file", *sweep[:6])


def test_charts_follow_the_page_and_are_the_same_every_time() -> None:
    points = [(1, 0.5), (2, 0.75), (3, float("nan"))]
    keys = [f"{part}/{what}" for part in ("train", "val") for what in ("accuracy", "loss")]
    setups = [
        SetupCurves(letter, f"<b>{letter}</b> $x$", dict.fromkeys(keys, [points, points[:1]]))
        for letter in "AB"
    ]
    charts = comparison_charts(setups)
    assert [chart.title for chart in charts] == ["Accuracy", "Loss", "Generalisation gap"]
    assert charts == comparison_charts(setups)
    for chart in charts:
        page = Page(chart.svg)
        assert {"svg", "path", "text", "title"} <= set(page.tags) and not page.links
        # Every colour is the page's, so that it can be read on light and on dark.
        assert set(re.findall(r'(?:fill|stroke)="([^"]*)"', chart.svg)) <= {
            "none",
            *(f"var(--{name})" for name in ("ink", "quiet", "rule", "c0", "c1")),
        }
    assert "&lt;b&gt;A&lt;/b&gt; $x$: validation, last 0.750" in charts[0].svg
    assert charts[2].svg.count("gap, last 0.000") == 2  # over the epochs that both have
    one = comparison_charts([SetupCurves("A", "a", dict.fromkeys(keys, [points[:1]]))])
    assert len(one) == 3 and "A a: validation, last 0.500" in one[0].svg
    assert comparison_charts([SetupCurves("A", "a", dict.fromkeys(keys, [[]]))]) == []
