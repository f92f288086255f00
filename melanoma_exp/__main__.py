"""`python -m melanoma_exp` is the console script `melanoma-exp`."""

import os
import sys
from pathlib import Path


def run() -> None:
    """Runs the command line without the current folder on Python's path.

    Python puts it there for `-m`. Hydra imports whatever lies in a folder `hydra_plugins` on that
    path, and the current folder may be one of images from anywhere.
    """
    here = os.getcwd()
    checkout = Path(__file__).resolve().parents[1]
    if not sys.flags.safe_path and sys.path[:1] == [here] and Path(here).resolve() != checkout:
        del sys.path[0]
    from melanoma_exp.cli.main import main

    main()


if __name__ == "__main__":
    run()
