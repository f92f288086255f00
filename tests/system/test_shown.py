"""Names of files and classes show what they are and do nothing, wherever they are printed."""

import csv
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma_exp.data.samples import Parts
from melanoma_exp.prediction import terminal
from melanoma_exp.prediction.predict import Prediction, UnreadableFile
from melanoma_exp.prediction.worklist import Worklist
from melanoma_exp.report import console
from melanoma_exp.spec import UserError
from melanoma_exp.system import exit_status, shown
from melanoma_exp.system.html import templates

ROOT = Path(__file__).parents[2]
HOSTILE = (
    "\x1b[2J\x1b[31mALERT",
    "\x9b31mred",
    "a\rno alert",
    "two\nlines",
    "[bold red]markup[/]",
    "\u202egnp.exe",
    "=cmd|' /C calc'!A0",
    "+1+cmd|' /C calc'!A0",
    "@SUM(1)",
    "-2+3",
    "'=quoted",
    "<img src=x onerror=alert(1)>",
    "![x](http://example.org/x.png)",
    "not\udcffUTF-8",
    "bell\a",
)
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@given(st.text())
def test_a_line_is_one_line_without_control(text: str) -> None:
    line = shown.printable(text)
    assert not CONTROL.search(line) and len(line.splitlines()) <= 1
    line.encode()


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["C", "Z"])))
def test_a_cell_is_no_formula_and_is_read_as_it_was(text: str) -> None:
    cell = shown.cell(text)
    assert shown.from_cell(cell) == text
    if cell[:1] in tuple("=+-@") and len(cell) > 1:
        float(cell)


@pytest.mark.parametrize("value", [-1.5, 0, None, "-1.5", "+3", "1e-5", "-", "lesion"])
def test_numbers_and_plain_words_stay_as_they_are(value: Any) -> None:
    assert shown.cell(value) == value


def test_tables_are_read_as_they_were_written() -> None:
    text = io.StringIO()
    names = [name for name in HOSTILE if not CONTROL.search(name) and "\n" not in name]
    shown.TableWriter(text).writerows([["name", "figure"], *([name, -0.5] for name in names)])
    assert all(row[0][:1] not in "=+-@" for row in csv.reader(io.StringIO(text.getvalue())))
    assert [row["name"] for row in shown.records(text.getvalue())] == names


def worklist() -> Worklist:
    predictions = tuple(
        Prediction(Path(f"images/{name}.jpg"), name, (0.5, *[0.1] * 14), 0.5, True, False, "")
        for name in HOSTILE
    )
    bad = tuple(UnreadableFile(Path(name), name) for name in HOSTILE)
    return Worklist(
        "run", HOSTILE[0], HOSTILE, "melanoma", 0.4, *HOSTILE[:1], HOSTILE, predictions, bad
    )


def test_a_worklist_controls_neither_screen_nor_spreadsheet(capsys) -> None:
    listed = worklist()
    screen = console.console()
    terminal.print_worklist(screen, listed)
    out = capsys.readouterr().out
    assert not CONTROL.search(out) and "\\x1b[2J" in out and "[bold red]markup[/]" in out
    table = list(csv.reader(io.StringIO(listed.to_csv())))
    assert len(table) == 1 + 2 * len(HOSTILE)
    for text in (cell for row in table for cell in row):
        assert not CONTROL.search(text) and "\n" not in text
        assert text[:1] not in tuple("=+-@") or len(text) == 1
    listed.to_json().encode()


def test_a_plan_shows_class_names_as_they_are(table, capsys) -> None:
    named = replace(table(range(len(HOSTILE))), classes=HOSTILE)
    none = named.take(np.zeros(len(named), bool))
    console.print_plan(
        console.console(), Parts(named, none, none), {"name": HOSTILE[0]}, list(HOSTILE)
    )
    out = capsys.readouterr().out
    assert not CONTROL.search(out)
    assert "\\x1b[2J" in out and out.count("[bold red]markup[/]") == 2 and "two\\nlines" in out


def test_an_error_is_one_line_and_cannot_control_the_screen(capsys) -> None:
    def fail() -> None:
        raise UserError(*HOSTILE)

    assert exit_status.exit_code(fail) == 2
    err = capsys.readouterr().err
    assert not CONTROL.search(err) and len(err.splitlines()) == len(HOSTILE)


@pytest.mark.parametrize("kind", [str, Path])
def test_cards_and_pages_hold_no_html_of_a_name(tmp_path: Path, kind: type) -> None:
    (tmp_path / "x.j2").write_text("{% for name in names %}- {{ name }}\n{% endfor %}")
    names = [kind(name) for name in HOSTILE]
    card = templates(tmp_path, escape=False).get_template("x.j2").render(names=names)
    assert "<" not in card and "](" not in card and not CONTROL.search(card)
    assert len(card.splitlines()) == len(HOSTILE)
    page = templates(tmp_path).get_template("x.j2").render(names=names)
    assert "<" not in page and "\x1b" not in page and "\u202e" not in page
    page.encode()


def test_every_page_has_a_content_security_policy() -> None:
    pages = sorted((ROOT / "melanoma_exp").rglob("*.html.j2"))
    assert len(pages) >= 5
    for page in pages:
        policy = re.search(r'Content-Security-Policy"\s+content="([^"]*)"', page.read_text())
        assert policy and "default-src 'none'" in policy[1], page
        scripts = re.search(r"script-src ([^;]*)", policy[1])  # none, or those of a known hash
        of_known_hash = scripts and re.fullmatch(r"'sha256-[^']*'", scripts[1])
        assert not scripts or of_known_hash or page.stem == "search.html", page
