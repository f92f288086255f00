"""One file from a server to the disk: in pieces, resumed after a break, whole or not at all."""

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from melanoma_exp.download import checks
from melanoma_exp.download.checks import Saved
from melanoma_exp.download.client import Client
from melanoma_exp.download.failures import TransientError
from melanoma_exp.download.sources import Remote
from melanoma_exp.spec import UserError
from melanoma_exp.system import files

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


@dataclass(frozen=True)
class Offer:
    """What a server says of a file before it is fetched.

    Attributes:
        bytes: Its length, None where the server does not say.
        url: Where the address led.
    """

    bytes: int | None
    url: str


def ask(client: Client, remote: Remote) -> Offer:
    """Asks for one byte of a file, to learn its length.

    Args:
        client: Asks.
        remote: The file.

    Raises:
        UserError: The server does not give it, or it is not the file of the table.
    """

    def once() -> Offer:
        with client.opened(remote.url, {"Range": "bytes=0-0"}) as answer:
            checks.first_bytes(answer, remote, b"")
            return Offer(_total(answer), answer.url)

    offer = client.retried(remote.url, once)
    if offer.bytes is not None:
        checks.length(offer.bytes, remote)
    return offer


def save(client: Client, remote: Remote, target: Path, moved: Callable[[int], None]) -> Saved:
    """Fetches a file.

    What has arrived is in a hidden file beside the target and stays there when the connection, the
    process or the machine ends; the next call goes on from there, if the server still has the same
    file. The target appears when it is whole and has the length and the checksum of the table.

    Args:
        client: Asks for it.
        remote: What and from where.
        target: Where to; a file there that is the one of the table is not fetched again.
        moved: Called with the bytes that arrived since the last call; negative where they have
            to be fetched again.

    Raises:
        UserError: The server does not give it, or gives something else.
        OSError: It cannot be written.
    """
    if target.exists():
        moved(target.stat().st_size)
        return checks.examined(target, target, remote)
    part = _Part(target, remote)
    reported = 0

    def tell() -> None:
        nonlocal reported
        moved(part.size - reported)
        reported = part.size

    client.retried(remote.url, lambda: part.extend(client, tell), lambda: part.size >> 20)
    saved = checks.examined(part.path, target, remote)
    files.sync(part.path)
    os.replace(part.path, target)
    part.forget()
    return saved


def already(target: Path) -> int:
    """Returns how many bytes of a file are here, whole or in part."""
    held = [path.stat().st_size for path in (target, _part_of(target)) if path.exists()]
    return max(held, default=0)


class _Part:
    """What has arrived of a file, and of which state of the server's file it is."""

    def __init__(self, target: Path, remote: Remote) -> None:
        self.path, self._note = _part_of(target), target.with_name(f".{target.name}.json")
        self._remote = remote

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def extend(self, client: Client, tell: Callable[[], None]) -> None:
        """Fetches what is missing.

        Raises:
            TransientError: The connection broke; what arrived is kept.
        """
        state = self._state()
        done = self.size if state else 0
        headers = {"Range": f"bytes={done}-"} if done else {}
        if done and state["validator"]:
            headers["If-Range"] = state["validator"]  # else the server sends the new file whole
        with client.opened(self._remote.url, headers) as answer:
            start, total = self._begin(answer, done, state)
            tell()
            if start == total:
                return
            self._receive(answer, client, start, total, tell)
        if total is not None and self.size < total:  # also where no error says so
            raise TransientError(f"the connection ended at byte {self.size} of {total}")

    def forget(self) -> None:
        """Removes what was noted."""
        self._note.unlink(missing_ok=True)

    def _begin(
        self, answer: requests.Response, done: int, state: dict[str, Any]
    ) -> tuple[int, int | None]:
        """Returns where the answer begins, and the length of the file; None where unknown."""
        total = _total(answer)
        if answer.status_code == 416:
            if done and done == total:
                return done, total
            self._drop()
            raise TransientError("the server's file is shorter than what was fetched of it")
        if answer.status_code == 206:
            found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
            known = state.get("total")
            if not found or int(found[1]) != done or (total or known) != (known or total):
                self._drop()
                raise TransientError("the server sends another piece than it was asked for")
            return done, total or known
        if total is not None:
            checks.length(total, self._remote)
        self._drop()
        tag = answer.headers.get("ETag", "")
        validator = "" if tag.startswith("W/") else tag or answer.headers.get("Last-Modified", "")
        content = {"url": self._remote.url, "validator": validator, "total": total}
        files.write(self._note, json.dumps(content))
        return 0, total or self._remote.bytes

    def _receive(
        self,
        answer: requests.Response,
        client: Client,
        start: int,
        total: int | None,
        tell: Callable[[], None],
    ) -> None:
        at = start
        with self.path.open("r+b" if start else "wb", buffering=0) as file:
            file.seek(start)
            for piece in client.pieces(answer):
                if at == 0:
                    checks.first_bytes(answer, self._remote, piece)
                at += len(piece)
                if total is not None and at > total:
                    raise UserError(
                        f"{self._remote.url}: sends more than the {total} bytes of the file"
                    )
                rest = memoryview(piece)
                while rest:
                    rest = rest[file.write(rest) :]
                tell()

    def _state(self) -> dict[str, Any]:
        """Returns what the part is a part of; empty where that cannot be known or be checked."""
        try:
            state = json.loads(self._note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        known = isinstance(state, dict) and {"url", "validator", "total"} <= state.keys()
        if not known or state["url"] != self._remote.url:
            return {}
        return state if state["validator"] or self._remote.digest else {}

    def _drop(self) -> None:
        self.path.unlink(missing_ok=True)


def _part_of(target: Path) -> Path:
    return target.with_name(f".{target.name}.part")


def _total(answer: requests.Response) -> int | None:
    """Returns the length of the whole file, None where the answer does not say."""
    if answer.status_code == 200:
        length = answer.headers.get("Content-Length", "")
        return int(length) if length.isdigit() else None
    end = answer.headers.get("Content-Range", "").rpartition("/")[2]
    return int(end) if end.isdigit() else None
