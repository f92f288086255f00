"""Shows that a served model keeps its memory and its speed under good and hostile requests.

    python benchmarks/serving.py                                 # trains a tiny run on drawings
    python benchmarks/serving.py runs:/RUN_ID/model --requests 2000

Starts `mlflow models serve` in a process of its own, as docs/serving.md does, and sends requests
from four threads: half are good, the others of the kinds below, drawn and damaged by a fixed seed.
Prints the memory of the server with its children and the time of an answer every tenth of the way,
and at the end how each kind was answered, as Markdown. Ends with 1 where an answer is neither a
record nor a refusal, or the most memory of the last three tenths is over that of the second to
fourth by more than a tenth: what is read at one moment holds more or fewer large pictures.
"""

import argparse
import base64
import http.client
import io
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

THREADS, SEED = 4, 1
GOOD = ("good", "good PNG", "sixteen good")
HEAVY = ("over the budget", "large")  # seconds of work each, so they are one request in RARE
RARE = 200
RUN = (
    "experiment=m1 dataset=demo dataset.image_size=[32,32] train.epochs=2 evaluation.figures=false"
)
JSON = "application/json"


def png(width: int, height: int, rows: int) -> bytes:
    """Returns a PNG that says it is so large and holds some rows of zeros."""

    def chunk(name: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    pixels = zlib.compress(bytes((4 * width + 1) * rows), 9)
    parts = [(b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    """Returns the file of an image."""
    content = io.BytesIO()
    image.save(content, form, **options)
    return content.getvalue()


def asking(*pictures: bytes) -> bytes:
    """Returns the body that asks for some pictures."""
    records = [{"image": base64.b64encode(picture).decode()} for picture in pictures]
    return json.dumps({"dataframe_records": records}).encode()


class Bodies:
    """Requests by kind: some stay the same, some are damaged anew each time."""

    def __init__(self) -> None:
        """Draws the pictures."""
        noise = np.random.default_rng(SEED).integers(0, 255, (300, 400, 3), dtype=np.uint8)
        image = Image.fromarray(noise)
        self._jpeg, self._png = saved(image, "JPEG"), saved(image, "PNG")
        progressive = saved(image, "JPEG", progressive=True)
        scan = progressive[progressive.rindex(b"\xff\xda") : -2]
        exif = b"Exif\0\0II*\0\x08\0\0\0" + b"\xff" * 60
        deep = b"[" * 5000 + b"]" * 5000
        self.same = {
            "good": asking(self._jpeg),
            "good PNG": asking(self._png),
            "sixteen good": asking(*[self._jpeg] * 16),
            "too many pixels": asking(*[png(10_000, 10_000, 10_000)] * 4),
            "over the budget": asking(*[png(4000, 4000, 20)] * 20),
            "large": asking(png(2500, 2000, 2000)),
            "impossible size": asking(*[png(2**31 - 1, 2**31 - 1, 0)] * 64),
            "endless scans": asking(progressive[:-2] + scan * 200 + b"\xff\xd9"),
            "odd EXIF": asking(saved(image, "JPEG", exif=exif)),
            "no pictures": asking(b"", b"x", bytes(1000), b"\xff\xd8\xff" * 200, b"\x89PNG\r\n"),
            "257 pictures": asking(*[b"x"] * 257),
            "no base64": b'{"dataframe_records": [{"image": "*?"}]}',
            "other columns": b'{"dataframe_records": [{"picture": "eA=="}]}',
            "null": b"null",
            "nothing": b"",
            "a number": b'{"dataframe_records": [{"image": 7}, {"image": null}]}',
            "deep JSON": b'{"dataframe_records":' + deep + b"}",
            "no content type": asking(self._jpeg),
        }
        self.kinds = [*self.same, "cut JPEG", "damaged JPEG", "damaged PNG", "damaged body"]

    def draw(self, k: int) -> tuple[str, bytes]:
        """Returns kind and body of request k."""
        random = np.random.default_rng([SEED, k])
        if k % RARE == 0:
            kind = HEAVY[k // RARE % len(HEAVY)]
        elif random.random() < 0.5:
            kind = GOOD[random.integers(len(GOOD))]
        else:
            kind = str(random.choice([one for one in self.kinds if one not in (*GOOD, *HEAVY)]))
        if kind == "cut JPEG":
            at = random.integers(len(self._jpeg))
            return kind, asking(self._jpeg[:at], self._jpeg[:at] + b"\xff\xd9")
        if kind.startswith("damaged"):
            whole = {"damaged JPEG": self._jpeg, "damaged PNG": self._png}.get(kind)
            damaged = np.frombuffer(whole or self.same["good"], np.uint8).copy()
            at, n = random.integers(len(damaged)), random.integers(1, 4096)
            damaged[at : at + n] = random.integers(0, 256, len(damaged[at : at + n]))
            return kind, asking(damaged.tobytes()) if whole else damaged.tobytes()
        return kind, self.same[kind]


def ask(port: int, body: bytes, form: str = JSON) -> int:
    """Sends one request and returns the status; an answer of 200 must be a list of records."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    connection.request("POST", "/invocations", body, {"Content-Type": form})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    if answer.status == 200:
        records = json.loads(content, parse_constant=lambda name: sys.exit(f"holds {name}"))
        assert all("error" in record for record in records["predictions"])
    return answer.status


def resident(process: psutil.Process) -> int:
    """Returns the resident memory of a process and its children, in MiB."""
    return sum(p.memory_info().rss for p in [process, *process.children(True)]) >> 20


def main() -> None:
    """Runs the requests."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", help="as `mlflow models serve -m` takes it")
    parser.add_argument("--requests", type=int, default=10_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = given.model or _trained(Path(folder))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = f"mlflow models serve -m {model} --env-manager local --port {port}".split()
        # MLflow starts uvicorn by its name.
        path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
        server = subprocess.Popen(
            [sys.executable, "-m", *command],
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PATH": path},
            start_new_session=True,
            stderr=subprocess.DEVNULL,
        )
        try:
            while server.poll() is None and not _answers(port):
                time.sleep(1)
            if server.poll() is not None:
                sys.exit(f"the server ended with {server.returncode}: {' '.join(command)}")
            _soak(psutil.Process(server.pid), port, given.requests)
        finally:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGTERM)
                server.wait()


def _trained(folder: Path) -> str:
    """Trains a small network on drawings and returns where its served model lies."""
    places = f"tracking.folder={folder}/mlruns cache.dir={folder}/cache hydra.run.dir={folder}/job"
    words = [*RUN.split(), *places.split()]
    subprocess.run(
        [sys.executable, "-m", "melanoma_exp", *words], check=True, stdout=subprocess.DEVNULL
    )
    return str(next((folder / "mlruns").rglob("MLmodel")).parent)


def _answers(port: int) -> bool:
    try:
        return bool(ask(port, b"{"))
    except OSError:
        return False


def _soak(server: psutil.Process, port: int, count: int) -> None:
    bodies = Bodies()
    statuses: dict[str, Counter[int]] = defaultdict(Counter)
    seconds: dict[str, list[float]] = defaultdict(list)

    def one(k: int) -> tuple[str, int, float]:
        kind, body = bodies.draw(k)
        began = time.monotonic()
        status = ask(port, body, "text/plain" if kind == "no content type" else JSON)
        return kind, status, time.monotonic() - began

    used = []
    print("| requests | MiB | one good picture, median and 99 % | all, median and 99 % | minutes |")
    print("|---|---|---|---|---|")
    with ThreadPoolExecutor(THREADS) as pool:
        for tenth in range(10):
            began = time.monotonic()
            found = list(pool.map(one, range(tenth * count // 10, (tenth + 1) * count // 10)))
            for kind, status, took in found:
                statuses[kind][status] += 1
                seconds[kind].append(took)
            used.append(resident(server))
            good = _times([took for kind, _, took in found if kind == "good"])
            every = _times([took for _, _, took in found])
            minutes = f"{(time.monotonic() - began) / 60:.1f}"
            cells = [(tenth + 1) * count // 10, used[-1], good, every, minutes]
            print(f"| {' | '.join(map(str, cells))} |", flush=True)
    print("\n| kind | status | median and 99 % |\n|---|---|---|")
    for kind in (kind for kind in bodies.kinds if kind in statuses):
        counts = ", ".join(f"{n} x {status}" for status, n in sorted(statuses[kind].items()))
        print(f"| {kind} | {counts} | {_times(seconds[kind])} |")
    statuses.pop("deep JSON", None)  # which MLflow itself answers with 500; 504 after 60 seconds
    answered = set().union(*statuses.values())
    if max(used[-3:]) > 1.1 * max(used[1:4]) or not answered <= {200, 400, 415, 504}:
        sys.exit(1)


def _times(seconds: list[float]) -> str:
    middle, late = np.quantile(seconds, [0.5, 0.99]) if seconds else (np.nan, np.nan)
    return f"{middle:.2f} s, {late:.2f} s"


if __name__ == "__main__":
    main()
