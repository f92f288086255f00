"""Figures as SVG inside an HTML page, which lends them its colours and fonts."""

import io
import re
from collections.abc import Mapping
from xml.etree import ElementTree

import matplotlib
from matplotlib.figure import Figure

from melanoma_exp.system.shown import without_control

_NAMESPACE = re.compile(r"^\{[^}]*\}")
_DROPPED = ("metadata", "defs")  # date and version; clipping, which no figure here needs


def inline_svg(figure: Figure, colours: Mapping[str, str], titles: Mapping[str, str]) -> str:
    """Returns a figure as an `<svg>` element that refers to nothing outside of itself.

    Text stays text in the font of the page. Equal figures give equal strings.

    Args:
        figure: Drawn without markers and tick marks, which would be references.
        colours: For a colour of the figure, `#rrggbb` in lower case, what the page is to use for
            it, e.g. `var(--ink)`; so the figure follows the page's light and dark themes.
        titles: For the gid of an artist the text shown when the reader points at it.
    """
    text = io.StringIO()
    # A setting of the whole process while it is open; there is no argument for it.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "melanoma_exp"}):
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    root = ElementTree.fromstring(text.getvalue())
    _clean(root, colours, titles)
    for size in ("width", "height"):
        del root.attrib[size]
    return ElementTree.tostring(root, encoding="unicode")


def _clean(
    node: ElementTree.Element, colours: Mapping[str, str], titles: Mapping[str, str]
) -> None:
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
    node.attrib |= {key: colours.get(value, value) for key, value in {**given, **styles}.items()}
    for child in list(node):
        if _NAMESPACE.sub("", child.tag) in _DROPPED:
            node.remove(child)
        else:
            _clean(child, colours, titles)
    if gid in titles:
        title = ElementTree.Element("title")
        title.text = without_control(titles[gid])
        node.insert(0, title)
