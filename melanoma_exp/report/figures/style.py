"""The common style of all figures: palette, sizes, line breaks and file format.

Settings are passed artist by artist: `matplotlib.rc_context` changes the settings of the whole
process while it is open, so another thread drawing at that moment would be affected.
"""

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from melanoma_exp.system.shown import without_control

if TYPE_CHECKING:
    from melanoma_exp.evaluation.metrics.interval import Estimate

# Okabe-Ito: distinct with any common colour blindness, and of different lightness in grey.
BLUE = "#0072B2"
ORANGE = "#E69F00"
VERMILLION = "#D55E00"
GREEN = "#009E73"
GREY = "#595959"
FAINT = "#E6E6E6"

WIDTH = 7.0
NAME_WIDTH = 2.0  # inches a class name beside a row may take
TITLE, BODY, SMALL, TINY = 9.0, 8.0, 7.0, 6.5
DPI = 200
COMPRESSION = 2  # of 9: photographs take half the time of the usual 6 and 15 % more room

# Mean advance of a lower-case letter of DejaVu Sans (the font matplotlib ships), in ems, rounded
# up so that a line broken by it fits.
_EMS_PER_LETTER = 0.6


def new_figure(width: float, height: float, *, fixed_aspect: bool = False) -> Figure:
    """Return an empty white figure that lays itself out when drawn.

    Args:
        width: Inches, above 0.
        height: Inches, above 0.
        fixed_aspect: Whether its axes hold images, which are then packed without gaps.
    """
    return Figure(
        figsize=(width, height),
        dpi=DPI,
        facecolor="white",
        layout="compressed" if fixed_aspect else "constrained",
    )


def wrap(text: str, inches: float, points: float) -> str:
    """Break a text into lines that fit a width, as `plain` leaves it.

    Args:
        text: Words separated by blanks; a word longer than a line is broken, a no-break space kept.
        inches: Width to fit, above 0.
        points: Size of the font, above 0.
    """
    letters = int(inches * 72 / (points * _EMS_PER_LETTER))
    return plain(textwrap.fill(text, max(letters, 1), break_on_hyphens=False))


def plain(text: str) -> str:
    """Return a name as it is drawn: without control characters, and never a formula.

    Matplotlib takes what is between two dollars for one, and fails where it is none.
    """
    return without_control(text).replace("$", r"\$")


def plain_axes(axes: Axes, *, frame: tuple[str, ...] = ("left", "bottom")) -> None:
    """Set an axes' tick labels to the body size and keep only some sides of its frame.

    Args:
        axes: Changed in place.
        frame: Sides kept, of "left", "right", "top" and "bottom".
    """
    axes.tick_params(labelsize=BODY, length=2.5, width=0.6)
    for side, spine in axes.spines.items():
        spine.set_visible(side in frame)
        spine.set_linewidth(0.6)


def write_in(axes: Axes, text: str, points: float = BODY) -> None:
    """Write a text in the middle of axes that have nothing else to show."""
    axes.text(
        0.5,
        0.5,
        text,
        ha="center",
        va="center",
        fontsize=points,
        color=GREY,
        transform=axes.transAxes,
    )


def legend_below(figure: Figure, axes: Axes, columns: int) -> None:
    """Put the legend of one of the figure's panels below all of them."""
    figure.legend(
        *axes.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        fontsize=BODY,
    )


def format_estimate(estimate: "Estimate", digits: int = 2) -> str:
    """Return e.g. "0.90 (0.87–0.93)", "-" where undefined."""
    if np.isnan(estimate.value):
        return "-"
    text = f"{estimate.value:.{digits}f}"
    if np.isnan(estimate.low):
        return text
    return f"{text} ({estimate.low:.{digits}f}–{estimate.high:.{digits}f})"


def save(figure: Figure, path: Path | str) -> None:
    """Write a figure as a PNG of 200 dots an inch.

    The file carries neither date nor software version: equal figures give equal bytes.

    Args:
        figure: Left as it was, apart from its layout being computed.
        path: File to write or replace, a PNG whatever its suffix; its folder exists.

    Raises:
        OSError: The file cannot be written.
    """
    figure.savefig(
        path,
        format="png",
        dpi=DPI,
        facecolor="white",
        metadata={"Software": None},
        pil_kwargs={"compress_level": COMPRESSION},
    )
