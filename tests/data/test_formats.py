"""HEIC, AVIF and DICOM show what they hold, whole or not at all, and no patient gets out."""

import glob
import io
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from formats import PATIENT, avif, dicom, heic
from pictures import picture, save
from PIL import Image
from pydicom.pixels import apply_voi_lut, pixel_array
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian

from melanoma_exp.data.decode import decode
from melanoma_exp.data.formats import opened
from melanoma_exp.data.image_file import open_rgb, size
from melanoma_exp.spec import UserError

LIMIT = 10**7
PICTURE = picture(4).resize((60, 40))
PIXELS = np.asarray(PICTURE)


def shown(content: bytes) -> np.ndarray:
    return np.asarray(open_rgb(content, LIMIT))


def turned(degrees_tag: int) -> bytes:
    exif = Image.Exif()
    exif[0x112] = degrees_tag
    return exif.tobytes()


@pytest.mark.parametrize("make", [heic, avif])
def test_heic_and_avif_are_read_whole_and_upright_or_refused(make) -> None:
    content = make(PICTURE)
    assert np.abs(shown(content).astype(int) - PIXELS).max() <= 3 and size(content) == (60, 40)
    upright = np.asarray(PICTURE.transpose(Image.Transpose.ROTATE_270)).astype(int)
    assert np.abs(shown(make(PICTURE, exif=turned(6))) - upright).max() <= 3
    with pytest.raises(ValueError, match="60x40 pixels are over dataset.max_pixels=100"):
        open_rgb(content, 100)
    for share in (0.02, 0.3, 0.9, 0.99):
        with pytest.raises(ValueError, match="^not a readable image: the file is cut off$"):
            open_rgb(content[: int(share * len(content))], LIMIT)
    stated, most = struct.pack(">II", 240, 160), struct.pack(">II", 2**31 - 1, 2**31 - 1)
    large = make(PICTURE.resize((240, 160))).replace(stated, most)
    with pytest.raises(ValueError, match="over dataset.max_pixels|not a readable"):
        open_rgb(large, LIMIT)


@pytest.mark.parametrize("make", [heic, avif, lambda image: dicom(np.asarray(image))])
def test_a_damaged_file_is_refused_or_shown_and_raises_nothing_else(make) -> None:
    content, random = make(PICTURE), np.random.default_rng(2)
    for _ in range(150):
        damaged = bytearray(content)
        for at in random.integers(0, min(len(content), 700), 3):
            damaged[at] = random.integers(256)
        try:
            assert np.prod(open_rgb(bytes(damaged), LIMIT).size) <= LIMIT
        except ValueError as error:
            assert "\n" not in str(error) and "Erika" not in str(error)


DEEP = np.random.default_rng(1).integers(0, 2**16, (40, 60, 3)).astype(np.uint16)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_of_16_bits_the_upper_eight_are_shown(suffix) -> None:
    import cv2

    for array in (DEEP, DEEP[..., 0]):
        content = cv2.imencode(suffix, array[..., ::-1] if array.ndim == 3 else array)[1]
        wanted = array if array.ndim == 3 else np.repeat(array[..., None], 3, 2)
        assert np.array_equal(shown(content.tobytes()), wanted >> 8)
    file = io.BytesIO()
    Image.fromarray(DEEP[..., 0].astype(np.int32) * 2).save(file, "TIFF")
    with pytest.raises(ValueError, match="not of 16 bits"):
        open_rgb(file.getvalue(), LIMIT)


GREY = DEEP[..., 0] % 4096  # 12 bits
RAMP = np.arange(256, dtype=np.uint16) << 8


def luts() -> dict[str, object]:
    names = ("Red", "Green", "Blue")
    described = {f"{name}PaletteColorLookupTableDescriptor": [256, 0, 16] for name in names}
    tables = (RAMP, RAMP[::-1], np.full(256, 7 << 8, np.uint16))
    data = {
        f"{name}PaletteColorLookupTableData": table.tobytes()
        for name, table in zip(names, tables, strict=True)
    }
    return {**described, **data}


def windowed(centre: float, width: float) -> np.ndarray:
    data = pydicom.Dataset()
    data.WindowCenter, data.WindowWidth = centre, width
    data.BitsStored, data.PixelRepresentation = 8, 0
    data.PhotometricInterpretation = "MONOCHROME2"
    values = apply_voi_lut(GREY.astype(np.uint16), data)  # to 0 and 255, as of 8 bits
    return np.rint(values)


TWELVE = {"BitsStored": 12, "HighBit": 11}
INDEX = np.tile(np.arange(60, dtype=np.uint8), (40, 1))
DICOMS = {
    "RGB": (dicom(PIXELS), PIXELS),
    "RGB, planes": (
        dicom(PIXELS.transpose(2, 0, 1).copy(), Rows=40, Columns=60, SamplesPerPixel=3,
              PlanarConfiguration=1),
        PIXELS,
    ),
    "RGB, big-endian": (dicom(DEEP.astype(">u2"), syntax=ExplicitVRBigEndian), DEEP >> 8),
    "RGB, 16 bits": (dicom(DEEP), DEEP >> 8),
    "grey": (dicom(PIXELS[..., 0], "MONOCHROME2"), PIXELS[..., :1]),
    "grey, white at 0": (dicom(PIXELS[..., 0], "MONOCHROME1"), 255 - PIXELS[..., :1]),
    "12 bits": (dicom(GREY, "MONOCHROME2", **TWELVE), np.rint(GREY[..., None] / 4095 * 255)),
    "12 bits, a window": (
        dicom(GREY, "MONOCHROME2", WindowCenter=1000, WindowWidth=500, **TWELVE),
        windowed(1000, 500)[..., None],
    ),
    "a rescaled window": (
        dicom(GREY, "MONOCHROME2", WindowCenter=["1000", "1"], WindowWidth=["1000", "2"],
              RescaleSlope=2, RescaleIntercept=-1000, **TWELVE),
        windowed(1000.25, 500.5)[..., None],
    ),
    "signed": (
        dicom((GREY.astype(np.int16) - 2048), "MONOCHROME2", **TWELVE),
        np.rint(GREY[..., None] / 4095 * 255),
    ),
    "a palette": (
        dicom(INDEX, "PALETTE COLOR", **luts()),
        np.stack([INDEX, 255 - INDEX, np.full_like(INDEX, 7)], -1),
    ),
    "two frames": (
        dicom(np.stack([PIXELS, 255 - PIXELS]), Rows=40, Columns=60, SamplesPerPixel=3,
              NumberOfFrames=2, PlanarConfiguration=0),
        PIXELS,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DICOMS)
def test_a_dicom_shows_what_a_viewer_shows(name) -> None:
    content, wanted = DICOMS[name]
    assert size(content) == (60, 40)
    got = shown(content).astype(int)
    # A rescaled window lies between two steps of grey.
    assert np.abs(got - np.broadcast_to(wanted, got.shape)).max() <= ("window" in name)
    with pytest.raises(ValueError, match="60x40 pixels are over dataset.max_pixels=100"):
        open_rgb(content, 100)


def test_a_jpeg_within_a_dicom_is_as_strict_as_one_by_itself() -> None:
    file = io.BytesIO()
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8))
    noise.save(file, "JPEG")
    whole, box = file.getvalue(), {"Rows": 40, "Columns": 60, "SamplesPerPixel": 3}
    content = dicom([whole], "YBR_FULL_422", **box)
    assert np.array_equal(shown(content), shown(whole))
    assert np.array_equal(
        decode(content, (20, 30), "bilinear", LIMIT), decode(dicom(shown(whole)), (20, 30),
        "bilinear", LIMIT)
    )  # fmt: skip
    half = len(whole) // 2
    for damaged in (whole[:half] + b"\xff\xd9", whole[:half] + bytes(300) + whole[half + 300 :]):
        with pytest.raises(ValueError, match="the JPEG in its DICOM"):
            open_rgb(dicom([damaged], "YBR_FULL_422", **box), LIMIT)
    with pytest.raises(ValueError, match="differ in size"):
        open_rgb(dicom([whole], "YBR_FULL_422", **{**box, "Rows": 20}), LIMIT)


def test_the_dicoms_of_pydicom_are_read_alike_or_refused() -> None:
    read = 0
    for path in glob.glob(f"{os.path.dirname(pydicom.__file__)}/data/test_files/*.dcm"):
        try:
            got = shown(Path(path).read_bytes())
        except ValueError as error:
            assert str(error).startswith("not a readable image")
            continue
        wanted = pixel_array(path, index=0)
        if wanted.shape == got.shape:
            read += np.array_equal(got, wanted)
    assert read >= 16


def test_hostile_dicoms_are_refused_before_they_are_unpacked() -> None:
    for content, said in {
        dicom(PIXELS, Rows=65535, Columns=65535): "65535x65535 pixels are over",
        dicom(PIXELS, Rows=400): "the pixels of its DICOM are damaged",
        dicom(PIXELS)[:-9]: "the pixels of its DICOM are cut off",
        dicom(PIXELS, syntax=DeflatedExplicitVRLittleEndian): "Deflated Explicit VR .* not read",
        dicom(PIXELS, "YBR_PARTIAL_420"): "photometric interpretation is not read",
        dicom(PIXELS, BitsAllocated=32, BitsStored=32): "contradicts itself",
        dicom(PIXELS, NumberOfFrames=10**9): "damaged",
        dicom(PIXELS, ImageComments="x" * 2**20): "no pixels follow its DICOM header",
    }.items():
        with pytest.raises(ValueError, match=said):
            open_rgb(content, LIMIT)


def test_a_set_of_them_is_read_and_keeps_nothing_of_a_patient(folder, tmp_path, capfd) -> None:
    for k in range(8):
        pixels = np.asarray(picture(k))
        content = dicom(pixels) if k % 2 else heic(picture(k))
        path = tmp_path / f"data/{'ab'[k // 4]}/{k}.{('heic', 'dcm')[k % 2]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    bad = tmp_path / "data/a/bad.dcm"
    bad.write_bytes(dicom(np.asarray(picture(1)), PATIENT[:16]))
    loaded = folder(max_pixels=LIMIT, on_bad_file="skip").load(tmp_path / "cache")
    assert len(loaded.samples) == 8 and len(loaded.skipped) == 1
    kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert kept
    told = "".join(loaded.skipped) + "".join(capfd.readouterr())
    for secret in (PATIENT.split("^")[1], "4711", "19640812"):
        assert secret not in told
        assert not [path for path in kept if secret.encode() in path.read_bytes()]


def test_without_the_library_one_line_says_what_to_install(folder, tmp_path, monkeypatch) -> None:
    for k in range(4):
        save(picture(k), tmp_path / f"data/{'ab'[k % 2]}/{k}.png")
    (tmp_path / "data/a/new.heic").write_bytes(heic(picture(9)))
    spec = folder(max_pixels=LIMIT, on_bad_file="skip")
    with monkeypatch.context() as patch:
        patch.setattr(opened, "find_spec", lambda name: None)
        with pytest.raises(UserError, match=r"new\.heic: HEIC is read by pillow-heif, which is not "
                           r"installed: pip install 'melanoma_exp\[formats\]'"):  # fmt: skip
            spec.load(tmp_path / "cache")
        with pytest.raises(opened.NotInstalledError, match="DICOM is read by pydicom"):
            open_rgb(dicom(PIXELS), LIMIT)
    assert len(spec.load(tmp_path / "cache").samples) == 5  # the file is not remembered as bad


def test_a_jpeg_is_read_without_their_libraries() -> None:
    code = (
        "import sys, io; from PIL import Image; from melanoma_exp.data.image_file import open_rgb;"
        "f = io.BytesIO(); Image.new('RGB', (9, 9)).save(f, 'JPEG'); open_rgb(f.getvalue(), 99);"
        "print({'pydicom', 'pillow_heif'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
