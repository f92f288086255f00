"""Distinguishes a full disk, a used-up quota or a missing permission from other failures."""

import errno
import os

UNWRITABLE = (errno.EACCES, errno.EDQUOT, errno.ENOSPC, errno.EROFS)
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
