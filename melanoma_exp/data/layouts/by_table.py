"""Images that a table names, wherever they lie."""

from collections import defaultdict
from pathlib import Path

from melanoma_exp.data.layouts import ids
from melanoma_exp.data.layouts.class_folders import global_id
from melanoma_exp.data.layouts.image_files import LeftOut, below
from melanoma_exp.data.listing import Listing, Row, from_rows
from melanoma_exp.data.metadata import read
from melanoma_exp.spec import UserError


def find(root: Path, csv_path: str, classes: tuple[str, ...], max_pixels: int) -> Listing:
    """Lists the images named by a metadata CSV in HAM10000's form, wherever below `root` they lie.

    Args:
        root: The folder.
        csv_path: The CSV below it.
        classes: The labels there may be.
        max_pixels: Larger images are not opened.

    Raises:
        UserError: The CSV is missing or wrong, no image of it is there, or two pictures have one
            name.
    """
    table = read(root / csv_path, "image_id", "dx", "lesion_id")
    table = table.spelled("dx", classes, "dataset.classes:", True)
    left_out = LeftOut(root)
    files = below(root, left_out)
    sources = [path.relative_to(root).as_posix() for path in files]
    rows = ids.tie(sources, table)
    ids.refuse_namesakes(rows, files, root, table, max_pixels)
    named: dict[str, list[Path]] = defaultdict(list)
    for path, row in zip(files, rows, strict=True):
        named[row].append(path)
    unnamed = named.pop("", [])
    if not named:
        raise UserError(
            f"{root}: holds none of the {len(table.rows)} images that {csv_path} names; its first "
            f"is {next(iter(table.rows), 'none')!r}, the first file is {(sources or ['none'])[0]!r}"
        )
    notes = [*left_out.notes(entries=False), *table.without_file(named)]
    if unnamed:
        first = f"first: {unnamed[0].stem}"
        notes.append(f"{len(unnamed)} image files are not in {csv_path} and were ignored ({first})")
    # Of the copies of an image the one whose name is the id's counts.
    chosen = {
        k: min(named[k], key=lambda p: (p.stem != ids.Name.of(k).stem, len(p.stem), p))
        for k in named
    }
    copies = sum(map(len, named.values())) - len(named)
    if copies:
        notes.append(f"{copies} further files of images that are there already were ignored")
    return from_rows(
        [
            Row(
                path=chosen[image],
                source=image,
                label=table.get(image, "dx"),
                lesion=table.get(image, "lesion_id"),
                image_id=global_id(chosen[image].stem, image),
                metadata=table.rows[image],
                confirmed=(table.get(image, "dx"),),
            )
            for image in sorted(named)
        ],
        notes,
    )
