"""The demo set on disk: made once in the cache, then shared by every run."""

from pathlib import Path

from melanoma_exp.demo import lesions
from melanoma_exp.system.cache.entry import About, Entry, obtain

VERSION = 1  # raise it when the generator would draw other images

_read: dict[Path, Entry] = {}  # its files may be read until the process ends


def folder(cache: Path) -> Path:
    """Returns the folder of the demo set, making it first where it is not there yet.

    Args:
        cache: The folder of cached data.

    Raises:
        UserError: The cache cannot be written.
    """
    about = About("generated lesions", sum(lesions.TRAIN_COUNTS + lesions.TEST_COUNTS))
    entry = obtain(cache, "demo", f"v{VERSION}", about, lesions.write)
    _read[cache] = entry
    return entry.folder
