"""The ISIC Archive's API: which images a collection holds, and what is known of each.

Its answers come in pages of 100 with a link to the next one (a cursor). Everything public needs no
account. https://api.isic-archive.com/api/docs/swagger/
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, TypeVar
from urllib.parse import quote, urlencode, urljoin, urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from melanoma_exp.download.client import Client
from melanoma_exp.download.failures import RefusedError
from melanoma_exp.spec import UserError

PAGE = 100
MOST = 1 << 26  # bytes of a page
AT_ONCE = 40  # ids that one question names
LICENCES = ("CC-0", "CC-BY", "CC-BY-NC")
Id = Annotated[str, StringConstraints(pattern=r"^ISIC_\d{7}$")]


T = TypeVar("T", bound=BaseModel)


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")  # the API may say more one day


class File(_Answer):
    """An image file: its address and its length in bytes."""

    url: str
    size: Annotated[int, Field(ge=1, le=1 << 31)]


class _Files(_Answer):
    full: File


class ArchiveImage(_Answer):
    """An image of the archive.

    Attributes:
        isic_id: Its name, such as ISIC_0000000.
        copyright_license: CC-0, CC-BY or CC-BY-NC.
        attribution: Whom to name.
        files: The full image.
        metadata: By topic (clinical, acquisition) what is known.
    """

    isic_id: Id
    copyright_license: str
    attribution: str
    files: _Files
    metadata: dict[str, dict[str, Any]]

    @property
    def columns(self) -> dict[str, str]:
        """What is known of it: diagnosis, age, sex, site, lesion, patient."""
        both = {**self.metadata.get("acquisition", {}), **self.metadata.get("clinical", {})}
        return {key: "" if value is None else str(value) for key, value in both.items()}


class Collection(_Answer):
    """A collection of images."""

    id: int
    name: str


def collections(client: Client, api: str, ids: Sequence[int], page: str) -> list[Collection]:
    """Returns the named collections.

    Args:
        client: Asks.
        api: The address of the API.
        ids: Their numbers.
        page: Where a person finds all of them.

    Raises:
        UserError: One is not there.
    """
    found = []
    for number in ids:
        try:
            found.append(_get(client, urljoin(api, f"collections/{number}/")))
        except RefusedError as error:
            if error.status != 404:
                raise
            raise UserError(
                f"--collection {number}: the ISIC Archive has no public collection of that number; "
                f"{page} lists them"
            ) from None
    return _valid(Collection, found, api)


def images(
    client: Client, api: str, ids: Sequence[int], seen: Callable[[int, int], None]
) -> list[ArchiveImage]:
    """Returns all images of collections, each once, by id.

    Args:
        client: Asks.
        api: The address of the API.
        ids: Of the collections.
        seen: Called with the numbers of known and of all images.

    Raises:
        UserError: The API gives none, or something else than it should.
    """
    query = urlencode({"collections": ",".join(map(str, ids)), "limit": PAGE})
    return _listed(client, api, query, seen)


def named(
    client: Client, api: str, ids: Sequence[str], seen: Callable[[int, int], None]
) -> list[ArchiveImage]:
    """Returns the images of some ids; those that the archive does not have are left out.

    Args:
        client: Asks.
        api: The address of the API.
        ids: Such as ISIC_0000000.
        seen: Called with the numbers of requested and of all images.

    Raises:
        UserError: As of `images`.
    """
    found: list[ArchiveImage] = []
    for start in range(0, len(ids), AT_ONCE):
        some = ids[start : start + AT_ONCE]
        words = quote(" OR ".join(f"isic_id:{name}" for name in some))
        asked = set(some)
        page = _listed(client, api, f"query={words}&limit={PAGE}", lambda *_: None)
        found += [image for image in page if image.isic_id in asked]
        seen(min(start + AT_ONCE, len(ids)), len(ids))
    return found


def licence_text(client: Client, api: str, licence: str) -> str:
    """Returns the whole text of one of `LICENCES`."""
    address = urljoin(api, f"zip-download/license-file/{licence}/")
    return client.content(address, MOST).decode("utf-8", "replace")


def _listed(
    client: Client, api: str, query: str, seen: Callable[[int, int], None]
) -> list[ArchiveImage]:
    found: dict[str, ArchiveImage] = {}
    count = 0
    for content in _pages(client, urljoin(api, f"images/search/?{query}")):
        count = content.get("count") or count
        for image in _valid(ArchiveImage, content.get("results"), api):
            found[image.isic_id] = image
        seen(len(found), max(count, len(found)))
    return [found[name] for name in sorted(found)]


def _pages(client: Client, address: str) -> Iterator[dict[str, Any]]:
    start, asked = address, set[str]()
    while address:
        if address in asked:
            raise UserError(f"{start}: its pages lead back to an earlier one; try again later")
        asked.add(address)
        content = _get(client, address, start)
        yield content
        following = content.get("next") or ""
        # The API may stand behind another scheme than it believes; but it is the same server.
        parts = urlsplit(following)
        if following and parts.hostname != urlsplit(start).hostname:
            raise UserError(f"{start}: its next page is elsewhere, {following}")
        address = (
            following
            and parts._replace(
                scheme=urlsplit(start).scheme, netloc=urlsplit(start).netloc
            ).geturl()
        )


def _valid(kind: type[T], results: Any, api: str) -> list[T]:
    try:
        return [kind(**result) for result in results]
    except (TypeError, ValidationError) as error:
        first = error.errors()[0]["loc"] if isinstance(error, ValidationError) else ("results",)
        raise UserError(
            f"{api}: answers in another form than it used to ({'.'.join(map(str, first))}); the "
            "program may be too old for it"
        ) from None


def _get(client: Client, address: str, origin: str = "") -> dict[str, Any]:
    text = client.content(address, MOST, origin)
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise UserError(f"{address}: answers with something else than JSON")
    return content
