"""Lists, checks and removes entries of the cache, and keeps it below its limit."""

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from melanoma_exp.system import locks
from melanoma_exp.system.cache.entry import MANIFEST, DamageError, check, remove_entry
from melanoma_exp.system.files import remove

# Nothing else below the cache's folder is ever looked at or removed.
KINDS = (
    "decoded",
    "children",
    "fingerprints",
    "audits",
    "demo",
    "unpacked",
    "features",
    "prints",
)  # as once named
_MARKS = (".lock", ".tmp")


@dataclass(frozen=True)
class CachedItem:
    """What the cache holds under one name.

    Attributes:
        folder: The entry's folder; or a file or folder that this version does not read.
        kind: What sort of entry, one of `KINDS`.
        belongs: What it was made for; "" where this version does not read it.
        images: How many it holds or describes.
        bytes: On disk.
        used: When it was last opened, seconds since 1970.
    """

    folder: Path
    kind: str
    belongs: str
    images: int
    bytes: int
    used: float

    @property
    def key(self) -> str:
        """Its name within its kind."""
        return self.folder.name

    @property
    def is_used(self) -> bool:
        """Whether a process uses it; unknown, and False, for what another version made."""
        return bool(self.belongs) and locks.is_in_use(self.folder / MANIFEST)


def list_items(root: Path) -> list[CachedItem]:
    """Returns what the cache holds, last used first, without partial entries."""
    found = [_described("demo", path) for path in root.glob("demo-v*")]
    for kind in KINDS:
        for path in (root / kind).iterdir() if (root / kind).is_dir() else ():
            if path.suffix not in _MARKS:
                found.append(_described(kind, path))
    return sorted(found, key=lambda item: (-item.used, item.folder))


def list_partial(root: Path) -> list[Path]:
    """Returns the partial entries of processes that are making them, or died."""
    return sorted(path for kind in KINDS for path in (root / kind).glob(".*.tmp"))


def remove_partial(root: Path) -> list[Path]:
    """Removes the partial entries of processes that died, and returns their paths."""
    removed_partial = []
    for path in list_partial(root):
        key = path.name[1:].rsplit(".", 2)[0]
        with suppress(OSError), locks.exclusive(path.with_name(key), wait=False):
            remove(path)
            removed_partial.append(path)
    return removed_partial


def remove_unused(item: CachedItem) -> bool:
    """Removes an entry unless a process uses or makes it; returns whether it is gone.

    Raises:
        OSError: It cannot be removed.
    """
    folder = item.folder
    if not (folder / MANIFEST).exists():
        remove(folder)
        return True
    try:
        with locks.exclusive(folder, wait=False), locks.unshared(folder / MANIFEST):
            remove_entry(folder)
    except FileNotFoundError:
        pass  # somebody else was first
    except BlockingIOError:
        return False
    return True


def trim(root: Path, limit: int) -> list[CachedItem]:
    """Removes the least recently used entries until the cache is below its limit.

    Entries in use stay, and so does what this version does not read: another version may.

    Args:
        root: The cache's folder.
        limit: In bytes.

    Returns:
        What was removed.
    """
    remove_partial(root)
    found = list_items(root)
    size, removed = sum(item.bytes for item in found), []
    for item in reversed(found):
        if size <= limit:
            break
        with suppress(OSError):  # the cache may be another user's
            if item.belongs and remove_unused(item):
                size -= item.bytes
                removed.append(item)
    return removed


def damage(item: CachedItem) -> str:
    """Reads an entry completely and returns what is wrong with it, "" if nothing is."""
    try:
        check(item.folder)
    except DamageError as found:
        return str(found)
    return ""


def select(found: Iterable[CachedItem], names: Iterable[str]) -> list[CachedItem]:
    """Returns those whose kind is named, or whose key begins with a name."""
    names = tuple(names)
    return [k for k in found if k.kind in names or k.key.startswith(names)]


def _described(kind: str, folder: Path) -> CachedItem:
    try:
        content = json.loads((folder / MANIFEST).read_bytes())
        used, size = (folder / MANIFEST).stat().st_mtime, int(content["bytes"])
        return CachedItem(folder, kind, content["belongs"], content["images"], size, used)
    except (OSError, ValueError, TypeError, KeyError):
        paths = [folder, *folder.rglob("*")]
        size = sum(path.lstat().st_size for path in paths if not path.is_dir())
        return CachedItem(folder, kind, "", 0, size, max(path.lstat().st_mtime for path in paths))
