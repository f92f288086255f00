"""Where the package's own files are, in a checkout and in an installed wheel."""

from pathlib import Path


def conf_folder() -> Path:
    """Returns the folder of YAMLs: inside an installed package, beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"
