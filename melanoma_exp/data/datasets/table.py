"""Images that a table lists, and the published sets that are handed out so."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pydantic import model_validator

from melanoma_exp.data.datasets.base import FolderDataset
from melanoma_exp.spec import UserError

if TYPE_CHECKING:
    from melanoma_exp.data.layouts.labelled_rows import Asked
    from melanoma_exp.data.listing import Listing

# By kind where a published set is from, as the sentence `get ...` goes on.
SOURCES = {
    "ham10000": "HAM10000 from the Harvard Dataverse (doi:10.7910/DVN/DBW86T) or Kaggle "
    "(kmader/skin-cancer-mnist-ham10000), unpack the images beside HAM10000_metadata.csv",
    "isic2018": "task 3 of ISIC 2018 from https://challenge.isic-archive.com/data/#2018, unpack it",
    "isic2019": "ISIC 2019 from https://challenge.isic-archive.com/data/#2019, unpack the images "
    "beside ISIC_2019_Training_GroundTruth.csv",
    "isic2020": "ISIC 2020 from https://challenge.isic-archive.com/data/#2020, unpack the JPEGs "
    "beside ISIC_2020_Training_GroundTruth_v2.csv",
    "isic_archive": "images of the ISIC Archive with `isic image download FOLDER` (isic-cli)",
    "pad_ufes": "PAD-UFES-20 from https://data.mendeley.com/datasets/zr7vgbcyr2/1, unpack the "
    "images beside metadata.csv",
    "ph2": "PH2 from https://www.fc.up.pt/addi/ph2%20database.html, unpack it",
    "derm7pt": "Derm7pt from https://derm.cs.sfu.ca, unpack it",
}
# By kind what `melanoma-exp download` is followed by.
COMMANDS = {
    **{kind: kind for kind in ("ham10000", "isic2018", "isic2019", "isic2020")},
    "isic_archive": "isic --collection ID",
}
# Sets of which some releases lack a column of lesions or patients, or a table that has it.
LENIENT = ("isic2018", "isic2019", "isic2020", "isic_archive")


class Table(FolderDataset):
    """A table with a row for each image, and images anywhere below `root`.

    A CSV (commas, semicolons, tabs, bars, UTF-16), an Excel workbook or a Parquet file. Published
    sets are this with the names of their tables and columns filled in. Further columns of the
    tables are metadata.

    Attributes:
        table: Its name: a path below `root`, or the name of a file in any folder there. Of several
            names the first that is there counts.
        joined: Tables with further columns of the same images; each may be absent.
        part_tables: By part (train, val, test) its tables: the first with a row for each of its
            images, others with further columns. Each may be absent.
        id_column: Names or paths of images, with suffix or without, in any letter case.
        label_column: The column of labels; null where `one_hot` has them.
        one_hot: Columns of which one is marked (1, x, yes, true): the class of the image.
        label_map: What a label means: a class, or null, which leaves its images out. Labels that
            are not in it are classes themselves.
        classes: What classes there may be; another is refused by its line. None are all.
        group_columns: Images that share a value in any of them stay on one side of a split.
        part_column: The column of official parts: train, val or test.
        row_column: The column by which `part_tables` name rows of the table, from 0; null where
            they have ids.
    """

    kind: Literal[
        "table",
        "ham10000",
        "isic2018",
        "isic2019",
        "isic2020",
        "isic_archive",
        "pad_ufes",
        "ph2",
        "derm7pt",
    ]
    table: str | tuple[str, ...] | None
    joined: tuple[str, ...]
    part_tables: dict[Literal["train", "val", "test"], tuple[str, ...]]
    id_column: str
    label_column: str | None
    one_hot: tuple[str, ...]
    label_map: dict[str, str | None]
    classes: tuple[str, ...]
    group_columns: tuple[str, ...]
    part_column: str | None
    row_column: str | None

    @model_validator(mode="after")
    def _inputs_are_no_columns_of_its_own(self) -> Self:
        own: dict[str | None, str] = {
            self.label_column: "is the label",
            **dict.fromkeys(self.one_hot, "is the label"),
            self.part_column: "is the official part",
            **dict.fromkeys(self.group_columns, "names a lesion or a person"),
            self.id_column: "names the image",
        }
        if self.inputs is not None:
            self.inputs.check_none_of(own)
        return self

    def check_environment(self) -> None:
        """Checks that a folder, a table and its labels are named.

        Raises:
            UserError: One is not.
        """
        super().check_environment()
        if not self._tables:
            raise UserError(
                "dataset.table: names no table; pass dataset.table=FILE, which has a row for each "
                "image"
            )
        if (self.label_column is None) == (not self.one_hot):
            raise UserError(
                "dataset.label_column: "
                + ("and dataset.one_hot both name labels" if self.one_hot else "names no column")
                + "; pass dataset.label_column=COLUMN, or dataset.one_hot=[COLUMN,...] where each "
                "class has a column of its own"
            )

    def find(self, cache: Path) -> "Listing":
        """Returns the images that both the table and the folders have."""
        from melanoma_exp.data.layouts import by_table

        return by_table.find(self.folder(), self._asked(), self.max_pixels)

    @property
    def _tables(self) -> tuple[str, ...]:
        return (self.table,) if isinstance(self.table, str) else (self.table or ())

    def _asked(self) -> "Asked":
        from melanoma_exp.data.layouts.labelled_rows import Asked

        return Asked(
            table=self._tables,
            joined=self.joined,
            part_tables=self.part_tables,
            image=self.id_column,
            label=self.label_column,
            one_hot=self.one_hot,
            label_map=self.label_map,
            classes=self.classes,
            groups=self.group_columns,
            part=self.part_column,
            row=self.row_column,
            lenient=self.kind in LENIENT,
        )

    def how_to_get(self) -> str:
        """Returns how to get the images and which folder to name."""
        if self.kind in SOURCES:
            command = COMMANDS.get(self.kind)
            fetched = f"; melanoma-exp download {command} fetches it" if command else ""
            return f"get {SOURCES[self.kind]} and pass dataset.root=FOLDER{fetched}"
        return "pass dataset.root=FOLDER, which holds the table and, in any folders, the images"
