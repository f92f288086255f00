"""What holds for every page in a real browser: narrow and wide, light, dark and printed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

axe = pytest.importorskip("axe_playwright_python.sync_playwright")

pytestmark = pytest.mark.slow
WIDTHS = (390, 1280)
PAPER = 794  # CSS pixels of A4's 210 mm


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_no_violation(
    page: Path, opened: Callable[..., Any], width: int, scheme: str
) -> None:
    found = axe.Axe().run(opened(page, width, scheme))
    assert not found.violations_count, found.generate_report()


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_is_no_wider_than_the_window(
    page: Path, opened: Callable[..., Any], width: int
) -> None:
    assert opened(page, width).evaluate("document.documentElement.scrollWidth") <= width


def test_a_printed_page_is_no_wider_than_paper(page: Path, opened: Callable[..., Any]) -> None:
    shown = opened(page, PAPER)
    shown.emulate_media(media="print")
    assert shown.evaluate("document.documentElement.scrollWidth") <= PAPER


def test_a_dark_page_is_dark(page: Path, opened: Callable[..., Any]) -> None:
    shown = opened(page, scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    assert max(shown.evaluate(background)[:3]) < 64


def test_each_figure_is_on_the_screen_of_a_telephone(
    comparison: Path, search: Path, report: Path, external: Path, opened: Callable[..., Any]
) -> None:
    beyond = """[...document.querySelectorAll("td, svg")].filter(
        e => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth).length"""
    for path in (comparison, search, report, external):
        assert opened(path, 390).evaluate(beyond) == 0


def test_a_cell_of_the_matrix_opens_its_images_by_keyboard(
    report: Path, opened: Callable[..., Any]
) -> None:
    page = opened(report, 390)
    for link in page.query_selector_all("a[href='#images-test']"):
        pair, count = link.get_attribute("data-pair"), int(link.inner_text())
        link.focus()
        page.keyboard.press("Enter")
        gallery = page.locator("#images-test")
        shown = gallery.locator("figure:visible")
        assert {f.get_attribute("data-pair") for f in shown.all()} == {pair}
        assert shown.count() == count  # few enough for all of them
        assert gallery.locator("[role=status]").inner_text() == f"{count} of {count} shown"
        assert page.evaluate("document.activeElement.tagName") == "SELECT"
    select = page.locator("#images-test select")
    select.select_option("")
    first, last = (select.locator("option").nth(k).get_attribute("value") for k in (1, -1))
    assert first.split("-")[0] != first.split("-")[1] and len(set(last.split("-"))) == 1
    wrong = page.locator("#images-test figure:visible .hit")
    assert wrong.count() == 0  # mistakes alone
