"""Whether a server gives the file of the table: its length, its first bytes, its checksum."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import requests

from melanoma_exp.download.sources import Remote
from melanoma_exp.spec import UserError
from melanoma_exp.system import files

ZIP = b"PK\x03\x04"


@dataclass(frozen=True)
class Saved:
    """A file that was fetched whole.

    Attributes:
        bytes: Its length.
        sha256: 64 hex digits.
    """

    bytes: int
    sha256: str


def length(found: int, remote: Remote) -> None:
    """Refuses a length that is not the table's."""
    if remote.bytes not in (None, found):
        raise UserError(
            f"{remote.url}: has {found} bytes, {remote.name} should have {remote.bytes}; if its "
            "publisher replaced it, say so in a table of your own: --sources FILE"
        )


def first_bytes(answer: requests.Response, remote: Remote, first: bytes) -> None:
    """Refuses an answer that is a web page, or no ZIP where one should be.

    Args:
        answer: From the server.
        remote: What was asked for.
        first: The first bytes, empty before they are known.
    """
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    page = kind in ("text/html", "application/xhtml+xml") or first.lstrip()[:1] == b"<"
    wrong = len(first) >= len(ZIP) and remote.unpack_to is not None and not first.startswith(ZIP)
    if page or wrong:
        what = "a web page" if page else "something else"
        raise UserError(
            f"{remote.url}: gives {what} instead of {remote.name}; open it in a browser to see why"
        )


def examined(path: Path, target: Path, remote: Remote) -> Saved:
    """Returns the length and the checksum of a file that is what the table says.

    Raises:
        UserError: It is something else, and is removed.
    """
    size, sha256 = path.stat().st_size, files.sha256(path)
    wrong = "" if remote.bytes in (None, size) else f"{size} bytes, should have {remote.bytes}"
    kind, _, wanted = (remote.digest or "").partition(":")
    if not wrong and wanted:
        found = sha256 if kind == "sha256" else _md5(path)
        wrong = "" if found == wanted else f"the {kind} {found}, should have {wanted}"
    if wrong:
        path.unlink()
        raise UserError(
            f"{target.name}: has {wrong}; it is removed: the same command fetches it anew. If its "
            "publisher replaced it, say so in a table of your own: --sources FILE"
        )
    return Saved(size, sha256)


def _md5(path: Path) -> str:
    with files.open_file(path) as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
