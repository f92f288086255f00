"""Reads the first frame of a DICOM file as a photograph is shown (PS3.3, C.7.6.3 and C.11.2).

Elements about pixels are read and no others: names, dates and numbers of patients never leave the
file, not into a message either. The dataset's text before its pixels may be long and deep, so no
more than `HEAD` bytes of it are looked at.
"""

import io
import logging
import struct
import warnings
from typing import Any

import numpy as np
import pydicom
from PIL import Image, ImageFile
from pydicom.encaps import get_frame
from pydicom.filereader import read_dataset
from pydicom.pixels import apply_color_lut, pixel_array

from melanoma_exp.data.formats import jpeg

HEAD, PREAMBLE = 2**20, 132  # bytes before the pixels, and before the first element
PIXELS = 0x7FE00010
MOST_BITS = 16
PLAIN = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
JPEG = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")
JPEG_2000 = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91")
SAMPLES = {
    "MONOCHROME1": 1,
    "MONOCHROME2": 1,
    "PALETTE COLOR": 1,
    **dict.fromkeys(("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"), 3),
}
_LUTS = [
    f"{channel}PaletteColorLookupTable{what}"
    for channel in ("Red", "Green", "Blue")
    for what in ("Descriptor", "Data")
]
ELEMENTS = [
    *("SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames"),
    *("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "RescaleIntercept", "RescaleSlope"),
    *(*_LUTS, *(f"Segmented{name}" for name in _LUTS if name.endswith("Data"))),
]
# pydicom warns of odd values and says them.
warnings.filterwarnings("ignore", module=r"pydicom\.")
logging.getLogger("pydicom").disabled = True


class DicomImage(ImageFile.ImageFile):
    """A DICOM file as an image of Pillow, always RGB; its pixels are decoded by `load`."""

    format = "DICOM"
    format_description = "DICOM"

    def _open(self) -> None:
        assert self.fp is not None
        self._content = self.fp.read()
        try:
            self._header, self._begin = _header(self._content)
            self._size = (int(self._header.Columns), int(self._header.Rows))
        except _RefusedError:
            raise
        except Exception:  # its words may hold what the file says of a patient
            raise _RefusedError("its DICOM header is damaged") from None
        if min(self._size) < 1:
            raise _RefusedError("its DICOM header says that it has no pixels")
        self._mode = "RGB"

    def load(self) -> Any:
        """Decodes the first frame.

        Raises:
            ValueError: It is damaged, or of a kind that is not read.
        """
        if self._im is None:
            try:
                rgb = _rgb(self._header, self._content, self._begin)
            except _RefusedError:
                raise
            except Exception:
                raise _RefusedError("the pixels of its DICOM are damaged") from None
            self.im = rgb.im
        return super().load()


class _RefusedError(ValueError):
    """Why a file is not read, without a word from it."""


def _header(content: bytes) -> tuple[pydicom.Dataset, int]:
    """Returns the elements about pixels, and where the element of the pixels begins."""
    file = io.BytesIO(content[:HEAD])
    file.seek(PREAMBLE)
    meta = read_dataset(file, False, True, stop_when=lambda tag, *_: tag >> 16 != 2)
    syntax = meta.TransferSyntaxUID
    if syntax not in (*PLAIN, *JPEG, *JPEG_2000):  # a deflated one would be inflated at once
        name = syntax.name if syntax.is_transfer_syntax else "unknown"
        raise _RefusedError(
            f"its DICOM transfer syntax ({name}) is not read; convert it to Explicit VR Little "
            "Endian"
        )
    file.seek(0)
    header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(ELEMENTS))
    begin = file.tell()
    order = ">" if syntax == PLAIN[2] else "<"
    if content[begin : begin + 4] != struct.pack(f"{order}HH", PIXELS >> 16, PIXELS & 0xFFFF):
        raise _RefusedError("no pixels follow its DICOM header")
    _check(header)
    return header, begin


def _check(header: pydicom.Dataset) -> None:
    """Refuses what is no picture.

    Raises:
        ValueError: Its kind of pixels is not read.
    """
    kind = header.PhotometricInterpretation
    if kind not in SAMPLES:
        raise _RefusedError("its DICOM photometric interpretation is not read: convert it to RGB")
    bits, stored = header.BitsAllocated, header.get("BitsStored", header.BitsAllocated)
    if header.SamplesPerPixel != SAMPLES[kind] or not 1 <= stored <= bits <= MOST_BITS:
        raise _RefusedError("its DICOM header contradicts itself")


def _rgb(header: pydicom.Dataset, content: bytes, begin: int) -> Image.Image:
    """Returns the first frame."""
    syntax = header.file_meta.TransferSyntaxUID
    vr, value = _element(content, begin, syntax)
    if syntax in PLAIN:
        header.add_new(PIXELS, vr, value)
        return _shown(header, pixel_array(header, index=0))
    frame = get_frame(value, 0, number_of_frames=int(header.get("NumberOfFrames") or 1))
    try:
        with Image.open(io.BytesIO(frame), formats=("JPEG", "JPEG2000")) as image:
            if image.size != (header.Columns, header.Rows):
                raise _RefusedError("its DICOM header and its pixels differ in size")
            if image.format == "JPEG":
                return _from_jpeg(header, image, frame)
    except Image.UnidentifiedImageError:
        raise _RefusedError("the JPEG in its DICOM is damaged or not of 8 bits") from None
    header.add_new(PIXELS, vr, value)
    header[PIXELS].is_undefined_length = True
    return _shown(header, pixel_array(header, index=0))


def _element(content: bytes, begin: int, syntax: str) -> tuple[str, bytes]:
    """Returns the representation and the content of the element of the pixels."""
    order = ">" if syntax == PLAIN[2] else "<"
    explicit = syntax != PLAIN[0]
    start = begin + (12 if explicit else 8)
    length = struct.unpack(f"{order}I", content[start - 4 : start])[0]
    vr = content[begin + 4 : begin + 6].decode() if explicit else "OW"
    if syntax not in PLAIN:
        return vr, content[start:]
    if start + length > len(content):
        raise _RefusedError("the pixels of its DICOM are cut off")
    return vr, content[start : start + length]


def _from_jpeg(header: pydicom.Dataset, image: Image.Image, frame: bytes) -> Image.Image:
    if header.PhotometricInterpretation == "RGB":
        frame = _marked_rgb(frame)
    try:
        rgb = jpeg.pixels(image, frame)
    except ValueError as error:
        raise _RefusedError(f"the JPEG in its DICOM: {error}") from None
    return rgb if header.SamplesPerPixel == 3 else _shown(header, np.asarray(rgb)[..., 0])


def _marked_rgb(frame: bytes) -> bytes:
    """Returns a JPEG that says its channels are RGB where it says nothing: the DICOM says so."""
    says = frame[2:4] in (b"\xff\xe0", b"\xff\xee")
    adobe = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"
    return frame if says else frame[:2] + adobe + frame[2:]


def _shown(header: pydicom.Dataset, stored: np.ndarray) -> Image.Image:
    """Returns what a viewer shows of stored values: (height, width), or RGB (height, width, 3)."""
    bits = int(header.get("BitsStored", header.BitsAllocated))
    kind = header.PhotometricInterpretation
    if kind == "PALETTE COLOR":
        stored = apply_color_lut(stored, header)
        bits = 8 * stored.itemsize
    if stored.ndim == 3:
        upper = stored >> (bits - 8) if bits > 8 else stored
        return Image.fromarray(upper.astype(np.uint8))
    grey = _windowed(header, stored, bits)
    return Image.fromarray(255 - grey if kind == "MONOCHROME1" else grey).convert("RGB")


def _windowed(header: pydicom.Dataset, stored: np.ndarray, bits: int) -> np.ndarray:
    """Returns uint8 grey values by the first window, or by all that the stored bits can say."""
    slope, base = float(header.get("RescaleSlope", 1)), float(header.get("RescaleIntercept", 0))
    low = -(2 ** (bits - 1)) if header.get("PixelRepresentation", 0) else 0
    values = stored.astype(np.float32)
    if header.get("WindowCenter") is None or header.get("WindowWidth") is None:
        shown = (values - low) / (2**bits - 1)
    else:
        values = values * slope + base
        centre, width = _first(header.WindowCenter), _first(header.WindowWidth)
        function = header.get("VOILUTFunction", "LINEAR")
        if function == "SIGMOID":
            shown = 1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -50, 50)))
        elif function == "LINEAR_EXACT":
            shown = (values - centre) / width + 0.5
        else:
            shown = (values - (centre - 0.5)) / max(width - 1, 1e-6) + 0.5
    return np.rint(255 * np.clip(shown, 0, 1)).astype(np.uint8)


def _first(value: Any) -> float:
    """Returns a number, or the first of several."""
    return float(value[0] if isinstance(value, pydicom.multival.MultiValue) else value)
