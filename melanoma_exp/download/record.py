"""What stays beside fetched images: their checksums, where they are from, whom to name.

`SHA256SUMS` lists every file (`sha256sum -c SHA256SUMS` checks them all), `source.json` says what
was fetched from where under which licence, and `attribution.csv` gives attribution and licence of
each image. A run on the folder records them.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from melanoma_exp.download.checks import Saved
from melanoma_exp.spec import Spec, UserError, validate_json
from melanoma_exp.system import files
from melanoma_exp.system.shown import TableWriter

SUMS, SOURCE, ATTRIBUTION = "SHA256SUMS", "source.json", "attribution.csv"
WORK = ".download"  # the folder of what is on its way
MOST = 2**28  # bytes of a record


class Fetched(Spec):
    """One file that was fetched, as it was before it was unpacked.

    Attributes:
        name: Of the file.
        url: Where it was.
        bytes: Its length.
        sha256: 64 hex digits; of a collection of images the digest of their names.
        holds: The names directly below the folder of the set that its content lies under.
    """

    name: str
    url: str
    bytes: int
    sha256: str
    holds: tuple[str, ...]


class Source(Spec):
    """Where the files of a folder are from.

    Attributes:
        set: Its name in the table of sources, or `isic`.
        collections: Of the ISIC Archive.
        preset: The option of `dataset` that reads it.
        title: For people.
        page: Where a person finds it.
        licence: That was accepted.
        licence_url: Where it is to be read.
        attribution: Whom to name.
        citation: What to cite.
        accepted: When, in UTC.
        finished: When the last file was there, in UTC.
        images: How many there are.
        files: What was fetched.
        manifest: SHA-256 of `SHA256SUMS`.
        version: Of this package.
    """

    set: str
    collections: tuple[int, ...]
    preset: str
    title: str
    page: str
    licence: str
    licence_url: str
    attribution: str
    citation: str
    accepted: str
    finished: str
    images: int
    files: tuple[Fetched, ...]
    manifest: str
    version: str


def write_sums(folder: Path, sums: Mapping[str, str]) -> str:
    """Writes `SHA256SUMS`.

    Args:
        folder: Of the set.
        sums: By path below the folder its SHA-256.

    Returns:
        The SHA-256 of what was written.
    """
    text = "".join(f"{sums[path]}  {path}\n" for path in sorted(sums))
    files.write(folder / SUMS, text)
    return hashlib.sha256(text.encode()).hexdigest()


def read_sums(folder: Path) -> dict[str, str]:
    """Returns by path the SHA-256 that `SHA256SUMS` has of it; empty where there is none.

    Raises:
        UserError: It cannot be read, or names a file elsewhere.
    """
    if not (folder / SUMS).is_file():
        return {}
    lines = files.read_text(folder / SUMS, MOST).splitlines()
    sums = {path: digest for digest, _, path in (line.partition("  ") for line in lines) if path}
    for path in map(PurePosixPath, sums):
        if path.is_absolute() or ".." in path.parts:
            raise UserError(f"{folder / SUMS}: names a file elsewhere, {path}")
    return sums


def read_source(folder: Path) -> Source | None:
    """Returns where the files of a folder are from, None where nothing says so.

    Raises:
        UserError: What says so is damaged.
    """
    path = folder / SOURCE
    if not path.is_file():
        return None
    return validate_json(Source, files.read_named(path, MOST), path, "fetch the set again")


def write_attribution(folder: Path, rows: Iterable[tuple[str, str, str]]) -> None:
    """Writes `attribution.csv`.

    Args:
        folder: Of the set.
        rows: Of each image the path, whom to name and the licence.
    """
    with files.aside(folder / ATTRIBUTION) as partial:
        with partial.open("w", encoding="utf-8", newline="") as file:
            writer = TableWriter(file)
            writer.writerow(["image", "attribution", "copyright_license"])
            writer.writerows(rows)


def tags(folder: Path | None) -> dict[str, str]:
    """Returns what a run on a folder records of where its images are from; {} where unknown.

    Args:
        folder: Of the dataset; None where it has none.
    """
    if folder is None:
        return {}
    if (folder / WORK).is_dir() and not (folder / SOURCE).is_file():
        return {"source": "a download that has not ended"}
    try:
        found = read_source(folder)
    except UserError:
        return {"source": f"{SOURCE} is damaged"}
    if found is None:
        return {}
    collections = ", ".join(map(str, found.collections))
    return {
        "source": f"{found.page}{f', collections {collections}' if collections else ''}",
        "source_licence": found.licence,
        "source_manifest": found.manifest,
    }


def describe(folder: Path | None) -> str:
    """Returns in a line where the images of a folder are from; as of `tags`, "" where unknown."""
    found = tags(folder)
    manifest = found.get("source_manifest", "")[:16]
    licence = f", {found['source_licence']}, checksums {manifest}" if manifest else ""
    return f"{found['source']}{licence}" if found else ""


def saved(path: Path) -> Saved:
    """Returns length and checksum of a file that was written here."""
    return Saved(path.stat().st_size, files.sha256(path))
