"""The demo set on disk: made once below the cache, then shared by every run."""

import os
import shutil
from pathlib import Path

from melanoma_exp.dataset import lesions
from melanoma_exp.spec import UserError

VERSION = 1  # raise it when the generator would draw other images


def folder(cache: Path) -> Path:
    """Returns the folder of the demo set, making it first where it is not there yet.

    It is drawn aside and renamed, so a half-made one is never taken for a whole one.

    Args:
        cache: The folder of cached data.

    Raises:
        UserError: The cache cannot be written.
    """
    place = cache / f"demo-v{VERSION}"
    if place.is_dir():
        return place
    aside = cache / f"demo-v{VERSION}.{os.getpid()}.tmp"
    try:
        aside.mkdir(parents=True)
        lesions.write(aside)
        os.rename(aside, place)
    except OSError as error:
        if not place.is_dir():  # otherwise another process was first
            raise UserError(f"cache.dir: cannot write {cache}: {error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return place
