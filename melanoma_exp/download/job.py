"""One set into one folder: whose folder it is, what is known before, what is written after.

All that is on its way lies in `.download` below the folder; the last step removes it. A process
that is killed anywhere leaves a folder from which the next one goes on.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import melanoma_exp
from melanoma_exp.download import record
from melanoma_exp.download.record import Fetched, Source
from melanoma_exp.download.transfer import Saved
from melanoma_exp.spec import UserError
from melanoma_exp.system import files, writer

Shown = Callable[[str, int, int], None]  # what is counted, how many are done, of how many
RESERVE = 1 << 28  # bytes that are to stay free


@dataclass(frozen=True)
class Asked:
    """What is to be fetched.

    Attributes:
        name: Of the set in the table of sources, or `isic`.
        folder: Where to.
        collections: Of the ISIC Archive.
        keep_archives: Whether ZIPs stay once they are unpacked.
    """

    name: str
    folder: Path
    collections: tuple[int, ...] = ()
    keep_archives: bool = False

    @property
    def work(self) -> Path:
        """The folder of what is on its way."""
        return self.folder / record.WORK

    @property
    def identity(self) -> str:
        """What the folder holds, or will, as it is typed."""
        numbers = " ".join(map(str, self.collections))
        return f"{self.name} --collection {numbers}" if numbers else self.name


@dataclass(frozen=True)
class Offered:
    """What fetching means, before it begins.

    Attributes:
        title: Of what.
        images: How many; None where nobody says.
        page: Where a person finds it.
        hosts: The servers that are asked.
        licence: In words.
        licence_url: Where it is to be read.
        attribution: Whom to name.
        citation: What to cite.
        preset: The option of `dataset` that reads it.
        to_fetch: Bytes that are missing, as far as servers say.
        unsized: Files of which no server says the length.
        needed: Bytes on the disk that are needed for a while.
    """

    title: str
    images: int | None
    page: str
    hosts: tuple[str, ...]
    licence: str
    licence_url: str
    attribution: str
    citation: str
    preset: str
    to_fetch: int
    unsized: int
    needed: int


@dataclass(frozen=True)
class Brought:
    """What was fetched.

    Attributes:
        saved: By path below the folder, everything that stays.
        fetched: The files as they were before they were unpacked.
        images: Of each image the path, whom to name and the licence.
    """

    saved: Mapping[str, Saved]
    fetched: tuple[Fetched, ...]
    images: Sequence[tuple[str, str, str]]


@contextmanager
def claimed(asked: Asked) -> Iterator[None]:
    """Makes this process the only one that fetches into a folder.

    Raises:
        UserError: Another one does, or the folder holds something else.
    """
    folder, source = asked.folder, record.read_source(asked.folder)
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--to: {folder} is a file; name a folder")
    held = asked.work / "asked"
    holds = files.read_text(held, 4096).strip() if held.is_file() else ""
    if source is not None:
        holds = Asked(source.set, folder, source.collections).identity
    if holds and holds != asked.identity:
        raise UserError(f"--to: {folder} holds {holds}; name another folder for {asked.identity}")
    others = [] if holds or not folder.exists() else sorted(path.name for path in folder.iterdir())
    others = [name for name in others if name != record.WORK]
    if others:
        raise UserError(
            f"--to: {folder} holds other files ({others[0]}); name a folder that is new or empty"
        )
    try:
        with writer.only_writer(asked.work / "lock", str(folder)):
            try:
                yield
            finally:
                if (folder / record.SOURCE).is_file():  # nothing is on its way
                    for path in asked.work.iterdir():
                        if path.name != "lock":  # its holder's to remove
                            files.remove(path)
    finally:
        with suppress(OSError):  # of an earlier process, and empty now
            asked.work.rmdir()


def damaged(asked: Asked, shown: Shown) -> list[str] | None:
    """Returns which files of a set that was fetched are missing or changed, None before it was.

    Args:
        asked: The set.
        shown: Called with the number of files read.
    """
    source, sums = record.read_source(asked.folder), record.read_sums(asked.folder)
    if source is None:
        return None
    if not sums or files.sha256(asked.folder / record.SUMS) != source.manifest:
        return [record.SUMS]
    wrong = []
    for k, (path, digest) in enumerate(sums.items()):
        there = asked.folder / path
        if not there.is_file() or files.sha256(there) != digest:
            wrong.append(path)
        shown("files checked", k + 1, len(sums))
    return wrong


def begin(asked: Asked, wrong: Sequence[str]) -> None:
    """Marks a folder as one that is being filled.

    Args:
        asked: The set.
        wrong: Files that are there and changed: they are fetched anew.

    Raises:
        OSError: It cannot be written.
    """
    files.write(asked.work / "asked", f"{asked.identity}\n")
    for path in wrong:
        (asked.folder / path).unlink(missing_ok=True)
    (asked.folder / record.SOURCE).unlink(missing_ok=True)


def finish(asked: Asked, offered: Offered, brought: Brought, accepted: str) -> Source:
    """Writes what stays beside the images.

    Args:
        asked: The set.
        offered: What was shown.
        brought: What was fetched.
        accepted: When the licence was.

    Returns:
        What `source.json` says.

    Raises:
        OSError: It cannot be written.
    """
    os.sync()  # once, not for each of many small files: what is said to be there is on the disk
    record.write_attribution(asked.folder, brought.images)
    sums = {path: one.sha256 for path, one in brought.saved.items()}
    sums[record.ATTRIBUTION] = files.sha256(asked.folder / record.ATTRIBUTION)
    source = Source(
        set=asked.name,
        collections=asked.collections,
        preset=offered.preset,
        title=offered.title,
        page=offered.page,
        licence=offered.licence,
        licence_url=offered.licence_url,
        attribution=offered.attribution,
        citation=offered.citation,
        accepted=accepted,
        finished=now(),
        images=len(brought.images),
        files=brought.fetched,
        manifest=record.write_sums(asked.folder, sums),
        version=melanoma_exp.__version__,
    )
    files.write(asked.folder / record.SOURCE, source.model_dump_json(indent=1) + "\n")
    return source


def now() -> str:
    """Returns the time in UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def free(folder: Path) -> int:
    """Returns the free bytes of the disk that a folder lies on, or will."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    return shutil.disk_usage(there).free
