"""Unpacks a ZIP from outside: nothing lands elsewhere, nothing is larger than it says."""

import hashlib
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from melanoma_exp.download.checks import Saved
from melanoma_exp.spec import UserError

RATIO, SLACK = 20, 1 << 28  # images hardly shrink: more than this many times the ZIP, and a bit
ENTRIES = 2_000_000
CHUNK = 1 << 20
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\:]")
_JUNK = ("__MACOSX", "Thumbs.db")


@dataclass(frozen=True)
class Member:
    """A file in a ZIP and where it goes.

    Attributes:
        info: Of it.
        path: Below the folder of the set, with `/`.
    """

    info: zipfile.ZipInfo
    path: str


def unpack(
    archive: Path,
    folder: Path,
    into: str,
    strip: str | None,
    aside: Path,
    moved: Callable[[int], None],
) -> dict[str, Saved]:
    """Unpacks a ZIP but for hidden files; those that are there already and whole stay as they are.

    Args:
        archive: The ZIP.
        folder: Of the set.
        into: The folder below it, "." for itself.
        strip: A folder around everything, which is left out; None for none.
        aside: A folder on the same disk for files on their way.
        moved: Called with the bytes unpacked since the last call.

    Returns:
        By path below the folder the length and the checksum.

    Raises:
        UserError: It is damaged, or does what a ZIP of images never does; nothing was written of an
            entry that does.
        OSError: It cannot be written.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            found = {}
            for member in members(opened, archive, into, strip):
                found[member.path] = _one(opened, member, folder / member.path, aside)
                moved(member.info.file_size)
            return found
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        archive.unlink()
        raise UserError(
            f"{archive.name}: is a damaged ZIP ({error}); it is removed: the same command fetches "
            "it anew"
        ) from None


def members(
    opened: zipfile.ZipFile, archive: Path, into: str = ".", strip: str | None = None
) -> list[Member]:
    """Returns the files of a ZIP, once all of them are known to be harmless; as of `unpack`."""
    infos = [info for info in opened.infolist() if not info.is_dir()]
    if len(infos) > ENTRIES:
        raise UserError(f"{archive.name}: holds {len(infos)} files, more than {ENTRIES}")
    total, most = sum(i.file_size for i in infos), RATIO * archive.stat().st_size + SLACK
    if total > most:
        raise UserError(
            f"{archive.name}: would unpack to {total} bytes, more than {RATIO} times its own size; "
            "it was not unpacked"
        )
    found = list(_safe(infos, archive, PurePosixPath(into), strip))
    seen: dict[str, str] = {}
    for member in found:  # some disks know no letter case
        if seen.setdefault(member.path.casefold(), member.info.filename) != member.info.filename:
            raise UserError(f"{archive.name}: holds {member.info.filename} twice, in two spellings")
    if len({member.path for member in found}) < len(found):
        raise UserError(f"{archive.name}: holds one file twice")
    return found


def _safe(
    infos: list[zipfile.ZipInfo], archive: Path, into: PurePosixPath, strip: str | None
) -> Iterator[Member]:
    for info in infos:
        path = PurePosixPath(info.filename)
        outside = path.is_absolute() or ".." in path.parts or _UNSAFE.search(info.filename)
        hidden = any(part.startswith(".") for part in path.parts)
        if not outside and (hidden or set(path.parts).intersection(_JUNK)):
            continue
        kind = stat.S_IFMT(info.external_attr >> 16)
        harmless = kind in (0, stat.S_IFREG) and not info.flag_bits & 1
        if outside or not harmless or not path.parts:
            why = "leads out of its folder" if outside else "is no plain file"
            raise UserError(
                f"{archive.name}: its entry {ascii(info.filename)} {why}; nothing was unpacked"
            )
        if strip is not None and path.parts[0] == strip and len(path.parts) > 1:
            path = PurePosixPath(*path.parts[1:])
        yield Member(info, (into / path).as_posix())


def _one(opened: zipfile.ZipFile, member: Member, target: Path, aside: Path) -> Saved:
    if target.is_file() and target.stat().st_size == member.info.file_size:
        crc, sha256 = _checksums(target)
        if crc == member.info.CRC:
            return Saved(member.info.file_size, sha256)
    digest, partial = hashlib.sha256(), aside / "unpacking.tmp"
    with opened.open(member.info) as source, partial.open("wb") as file:
        while piece := source.read(CHUNK):  # checks the CRC at the end
            digest.update(piece)
            file.write(piece)
    if partial.stat().st_size != member.info.file_size:
        raise zipfile.BadZipFile(f"{member.info.filename} is cut off")
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(partial, target)
    return Saved(member.info.file_size, digest.hexdigest())


def _checksums(path: Path) -> tuple[int, str]:
    crc, digest = 0, hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            crc = zlib.crc32(piece, crc)
            digest.update(piece)
    return crc, digest.hexdigest()
