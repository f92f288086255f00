"""Lists, checks and removes entries of the cache, and keeps it below its limit."""

import fcntl
import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from melanoma_exp.system.cache import locks
from melanoma_exp.system.cache.entry import MANIFEST, DamageError, check, discard
from melanoma_exp.system.files import remove

# Nothing else below the cache's folder is ever looked at or removed.
KINDS = ("decoded", "children", "prints", "audits", "demo")
_MARKS = (".lock", ".tmp")


@dataclass(frozen=True)
class Kept:
    """What lies in the cache under one name.

    Attributes:
        place: The entry's folder; or a file or folder that this version does not read.
        kind: What sort of entry, one of `KINDS`.
        belongs: What it was made for; "" where this version does not read it.
        images: How many it holds or describes.
        bytes: On disk.
        used: When it was last opened, seconds since 1970.
    """

    place: Path
    kind: str
    belongs: str
    images: int
    bytes: int
    used: float

    @property
    def key(self) -> str:
        """Its name within its kind."""
        return self.place.name

    @property
    def is_used(self) -> bool:
        """Whether a process uses it; of what another version made it is not known."""
        return bool(self.belongs) and locks.is_shared(self.place / MANIFEST)


def listed(root: Path) -> list[Kept]:
    """Returns what the cache holds, last used first; half-made entries are left out."""
    found = [_described("demo", path) for path in root.glob("demo-v*")]
    for kind in KINDS:
        for path in (root / kind).iterdir() if (root / kind).is_dir() else ():
            if path.suffix not in _MARKS:
                found.append(_described(kind, path))
    return sorted(found, key=lambda kept: (-kept.used, kept.place))


def half_made(root: Path) -> list[Path]:
    """Returns what processes are making now, or left behind when they died."""
    return sorted(path for kind in KINDS for path in (root / kind).glob(".*.tmp"))


def sweep(root: Path) -> list[Path]:
    """Removes what processes that died left half-made, and returns it."""
    swept = []
    for path in half_made(root):
        key = path.name[1:].rsplit(".", 2)[0]
        with suppress(OSError), locks.alone(path.with_name(key), wait=False):
            remove(path)
            swept.append(path)
    return swept


def discard_unused(kept: Kept) -> bool:
    """Removes an entry unless a process uses or makes it; returns whether it is gone.

    Raises:
        OSError: It cannot be removed.
    """
    place = kept.place
    if not (place / MANIFEST).exists():
        remove(place)
        return True
    try:
        with locks.alone(place, wait=False), (place / MANIFEST).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            discard(place)
    except FileNotFoundError:
        pass  # somebody else was first
    except BlockingIOError:
        return False
    return True


def trim(root: Path, limit: int) -> list[Kept]:
    """Removes the entries that were not used for longest until the cache is below its limit.

    Entries in use stay, and so does what this version does not read: another one may.

    Args:
        root: The cache's folder.
        limit: In bytes.

    Returns:
        What was removed.
    """
    sweep(root)
    found = listed(root)
    size, removed = sum(kept.bytes for kept in found), []
    for kept in reversed(found):
        if size <= limit:
            break
        with suppress(OSError):  # the cache may be another user's
            if kept.belongs and discard_unused(kept):
                size -= kept.bytes
                removed.append(kept)
    return removed


def damage(kept: Kept) -> str:
    """Reads an entry whole and returns what is wrong with it, "" if nothing is."""
    try:
        check(kept.place)
    except DamageError as found:
        return str(found)
    return ""


def chosen(found: Iterable[Kept], names: Iterable[str]) -> list[Kept]:
    """Returns those whose kind is named, or whose key begins with a name."""
    names = tuple(names)
    return [k for k in found if k.kind in names or k.key.startswith(names)]


def _described(kind: str, place: Path) -> Kept:
    try:
        content = json.loads((place / MANIFEST).read_bytes())
        used, size = (place / MANIFEST).stat().st_mtime, int(content["bytes"])
        return Kept(place, kind, content["belongs"], content["images"], size, used)
    except (OSError, ValueError, TypeError, KeyError):
        paths = [place, *place.rglob("*")]
        size = sum(path.lstat().st_size for path in paths if not path.is_dir())
        return Kept(place, kind, "", 0, size, max(path.lstat().st_mtime for path in paths))
