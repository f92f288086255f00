"""A download that is interrupted, killed or started twice."""

import io
import itertools
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from launched import ENVIRONMENT
from offered_sets import archive, refused, words
from web import Page, Web

from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.download import record
from melanoma_exp.download.client import CHUNK
from melanoma_exp.report.counter import Counter

PART_1 = "/ham10000/HAM10000_images_part_1.zip"


@pytest.mark.parametrize("name", ["ham10000", "isic"])
@pytest.mark.parametrize("call", [1, 4, 12, 26])
def test_interrupted_anywhere_the_same_command_ends_with_the_same_files(
    server, table, tmp_path, monkeypatch, name, call
):
    if name == "isic":
        table = archive(server, tmp_path)
    more = ["--yes", "--sources", str(table), *["--collection", "7"] * (name == "isic")]
    COMMANDS["download"]([name, "--to", str(tmp_path / "whole"), *more])
    update, calls = Counter.update, itertools.count(1)

    def interrupted(self: Counter, done: int, total: int) -> None:
        if next(calls) == call:
            raise KeyboardInterrupt
        update(self, done, total)

    asked = [name, "--to", str(tmp_path / "set"), *more]
    monkeypatch.setattr(Counter, "update", interrupted)
    with pytest.raises(KeyboardInterrupt):
        COMMANDS["download"](asked)
    assert not (tmp_path / "set" / record.SOURCE).exists()
    COMMANDS["download"](asked)
    sums = [(tmp_path / folder / record.SUMS).read_bytes() for folder in ("set", "whole")]
    assert sums[0] == sums[1] and not (tmp_path / "set" / record.WORK).exists()
    there = [sorted(p.name for p in (tmp_path / f).rglob("*")) for f in ("set", "whole")]
    assert there[0] == there[1]


def slowly(handler: object, page: Page) -> None:
    """Sends half of a page, and the rest after a minute."""
    handler.head(200, len(page.body), {"ETag": page.tag})  # type: ignore[attr-defined]
    handler.wfile.write(page.body[: len(page.body) // 2])  # type: ignore[attr-defined]
    handler.wfile.flush()  # type: ignore[attr-defined]
    time.sleep(60)


def start(table: Path, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "melanoma_exp", "download", *words(table, folder, "--yes")],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def started(server: Web, table: Path, folder: Path) -> subprocess.Popen[str]:
    """Returns a process that has fetched a piece of a ZIP and waits for the next."""
    page = server.pages[PART_1]
    with zipfile.ZipFile(body := io.BytesIO(page.body), "a") as archive:
        archive.writestr("notes.txt", os.urandom(300_000))
    page.body = body.getvalue()
    server.faults[PART_1] = [slowly]
    process = start(table, folder)
    part = folder / record.WORK / ".HAM10000_images_part_1.zip.part"
    while process.poll() is None and not (part.exists() and part.stat().st_size == 2 * CHUNK):
        time.sleep(0.05)
    assert process.poll() is None, process.communicate()[0]
    return process


def test_a_killed_download_goes_on_and_two_at_once_are_told_apart(server, table, tmp_path):
    folder = tmp_path / "set"
    first = started(server, table, folder)
    line = refused(*words(table, folder, "--yes"))
    assert line.startswith(f"{folder} is being written by process {first.pid}, since ")
    assert record.tags(folder) == {"source": "a download that has not ended"}
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert not list(folder.rglob("*.jpg"))
    COMMANDS["download"](words(table, folder, "--yes"))
    assert server.ranges(PART_1)[-1] == f"bytes={2 * CHUNK}-"
    assert (folder / record.SOURCE).exists() and not (folder / record.WORK).exists()
    assert len(list(folder.rglob("*.jpg"))) == 24
    assert record.tags(folder)["source_licence"].startswith("CC BY-NC 4.0")


def test_ctrl_c_says_how_to_go_on(server, table, tmp_path):
    process = started(server, table, tmp_path / "set")
    process.send_signal(signal.SIGINT)
    said = process.communicate()[0]
    assert process.returncode == 130 and "Traceback" not in said
    assert said.splitlines()[-1].endswith("type the same command again to go on")
