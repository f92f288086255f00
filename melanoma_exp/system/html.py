"""Self-contained pages: strict templates, embedded pictures.

Every page and card is rendered here, so that a name missing from any template is an error.
"""

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from melanoma_exp.system.shown import markdown, without_control

if TYPE_CHECKING:
    import jinja2


def templates(folder: Path, escape: bool = True) -> "jinja2.Environment":
    """Returns the templates of a folder.

    Args:
        folder: Holds `*.j2` files; they may include `page.css`, the looks of a page.
        escape: For HTML; Markdown keeps its own characters, but no HTML, links and pictures.
    """
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, Path(__file__).parent]),
        autoescape=escape,
        finalize=_visible if escape else _markdown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _visible(value: Any) -> Any:
    """Returns what a template prints, without characters that hide or turn others."""
    return value if hasattr(value, "__html__") else without_control(str(value))


def _markdown(value: Any) -> str:
    return markdown(value)


def data_uri(picture: Image.Image | np.ndarray, side: int) -> str:
    """Returns a picture as the address of an `<img>`, a JPEG.

    Args:
        picture: RGB; an array is uint8 (h, w, 3).
        side: Pixels of the longer side at most.
    """
    image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture.copy()
    image.thumbnail((side, side))
    content = io.BytesIO()
    image.save(content, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode()
