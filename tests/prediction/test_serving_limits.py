"""A request costs the server a bounded amount of memory and time, whatever its bytes are."""

import io
import struct
import threading
import time
import tracemalloc
import zlib
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageFile

from melanoma_exp.data.decode import decode
from melanoma_exp.prediction import served_model
from melanoma_exp.prediction.served_model import ServedModel


def png(width: int, height: int, pixels: bytes = b"") -> bytes:
    """A PNG of RGBA by its header, whatever it holds."""

    def chunk(name: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(pixels)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def blank(side: int) -> bytes:
    return png(side, side, bytes((4 * side + 1) * side))


class Decoder:
    """Of a run's model the part that decodes; counts how many do so at once."""

    encoding = None  # of metadata

    def __init__(self) -> None:
        self.running, self.most, self._lock = 0, 0, threading.Lock()

    def encode(self, row: dict[str, str]) -> np.ndarray:
        return np.zeros(0, np.float32)

    def decode(self, content: bytes) -> np.ndarray:
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        time.sleep(0.02)
        try:
            return decode(content, (8, 8), "box", 10**8)
        finally:
            with self._lock:
                self.running -= 1


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> ServedModel:
    monkeypatch.setattr(served_model.saved_model, "load_light", lambda *_: Decoder())
    monkeypatch.setattr(
        ServedModel, "_predicted", lambda _, images, rows: [{"error": None}] * len(images)
    )
    model = ServedModel()
    model.load_context(type("Context", (), {"artifacts": {}}))
    return model


def ask(server: ServedModel, *contents: bytes) -> list[Any]:
    answers = server.predict(None, pd.DataFrame({"image": list(contents)}))
    return [answer["error"] for answer in answers]


def test_a_small_file_of_many_pixels_is_never_decoded(
    server: ServedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    tracemalloc.start()
    errors = ask(server, *[png(10_000, 10_000), png(2**31 - 1, 2**31 - 1)] * 40)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert all("are over the server's limit of 25000000" in error for error in errors)
    assert peak < 2**24


def test_a_request_has_a_budget_of_pixels(
    server: ServedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served_model, "REQUEST_PIXELS", 3 * 64 * 64)
    errors = ask(server, blank(64), b"no picture", blank(65), blank(64), blank(8))
    assert [bool(error) for error in errors] == [False, True, False, True, False]
    assert "send this one by itself" in errors[3]
    assert ask(server, blank(64)) == [None]  # the next request has its own
    # What was cut costs as much as what is whole.
    broken = blank(64)[:-30] + blank(64)[-12:]
    assert "together" in ask(server, broken, broken, broken, blank(64))[3]


def test_few_images_are_decoded_at_once(server: ServedModel) -> None:
    asked = [threading.Thread(target=ask, args=(server, blank(8), blank(9))) for _ in range(12)]
    for one in asked:
        one.start()
    for one in asked:
        one.join()
    assert server._saved.most == served_model.DECODES


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_a_transparent_image_is_put_on_white_in_bands(mode: str) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (700, 30, 4), dtype=np.uint8)
    image = Image.fromarray(noise).convert(mode)
    options = {"transparency": 3} if mode == "P" else {}
    content = io.BytesIO()
    image.save(content, "PNG", **options)
    layer = Image.open(content).convert("RGBA")
    wanted = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    got = decode(content.getvalue(), (700, 30), "box", 10**6)
    np.testing.assert_array_equal(got, np.asarray(wanted))


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    content = io.BytesIO()
    Image.new("L", (64, 64), 9).save(content, "JPEG", progressive=True)
    whole = content.getvalue()
    last = whole.rindex(b"\xff\xda")
    with pytest.raises(ValueError, match="more than 100 scans"):
        decode(whole[:-2] + whole[last:-2] * 100 + whole[-2:], (8, 8), "box", 10**6)
