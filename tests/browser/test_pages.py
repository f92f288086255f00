"""What holds for every page in a real browser: narrow and wide, light, dark and printed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

axe = pytest.importorskip("axe_playwright_python.sync_playwright")

pytestmark = pytest.mark.slow
WIDTHS = (390, 1280)


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
    shown = opened(page, width)
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    shown.emulate_media(media="print")
    assert shown.evaluate("document.documentElement.scrollWidth") <= width


def test_a_dark_page_is_dark(page: Path, opened: Callable[..., Any]) -> None:
    shown = opened(page, scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    assert max(shown.evaluate(background)[:3]) < 64
