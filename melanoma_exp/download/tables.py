"""The tables that are written beside fetched images: metadata, attribution and licence of each."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from melanoma_exp.data.cells import known
from melanoma_exp.data.groups import image_id, is_isic_id, unite
from melanoma_exp.download.isic_archive import ArchiveImage
from melanoma_exp.spec import UserError
from melanoma_exp.system import files
from melanoma_exp.system.shown import TableWriter

METADATA = "metadata.csv"
TRUTH, LESIONS = "ISIC_2019_Training_GroundTruth.csv", "ISIC_2019_Training_Metadata.csv"
SHARED = ("age_approx", "anatom_site_general", "sex")  # columns that both sources have


def write_archive(folder: Path, images: Sequence[ArchiveImage]) -> None:
    """Writes `metadata.csv` as isic-cli does: a row an image, with what the archive knows of it.

    Args:
        folder: Of the images.
        images: All of them.
    """
    columns = sorted({column for image in images for column in image.columns})
    rows = (
        [i.isic_id, i.attribution, i.copyright_license, *(i.columns.get(c, "") for c in columns)]
        for i in images
    )
    _write(folder / METADATA, ["isic_id", "attribution", "copyright_license", *columns], rows)


def ids(paths: Sequence[str]) -> list[str]:
    """Returns the ISIC ids in file names, each once."""
    found = {image_id(Path(path).stem) for path in paths}
    return sorted(name for name in found if is_isic_id(name))


def write_isic9(
    folder: Path, helpers: Path, names: Sequence[str], images: Sequence[ArchiveImage]
) -> None:
    """Writes the `metadata.csv` that `dataset=isic9` reads.

    The official label is that of ISIC 2019. A lesion is what ISIC 2019 or the archive calls one:
    two images are of one lesion if either says so, also through others. Age, site and sex are of
    ISIC 2019, else of the archive.

    Args:
        folder: Of the set.
        helpers: Where the two tables of ISIC 2019 are.
        names: The ISIC ids of its images.
        images: Those that the archive knows.

    Raises:
        UserError: A table of ISIC 2019 is not one.
    """
    truth, lesions = _read(helpers / TRUTH), _read(helpers / LESIONS)
    archived = {image.isic_id: image for image in images}
    known_columns = [archived[name].columns if name in archived else {} for name in names]
    official = [_plain(lesions.get(name, {})) for name in names]
    united = unite(
        [
            [row.get("lesion_id", "") for row in official],
            [known(row.get("lesion_id")) for row in known_columns],
            names,
        ]
    )
    rows = []
    for name, group, own, row in zip(names, united, official, known_columns, strict=True):
        lesion = "" if group == name else str(group)
        marked = [c for c, cell in truth.get(name, {}).items() if cell in ("1", "1.0")]
        of = archived.get(name)
        rows.append(
            [
                name,
                marked[0] if marked else "",
                lesion,
                known(row.get("patient_id")),
                *(own.get(column) or known(row.get(column)) for column in SHARED),
                of.attribution if of else "",
                of.copyright_license if of else "",
            ]
        )
    heading = ["image_id", "isic2019_label", "lesion_id", "patient_id", *SHARED]
    _write(folder / METADATA, [*heading, "attribution", "copyright_license"], rows)


def _read(path: Path) -> dict[str, dict[str, str]]:
    """Returns the rows of a table of ISIC 2019 by image id."""
    reader = csv.DictReader(files.read_text(path).splitlines())
    if reader.fieldnames is None or "image" not in reader.fieldnames:
        raise UserError(f"{path.name}: has no column image; it is not the table of ISIC 2019")
    # A shrunken image has the name of the original and _downsampled.
    return {
        image_id(row.get("image") or ""): {k: v or "" for k, v in row.items() if k and k != "image"}
        for row in reader
    }


def _plain(row: Mapping[str, str]) -> dict[str, str]:
    return {column: known(cell) for column, cell in row.items()}


def _write(path: Path, heading: Sequence[str], rows: object) -> None:
    with files.aside(path) as partial:
        with partial.open("w", encoding="utf-8", newline="") as file:
            writer = TableWriter(file)
            writer.writerow(heading)
            writer.writerows(rows)  # type: ignore[arg-type]
