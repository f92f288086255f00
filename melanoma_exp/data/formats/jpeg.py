"""Decodes JPEGs by libjpeg-turbo with its warnings as errors.

Pillow loses them, and shows a file that was cut or partly overwritten as if it were whole. Pixels
are those that Pillow gives, at every scale.
"""

import io

import numpy as np
from PIL import Image

# Bytes of zeros in a row that no coder writes unless the picture is flat there; 6,478 photographs
# have 5 at most.
ZEROS = 64
SCANS = 100  # of a progressive JPEG; coders write about ten, and each costs a pass over the picture


def pixels(image: Image.Image, content: bytes, draft: tuple[int, int] | None = None) -> Image.Image:
    """Returns the pixels of a JPEG that Pillow has opened, as RGB.

    Args:
        image: What Pillow opened.
        content: Of the file.
        draft: A width and height that are enough: it is decoded at 1/2, 1/4 or 1/8.

    Raises:
        ValueError: It is not whole.
    """
    import simplejpeg

    scale = 1
    if draft:  # Pillow's rule, which decoded pixels have always followed
        fits = min(image.width // draft[0], image.height // draft[1])
        scale = next(s for s in (8, 4, 2, 1) if s <= max(fits, 1))
    begin, end = _compressed(content)
    if content.count(b"\xff\xda", begin, end) > SCANS:
        raise ValueError(f"it has more than {SCANS} scans")
    form = {"L": "GRAY", "CMYK": "CMYK"}.get(image.mode, "RGB")
    least = {"min_height": -(-image.height // scale), "min_width": -(-image.width // scale)}
    try:
        decoded = simplejpeg.decode_jpeg(content, form, min_factor=scale, strict=True, **least)
    except ValueError as error:
        if "subsampling" not in str(error):
            raise
        form = "CMYK"  # TurboJPEG's interface lacks a few forms that libjpeg has
    _check_zeros(content[begin:end], content)
    if form == "CMYK":  # Pillow knows who stores it inverted
        image.draft("RGB", draft or image.size)
        return image.convert("RGB")
    if form == "GRAY":
        return Image.fromarray(decoded[..., 0]).convert("RGB")
    return Image.fromarray(decoded)


def _check_zeros(scan: bytes, content: bytes) -> None:
    """Refuses a JPEG that holds zeros where its picture is not flat, as lost sectors leave them.

    The zeros are codes, so a decoder may come to the end of the file without a warning. A coder
    writes them in a row only for blocks of one shade, of which a byte holds no less than one, and
    a third of all blocks are of luma.

    Raises:
        ValueError: It does.
    """
    if bytes(ZEROS) not in scan:
        return
    longest = max(map(len, scan.translate(_ZERO_OR_NOT).split(b"1")))
    with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
        grey = np.asarray(image.convert("L"))
    height, width = (side - side % 8 for side in grey.shape)
    blocks = grey[:height, :width].reshape(height // 8, 8, width // 8, 8)
    if 3 * int((np.ptp(blocks, axis=(1, 3)) == 0).sum()) < longest:
        raise ValueError(f"{longest} bytes of zeros overwrite the picture")


_ZERO_OR_NOT = b"\0" + b"1" * 255


def _compressed(content: bytes) -> tuple[int, int]:
    """Returns where the compressed pixels of a JPEG begin and end: behind metadata, before a tail.

    Metadata may hold a small JPEG of its own, and cameras append films.
    """
    at = 2
    while content[at : at + 2] != b"\xff\xda":
        at += 2 + int.from_bytes(content[at + 2 : at + 4]) if content[at + 1] != 0xFF else 1
    end = content.find(b"\xff\xd9", at)
    return at, end if end >= 0 else len(content)
