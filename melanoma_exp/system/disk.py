"""Distinguishes what cannot be written, by the disk or by its path, from other failures."""

import errno
import os

UNWRITABLE = (
    *(errno.EACCES, errno.EDQUOT, errno.ENOSPC, errno.EROFS),
    # A file where a folder should be or be made, a link to itself, a name that is too long.
    *(errno.ENOTDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG),
)
REASONS = [os.strerror(number) for number in (errno.EDQUOT, errno.ENOSPC, errno.EROFS)]


def why_unwritable(error: BaseException) -> str:
    """Returns in one sentence what cannot be written and why, "" for any other error.

    Args:
        error: What was raised. HDF5, and `shutil` for whole folders, give the reason in the text
            only.
    """
    if not isinstance(error, OSError):
        return ""
    if error.errno in UNWRITABLE:
        return f"cannot write {error.filename or os.getcwd()}: {error.strerror}"
    found = [reason for reason in REASONS if reason in str(error)]
    return f"cannot write a file: {found[0]}" if found and error.errno is None else ""
