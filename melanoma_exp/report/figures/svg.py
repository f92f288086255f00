"""Figures as SVG inside an HTML page, which lends them its colours and fonts."""

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from melanoma_exp.system.shown import without_control

INK, QUIET, RULE = "#010101", "#020202", "#030303"
SERIES = tuple(f"#0000{k:02x}" for k in range(16, 25))  # a line of the page's k-th setup
# What the page draws for the colours of a figure, which so follow its light and dark themes.
_COLOURS = {
    INK: "var(--ink)",
    QUIET: "var(--quiet)",
    RULE: "var(--rule)",
    **{colour: f"var(--c{k})" for k, colour in enumerate(SERIES)},
}
_NAMESPACE = re.compile(r"^\{[^}]*\}")
_DROPPED = ("metadata", "defs")  # date and version; clipping, which no figure here needs


@dataclass(frozen=True)
class Chart:
    """One chart: its title, a note on how to read it, and an `<svg>` element."""

    title: str
    note: str
    svg: str


def inline_svg(figure: Figure, label: str, titles: Mapping[str, str]) -> str:
    """Returns a figure as an `<svg>` element that refers to nothing outside of itself.

    Text stays text in the font of the page, `INK`, `QUIET`, `RULE` and `SERIES` become its colours.
    Equal figures give equal strings.

    Args:
        figure: Drawn without markers and tick marks, which would be references.
        label: What it shows, for those who do not see it.
        titles: For the gid of an artist the text shown when the reader points at it.
    """
    text = io.StringIO()
    # A setting of the whole process while it is open; there is no argument for it.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "melanoma_exp"}):
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    root = ElementTree.fromstring(text.getvalue())
    _clean(root, titles)
    for size in ("width", "height"):
        del root.attrib[size]
    root.attrib |= {"role": "img", "aria-label": label}
    return ElementTree.tostring(root, encoding="unicode")


def decorate(axes: Axes, counted: str = "") -> None:
    """Gives axes the quiet look of the pages: labels without marks, a grid of heights, no frame.

    Args:
        axes: Changed in place.
        counted: What the x axis counts in whole numbers, its label; "" leaves that axis alone.
    """
    if counted:
        axes.set_xlabel(counted, color=QUIET, fontsize=9)
        whole = MaxNLocator(6, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1)
        axes.xaxis.set_major_locator(whole)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.tick_params(length=0, labelsize=9, labelcolor=QUIET)
    axes.tick_params(which="both", bottom=False, left=False)
    axes.grid(axis="y", color=RULE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)


def _clean(node: ElementTree.Element, titles: Mapping[str, str]) -> None:
    """Leaves names without namespaces, attributes without styles, and no references."""
    node.tag = _NAMESPACE.sub("", node.tag)
    given = {_NAMESPACE.sub("", key): value for key, value in node.attrib.items()}
    styles = dict(part.split(": ", 1) for part in given.pop("style", "").split("; ") if part)
    styles.pop("font-family", None)
    gid = given.pop("id", "")
    for dropped in ("clip-path", "version"):
        given.pop(dropped, None)
    if given.get("transform", "").startswith("rotate(-0 "):
        del given["transform"]
    node.attrib.clear()
    node.attrib |= {key: _COLOURS.get(value, value) for key, value in {**given, **styles}.items()}
    for child in list(node):
        if _NAMESPACE.sub("", child.tag) in _DROPPED:
            node.remove(child)
        else:
            _clean(child, titles)
    if gid in titles:
        title = ElementTree.Element("title")
        title.text = without_control(titles[gid])
        node.insert(0, title)
