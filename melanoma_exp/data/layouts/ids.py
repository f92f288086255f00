"""Ties images to the rows of a table by name, and refuses a name that stands for two pictures."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from unicodedata import normalize

from melanoma_exp.data.groups import image_id, is_isic_id
from melanoma_exp.data.layouts.image_files import OTHER_FORMATS, SUFFIXES
from melanoma_exp.data.metadata import Table
from melanoma_exp.spec import UserError

_SAME_FORMAT = {".jpeg": ".jpg"}


@dataclass(frozen=True)
class Name:
    """The name of an image, as a table or a folder has it.

    Attributes:
        folders: Above it, in lower case.
        stem: Without suffix, as it is written.
        suffix: In lower case, "" where there is none.
        key: What all ways to write it share: the ISIC id in it, or the stem in lower case, without
            the `_downsampled` of ISIC 2019.
    """

    folders: tuple[str, ...]
    stem: str
    suffix: str
    key: str

    @classmethod
    def of(cls, text: str) -> "Name":
        """Reads an id or a path, relative or not, of Windows or not."""
        path = PurePosixPath(normalize("NFC", text).replace("\\", "/"))
        suffix = path.suffix.lower()
        if suffix not in (*SUFFIXES, *OTHER_FORMATS):
            path, suffix = path.with_name(f"{path.name}."), ""
        folders = tuple(part.casefold() for part in path.parts[:-1] if part not in (".", "/"))
        stem = path.name.removesuffix(".") if not suffix else path.stem
        isic = image_id(stem)
        key = isic if is_isic_id(isic) else stem.casefold().removesuffix("_downsampled")
        return cls(folders, stem, _SAME_FORMAT.get(suffix, suffix), key)

    def agreement(self, row: "Name") -> tuple[int, bool, bool] | None:
        """Returns how well the name in a row fits this image, None where it does not.

        Returns:
            How many folders from the last one up are the same, whether the suffix is, and whether
            the stem is to the letter.
        """
        pairs = zip(reversed(self.folders), reversed(row.folders), strict=False)
        shared = next((k for k, (a, b) in enumerate(pairs) if a != b), None)
        if shared is None:
            shared = min(len(self.folders), len(row.folders))
        if row.folders and not shared:
            return None
        return shared, row.suffix == self.suffix, row.stem == self.stem


def tie(sources: Sequence[str], table: Table) -> list[str]:
    """Finds the row of each image.

    A name that one image and one row have ties them whatever the folders are. Where more have it,
    the folders and the suffix in the table decide.

    Args:
        sources: Path of each image relative to the dataset.
        table: Its ids are names or paths, with suffix or without.

    Returns:
        For each image the id of its row as the table has it, "" where there is none.

    Raises:
        UserError: Two rows name one image; a line each.
    """
    rows: dict[str, list[tuple[Name, str]]] = defaultdict(list)
    images: dict[str, list[Name]] = defaultdict(list)
    for row in table.rows:
        name = Name.of(row)
        rows[name.key].append((name, row))
    names = [Name.of(source) for source in sources]
    for name in names:
        images[name.key].append(name)
    found = [_row_of(name, rows.get(name.key, []), images[name.key]) for name in names]
    used = set(found)
    problems = [
        f"{table.path}: {row} ({table.line(row)}) and {other} ({table.line(other)}) "
        "name the same image and say different things; remove one"
        for same in rows.values()
        if len(same) > 1
        for name, row in same
        for of_other, other in same
        if row not in used and other in used
        if not name.folders and name.suffix in ("", of_other.suffix)
        if table.rows[row] != table.rows[other]
    ]
    if problems:
        raise UserError(*problems[:20])
    return found


def _row_of(image: Name, rows: list[tuple[Name, str]], images: list[Name]) -> str:
    """Returns the row of an image among those of its key, "" for none."""
    if len(rows) == 1:
        name, row = rows[0]
        # An ISIC id names one image wherever it is.
        if len(images) == 1 or not (name.folders or name.suffix) or is_isic_id(image.key):
            return row
    fits = [(image.agreement(name), row, name) for name, row in rows]
    best = max((f for f in fits if f[0] is not None), key=lambda f: f[0] or (), default=None)
    if best is None:
        return ""
    # A path names its own image: another one that shares only the end of it has no row.
    closer = [other.agreement(best[2]) for other in images]
    if max(a[:2] for a in closer if a is not None) > (best[0] or ())[:2]:
        return ""
    return best[1]


def refuse_namesakes(
    rows: Iterable[str], paths: Sequence[Path], root: Path, table: Table, max_pixels: int
) -> None:
    """Refuses images of one file name that share a row and are different pictures.

    Args:
        rows: The row of each image, "" for none.
        paths: The image files.
        root: The folder that those below it are named from.
        table: That the rows are of.
        max_pixels: Larger images are different from all others.

    Raises:
        UserError: There are such; a line for each name.
    """
    sharing: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for row, path in zip(rows, paths, strict=True):
        if row:
            sharing[row, path.stem.casefold()].append(path)
    problems = []
    for (row, _), same in sharing.items():
        other = next((p for p in same[1:] if not _one_picture(same[0], p, max_pixels)), None)
        if other is not None:
            first, second = (
                (p.relative_to(root) if p.is_relative_to(root) else p).as_posix()
                for p in (same[0], other)
            )
            problems.append(
                f"{first} and {second} are different pictures of one name, {row} in "
                f"{table.path.name} ({table.line(row)}): rename them, name them by path in "
                "the table, or move what is no photograph out of the folder"
            )
    if problems:
        more = [f"{len(problems) - 20} more like these"] * (len(problems) > 20)
        raise UserError(*problems[:20], *more)


def _one_picture(first: Path, second: Path, max_pixels: int) -> bool:
    """Whether two files have equal bytes or equal pixels."""
    from melanoma_exp.data import image_file

    try:
        contents = [image_file.read(path, max_pixels) for path in (first, second)]
        if contents[0] == contents[1]:
            return True
        one, other = (image_file.open_rgb(content, max_pixels) for content in contents)
    except ValueError:
        return False
    return one.size == other.size and one.tobytes() == other.tobytes()
