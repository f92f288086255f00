"""Shows that the memory of a served model stays flat under good and hostile requests.

    python benchmarks/serving.py runs:/RUN_ID/model              # 10,000 requests
    python benchmarks/serving.py FOLDER_OF_THE_MODEL --requests 2000

Starts `mlflow models serve` in a process of its own, as docs/serving.md does, sends requests from
four threads, and prints the memory of the server with its children every tenth of the way.
Ends with 1 where an answer is neither a record nor a refusal, or memory grew by more than a tenth
between the second tenth and the last.
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
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
from PIL import Image

THREADS = 4
HEAVY = ("over the budget", "large")  # seconds of work each, so they are one request in RARE
RARE = 200


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


def bodies() -> dict[str, bytes]:
    """Returns requests by name, good ones and others."""
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    jpeg = saved(image, "JPEG")
    progressive = saved(image, "JPEG", progressive=True)
    last = progressive.rindex(b"\xff\xda")
    pictures = {
        "good": [jpeg],
        "sixteen good": [jpeg] * 16,
        "good PNG": [saved(image, "PNG")],
        "too many pixels": [png(10_000, 10_000, 10_000)] * 4,
        "over the budget": [png(4000, 4000, 20)] * 20,
        "large": [png(2500, 2000, 2000)],
        "impossible size": [png(2**31 - 1, 2**31 - 1, 0)] * 64,
        "cut and closed": [jpeg[: len(jpeg) // 2] + b"\xff\xd9"] * 8,
        "zeroed": [jpeg[:9000] + bytes(4096) + jpeg[13_096:]] * 8,
        "endless scans": [progressive[:-2] + progressive[last:-2] * 200 + b"\xff\xd9"],
        "odd EXIF": [saved(image, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0" + b"\xff" * 60)],
        "no pictures": [b"", b"x", bytes(1000), b"\xff\xd8\xff" * 200, b"\x89PNG\r\n\x1a\n"],
        "too many": [b"x"] * 257,
    }
    encoded = {
        name: json.dumps(
            {"dataframe_records": [{"image": base64.b64encode(one).decode()} for one in contents]}
        ).encode()
        for name, contents in pictures.items()
    }
    deep = b'{"dataframe_records":' + b"[" * 5000 + b"]" * 5000 + b"}"
    return {**encoded, "no JSON": b"{", "deep JSON": deep, "nothing": b"", "null": b"null"}


def ask(port: int, body: bytes) -> int:
    """Sends one request and returns the status; an answer of 200 must be a list of records."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
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
    parser.add_argument("model", help="as `mlflow models serve -m` takes it")
    parser.add_argument("--requests", type=int, default=10_000)
    given = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = f"mlflow models serve -m {given.model} --env-manager local --port {port}".split()
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


def _answers(port: int) -> bool:
    try:
        return bool(ask(port, b"{"))
    except OSError:
        return False


def _soak(server: psutil.Process, port: int, count: int) -> None:
    kinds, heavy = list(bodies().items()), [(name, bodies()[name]) for name in HEAVY]
    statuses: dict[str, set[int]] = {name: set() for name, _ in kinds}

    def one(k: int) -> None:
        name, body = heavy[k // RARE % len(heavy)] if k % RARE == 0 else kinds[k % len(kinds)]
        if name in HEAVY and k % RARE:
            name, body = kinds[0]
        statuses[name].add(ask(port, body))

    used = []
    with ThreadPoolExecutor(THREADS) as pool:
        for tenth in range(10):
            began = time.monotonic()
            list(pool.map(one, range(tenth * count // 10, (tenth + 1) * count // 10)))
            used.append(resident(server))
            seconds = time.monotonic() - began
            print(
                f"{(tenth + 1) * count // 10} requests: {used[-1]} MiB, {seconds:.0f} s", flush=True
            )
    for name, found in statuses.items():
        print(f"{name}: status {', '.join(map(str, sorted(found)))}")
    statuses.pop("deep JSON")  # which MLflow itself answers with 500
    if used[-1] > 1.1 * used[1] or not set().union(*statuses.values()) <= {200, 400}:
        sys.exit(1)


if __name__ == "__main__":
    main()
