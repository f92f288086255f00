"""Fetches collections of the ISIC Archive, image by image."""

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from melanoma_exp.download import isic_archive, record, tables
from melanoma_exp.download.checks import Saved
from melanoma_exp.download.client import Client
from melanoma_exp.download.isic_archive import ArchiveImage
from melanoma_exp.download.job import RESERVE, Asked, Brought, Offered, Shown
from melanoma_exp.download.record import Fetched
from melanoma_exp.download.sources import Archive
from melanoma_exp.spec import UserError, digest
from melanoma_exp.system import files

CONNECTIONS = 4  # images that are fetched at once
MAGIC = {".jpg": b"\xff\xd8\xff", ".png": b"\x89PNG\r\n", ".tif": b"II*\x00", ".bmp": b"BM"}


def offer(
    client: Client, asked: Asked, source: Archive, shown: Shown
) -> tuple[Offered, list[ArchiveImage]]:
    """Asks which images the collections hold.

    Args:
        client: Asks.
        asked: The collections and the folder.
        source: Where the archive is.
        shown: Called with the number of images known.

    Returns:
        What fetching means, and the images.

    Raises:
        UserError: There is no such collection, or the archive answers nothing of use.
    """
    named = isic_archive.collections(client, source.api, asked.collections, source.page)
    seen = "images listed by the archive"
    images = isic_archive.images(
        client, source.api, asked.collections, lambda k, n: shown(seen, k, n)
    )
    if not images:
        raise UserError(f"{asked.identity}: holds no public image")
    licences = Counter(image.copyright_license for image in images)
    missing = sum(i.files.full.size for i in images if not _is_there(_path(asked, i), i))
    names = Counter(image.attribution for image in images)
    offered = Offered(
        title=f"{source.title}: {', '.join(one.name for one in named)}",
        images=len(images),
        page=source.page,
        hosts=(urlsplit(source.api).hostname or "",),
        licence=", ".join(f"{name} ({n} images)" for name, n in sorted(licences.items())),
        licence_url=source.licence_url,
        attribution="; ".join(name for name, _ in names.most_common()),
        citation=source.citation,
        preset=source.preset,
        to_fetch=missing,
        unsized=0,
        needed=missing + RESERVE * bool(missing),
    )
    return offered, images


def fetch(
    client: Client,
    asked: Asked,
    source: Archive,
    images: Sequence[ArchiveImage],
    shown: Shown,
) -> Brought:
    """Fetches the images that are missing, and writes what is known of all of them.

    Args:
        client: Asks.
        asked: The collections and the folder.
        source: Where the archive is.
        images: What it holds.
        shown: Called with the number of images that are there.

    Raises:
        UserError: The archive does not give an image, or gives something else.
        OSError: It cannot be written.
    """
    saved: dict[str, Saved] = {}
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        waiting = {pool.submit(_one, client, asked, source, image): image for image in images}
        try:
            for done in as_completed(waiting):
                saved[_path(asked, waiting[done]).name] = done.result()
                shown("images fetched", len(saved), len(images))
        except BaseException:
            client.stop()
            pool.shutdown(cancel_futures=True)
            raise
    tables.write_archive(asked.folder, images)
    written = [tables.METADATA]
    for licence in sorted({image.copyright_license for image in images}):
        if licence in isic_archive.LICENCES:
            path = asked.folder / "licenses" / f"{licence}.txt"
            path.parent.mkdir(exist_ok=True)
            files.write(path, isic_archive.licence_text(client, source.api, licence))
            written.append(f"licenses/{licence}.txt")
    names = Counter(image.attribution for image in images).most_common()
    files.write(asked.folder / "attribution.txt", "\n\n".join(name for name, _ in names))
    written.append("attribution.txt")
    saved |= {name: record.saved(asked.folder / name) for name in written}
    rows = [(_path(asked, i).name, i.attribution, i.copyright_license) for i in images]
    total = sum(image.files.full.size for image in images)
    listing = Fetched(
        name=asked.identity,
        url=source.api,
        bytes=total,
        sha256=digest([row[0] for row in rows]),
        holds=(),
    )
    return Brought(saved, (listing,), rows)


def _one(client: Client, asked: Asked, source: Archive, image: ArchiveImage) -> Saved:
    path, size, url = _path(asked, image), image.files.full.size, image.files.full.url
    if _is_there(path, image):
        return record.saved(path)
    content = client.content(url, size, source.api)
    if len(content) != size or not content.startswith(_magic(path)):
        what = f"{len(content)} bytes instead of {size}" if len(content) != size else "no image"
        raise UserError(f"{url}: gives {what} for {image.isic_id}; type the same command again")
    partial = asked.work / f"{path.name}.tmp"
    partial.write_bytes(content)
    os.replace(partial, path)
    return record.saved(path)


def _is_there(path: Path, image: ArchiveImage) -> bool:
    if not path.is_file() or path.stat().st_size != image.files.full.size:
        return False
    with path.open("rb") as file:  # a power cut may have left zeros
        return file.read(len(_magic(path))) == _magic(path)


def _magic(path: Path) -> bytes:
    return MAGIC[path.suffix]


def _path(asked: Asked, image: ArchiveImage) -> Path:
    suffix = PurePosixPath(urlsplit(image.files.full.url).path).suffix.lower()
    suffix = {".jpeg": ".jpg", ".tiff": ".tif"}.get(suffix, suffix)
    return asked.folder / f"{image.isic_id}{suffix if suffix in MAGIC else '.jpg'}"
