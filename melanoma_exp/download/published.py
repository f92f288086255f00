"""Fetches sets that are handed out as ZIPs and tables."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from melanoma_exp.data.layouts.image_files import is_image, names_mask
from melanoma_exp.download import isic_archive, record, tables, transfer, unpack
from melanoma_exp.download.checks import Saved
from melanoma_exp.download.client import Client
from melanoma_exp.download.failures import RefusedError
from melanoma_exp.download.isic_archive import ArchiveImage
from melanoma_exp.download.job import RESERVE, Asked, Brought, Offered, Shown
from melanoma_exp.download.record import Fetched
from melanoma_exp.download.sources import PublishedSet, Remote
from melanoma_exp.spec import UserError
from melanoma_exp.system import files


def offer(client: Client, asked: Asked, source: PublishedSet, api: str) -> Offered:
    """Asks the servers what is missing.

    Args:
        client: Asks.
        asked: The set and its folder.
        source: Where it is.
        api: Of the ISIC Archive.

    Raises:
        UserError: A server does not give a file.
    """
    missing = [remote for remote in source.files if _done(asked, remote) is None]
    sizes = {r.name: _size(client, asked, source, r) for r in missing}
    left = {r.name: max((sizes[r.name] or 0) - _already(asked, r), 0) for r in missing}
    # A ZIP of images is as large as they are, and both are there until it is unpacked.
    zips = [sizes[r.name] or 0 for r in missing if r.unpack_to is not None]
    kept = sum(zips) if asked.keep_archives else max(zips, default=0)
    hosts = [urlsplit(remote.url).hostname or "" for remote in source.files]
    hosts += [urlsplit(api).hostname or ""] * source.joins_archive
    return Offered(
        title=source.title,
        images=source.images,
        page=source.page,
        hosts=tuple(dict.fromkeys(hosts)),
        licence=source.licence,
        licence_url=source.licence_url,
        attribution=source.attribution,
        citation=source.citation,
        preset=source.preset,
        to_fetch=sum(left.values()),
        unsized=sum(size is None for size in sizes.values()),
        needed=sum(left.values()) + kept + RESERVE * bool(missing),
    )


def fetch(
    client: Client, asked: Asked, source: PublishedSet, api: str, offered: Offered, shown: Shown
) -> Brought:
    """Fetches and unpacks what is missing.

    Args:
        client: Asks.
        asked: The set and its folder.
        source: Where it is.
        api: Of the ISIC Archive.
        offered: What is missing.
        shown: Called with the progress.

    Raises:
        UserError: A server does not give a file, or it is not what it should be.
        OSError: It cannot be written.
    """
    arrived = 0
    before = sum(_already(asked, r) for r in source.files if _done(asked, r) is None)

    def moved(count: int) -> None:
        nonlocal arrived
        arrived += count
        total = max(before + offered.to_fetch, arrived + bool(offered.unsized))
        shown("bytes fetched", arrived, total)

    saved: dict[str, Saved] = {}
    fetched = []
    for remote in source.files:
        of_file, files_of_it = _bring(client, asked, source, remote, moved, shown)
        fetched.append(of_file)
        saved |= files_of_it
    paths = [path for path in saved if _is_picture(path)]
    images: Sequence[ArchiveImage] = ()
    if source.joins_archive:
        names = tables.ids(paths)
        images = isic_archive.named(
            client, api, names, lambda k, n: shown("images looked up in the archive", k, n)
        )
        tables.write_isic9(asked.folder, asked.work, names, images)
        saved[tables.METADATA] = record.saved(asked.folder / tables.METADATA)
    return Brought(saved, tuple(fetched), _attributed(paths, images, source))


def restore(asked: Asked, wrong: Sequence[str]) -> None:
    """Notes which ZIPs need not be fetched again though some files are missing or changed.

    Args:
        asked: A set that was fetched.
        wrong: Those files.
    """
    before, sums = record.read_source(asked.folder), record.read_sums(asked.folder)
    if before is None or record.SUMS in wrong:
        return
    for one in before.files:
        held = [path for path in sums if path.split("/")[0] in one.holds]
        if held and not set(held).intersection(wrong):
            content = {path: [(asked.folder / path).stat().st_size, sums[path]] for path in held}
            _note(asked, one, content)


def _bring(
    client: Client,
    asked: Asked,
    source: PublishedSet,
    remote: Remote,
    moved: Callable[[int], None],
    shown: Shown,
) -> tuple[Fetched, dict[str, Saved]]:
    """Returns a file as it was fetched and what it is below the folder."""
    if (done := _done(asked, remote)) is not None:
        return done
    target = _target(asked, remote)
    with _by_hand(source, remote, target):
        got = transfer.save(client, remote, target, moved)
    found = Fetched(name=remote.name, url=remote.url, bytes=got.bytes, sha256=got.sha256, holds=())
    if remote.unpack_to is None:
        return found, {} if remote.helper else {remote.name: got}
    unpacked, total = 0, target.stat().st_size

    def seen(count: int) -> None:
        nonlocal unpacked
        unpacked += count
        shown("bytes unpacked", unpacked, max(total, unpacked))

    inside = unpack.unpack(target, asked.folder, remote.unpack_to, remote.strip, asked.work, seen)
    found = found.model_copy(update={"holds": tuple(sorted({p.split("/")[0] for p in inside}))})
    _note(asked, found, {path: [one.bytes, one.sha256] for path, one in inside.items()})
    if asked.keep_archives:
        return found, {**inside, remote.name: got}
    target.unlink()
    return found, inside


def _size(client: Client, asked: Asked, source: PublishedSet, remote: Remote) -> int | None:
    """Returns the length of a file, None where the server does not say."""
    target = _target(asked, remote)
    if target.exists():
        return target.stat().st_size
    with _by_hand(source, remote, target):
        return transfer.ask(client, remote).bytes or remote.bytes


@contextmanager
def _by_hand(source: PublishedSet, remote: Remote, target: Path) -> Iterator[None]:
    """Says of a file that a server refuses where a person can put it."""
    try:
        yield
    except RefusedError as error:
        raise UserError(
            f"{error.lines[0]}; or get {remote.name} with a browser from {source.page}, put it at "
            f"{target} and type the same command again"
        ) from None


def _target(asked: Asked, remote: Remote) -> Path:
    stays = asked.keep_archives if remote.unpack_to is not None else not remote.helper
    return (asked.folder if stays else asked.work) / remote.name


def _already(asked: Asked, remote: Remote) -> int:
    return transfer.already(_target(asked, remote))


def _note_of(asked: Asked, name: str) -> Path:
    return asked.work / f"{name}.unpacked.json"


def _note(asked: Asked, found: Fetched, content: dict[str, list[object]]) -> None:
    text = json.dumps({"fetched": found.model_dump(), "files": content})
    files.write(_note_of(asked, found.name), text)


def _done(asked: Asked, remote: Remote) -> tuple[Fetched, dict[str, Saved]] | None:
    """Returns what is there of a ZIP that was unpacked, None where that has to be done."""
    path = _note_of(asked, remote.name)
    if not path.is_file():
        return None
    content = json.loads(files.read_text(path, record.MOST))
    found = Fetched(**content["fetched"])
    inside = {name: Saved(*pair) for name, pair in content["files"].items()}
    whole = all(
        (asked.folder / name).is_file() and (asked.folder / name).stat().st_size == one.bytes
        for name, one in inside.items()
    )
    return (found, inside) if whole and found.url == remote.url else None


def _is_picture(path: str) -> bool:
    name = Path(path)
    return is_image(name.name) and not names_mask(name.stem, folder=False)


def _attributed(
    paths: Sequence[str], images: Sequence[ArchiveImage], source: PublishedSet
) -> list[tuple[str, str, str]]:
    """Returns of each image the path, whom to name and the licence: its own where it has one."""
    of = {image.isic_id: image for image in images}
    rows = []
    for path in sorted(paths):
        own = of.get(next(iter(tables.ids([path])), ""))
        attribution = own.attribution if own else source.attribution
        rows.append((path, attribution, own.copyright_license if own else source.licence))
    if not rows:
        raise UserError(f"{source.title}: holds no image; the files are not those of the set")
    return rows
