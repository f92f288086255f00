"""Opens an image by what its first bytes say it is: the header is read, no pixel is decoded.

JPEG, PNG, BMP, TIFF and WebP are Pillow's, AVIF where Pillow was built with it. HEIC and DICOM need
libraries of their own, which are imported when the first such file comes.
"""

import io
from importlib.util import find_spec

from PIL import Image, features

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
# Brands of the container that both share (ISO/IEC 23008-12; AV1 Image File Format).
AVIF = frozenset((b"avif", b"avis"))
HEIC = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"))
BRANDS = 4096  # bytes of a file's first box that are looked at


class NotInstalledError(ValueError):
    """A library that reads an image's format is not installed; the message says which."""

    def __init__(self, form: str, library: str) -> None:
        """Says what to install.

        Args:
            form: The image's format, for people.
            library: What reads it.
        """
        super().__init__(
            f"{form} is read by {library}, which is not installed: pip install "
            "'melanoma_exp[formats]', or convert such images to PNG"
        )


def opened(content: bytes) -> Image.Image:
    """Returns an image of which the header is read.

    Args:
        content: Of the file.

    Raises:
        NotInstalledError: A library that reads its format is not there.
        Exception: Whatever a decoder raises for a damaged file.
    """
    if content[128:132] == b"DICM":
        if find_spec("pydicom") is None:
            raise NotInstalledError("DICOM", "pydicom")
        from melanoma_exp.data.formats.dicom import DicomImage

        return DicomImage(io.BytesIO(content))
    brands = _brands(content)
    if brands & (AVIF | HEIC):
        _check_boxes(content)
    if brands & AVIF:
        if not features.check("avif"):
            raise NotInstalledError("AVIF", "Pillow 11.3 or newer")
        return Image.open(io.BytesIO(content), formats=("AVIF",))
    if brands & HEIC:
        if find_spec("pillow_heif") is None:
            raise NotInstalledError("HEIC", "pillow-heif")
        from pillow_heif import HeifImageFile

        return HeifImageFile(io.BytesIO(content))
    return Image.open(io.BytesIO(content), formats=FORMATS)


def _brands(content: bytes) -> frozenset[bytes]:
    """Returns the brands that a file of boxes begins with, none of another file."""
    if content[4:8] != b"ftyp":
        return frozenset()
    end = min(int.from_bytes(content[:4]), BRANDS)
    return frozenset((content[8:12], *(content[at : at + 4] for at in range(16, end, 4))))


def _check_boxes(content: bytes) -> None:
    """Refuses a file of boxes of which the last is not whole: decoders show what there is.

    Raises:
        ValueError: It is cut off.
    """
    at = 0
    while at < len(content):
        length = int.from_bytes(content[at : at + 4])
        if length == 1:
            length = int.from_bytes(content[at + 8 : at + 16])
        if length == 0:  # to the end
            return
        at += max(length, 8)
    if at > len(content):
        raise ValueError("the file is cut off")
