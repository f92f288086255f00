"""Tells a full disk, a used-up quota or a missing permission from any other failure."""

import errno
import os

UNWRITABLE = (errno.EACCES, errno.EDQUOT, errno.ENOSPC, errno.EROFS)
TELLING = [os.strerror(number) for number in (errno.EDQUOT, errno.ENOSPC, errno.EROFS)]


def why_unwritable(error: BaseException) -> str:
    """Returns in one sentence what cannot be written and why, "" where that is not what failed.

    Args:
        error: What was raised. HDF5, and `shutil` for whole folders, name the reason in their text
            alone.
    """
    if not isinstance(error, OSError):
        return ""
    if error.errno in UNWRITABLE:
        return f"cannot write {error.filename or os.getcwd()}: {error.strerror}"
    found = [reason for reason in TELLING if reason in str(error)]
    return f"cannot write a file: {found[0]}" if found and error.errno is None else ""
