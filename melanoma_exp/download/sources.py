"""The table of addresses, sizes, checksums and licences, and what it may hold."""

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, StringConstraints

from melanoma_exp.spec import Spec, UserError, validate
from melanoma_exp.system import files

TABLE = Path(__file__).with_name("sources.yaml")
Address = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/@]+/\S*$")]
# No path, and not hidden.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w. -]*$")]
Folder = Annotated[str, StringConstraints(pattern=r"^(\.|[A-Za-z0-9][\w. -]*)$")]
Digest = Annotated[str, StringConstraints(pattern=r"^(md5:[0-9a-f]{32}|sha256:[0-9a-f]{64})$")]


class Remote(Spec):
    """A file that is fetched; the head of `sources.yaml` says what the fields mean."""

    name: Name
    url: Address
    bytes: Annotated[int, Field(ge=1)] | None
    digest: Digest | None
    unpack_to: Folder | None
    strip: str | None
    helper: bool


class PublishedSet(Spec):
    """A set that is handed out as files.

    Attributes:
        title: For people.
        page: Where a person finds it.
        preset: The option of `dataset` that reads it.
        licence: In words, with what it asks.
        licence_url: Where it is to be read.
        attribution: Whom it asks to name.
        citation: What to cite.
        images: How many it has; null where nobody says.
        joins_archive: Whether the ISIC Archive is asked for lesion, patient, attribution and
            licence of each image, and a `metadata.csv` is written.
        files: In the order in which they are fetched.
    """

    title: str
    page: Address
    preset: str
    licence: str
    licence_url: Address
    attribution: str
    citation: str
    images: int | None
    joins_archive: bool
    files: Annotated[tuple[Remote, ...], Field(min_length=1)]


class Archive(Spec):
    """The ISIC Archive, of which an API hands out the images of a collection."""

    title: str
    page: Address
    api: Annotated[Address, StringConstraints(pattern=r"/$")]
    preset: str
    licence_url: Address
    citation: str


class Sources(Spec):
    """The whole table."""

    archive: Archive
    sets: dict[str, PublishedSet]


def read(path: Path = TABLE) -> Sources:
    """Returns a table of sources.

    Args:
        path: A YAML of the form of `sources.yaml`.

    Raises:
        UserError: It cannot be read or says something else; a line each.
    """
    try:
        content = yaml.safe_load(files.read_text(path, 2**22))
    except yaml.YAMLError as error:
        raise UserError(f"{path}: is no YAML: {' '.join(str(error).split())}") from None
    return validate(Sources, content, str(path))
