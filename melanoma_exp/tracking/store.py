"""Where runs are recorded by default, and the error of a store that fails."""

from pathlib import Path

from melanoma_exp.spec import UserError

DEFAULT_FOLDER = Path("mlruns")  # below the working directory


class StoreError(UserError):
    """The tracking store is full, locked or does not answer; a retry may succeed.

    The request that failed may have been carried out all the same.
    """
