"""What a run records of extensions, and what whoever reads the run must have loaded."""

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from melanoma_exp.spec import Spec, UserError
from melanoma_exp.system.extensions import loading
from melanoma_exp.system.extensions.group import specs_within
from melanoma_exp.system.extensions.loading import KEY


class Extension(Spec):
    """What a run records of an extension.

    Attributes:
        name: Of its module.
        path: Of its file or folder; null for an installed package.
        package: The installed package and its version; null for a file.
        sha256: Of the file; of all file digests where there are several files.
        kinds: What the run uses of it, as `group=kind`.
    """

    name: str
    path: Path | None
    package: str | None
    sha256: str
    kinds: tuple[str, ...]


def used_by(experiment: Spec, named: Collection[str]) -> tuple[Extension, ...]:
    """Returns what a run records.

    Args:
        experiment: With all its options.
        named: Names of extensions that are recorded even where nothing of them is used.
    """
    types = {type(spec) for spec in specs_within(experiment)}
    records = []
    for one in loading.loaded():
        kinds = tuple(sorted(key for key, cls in one.options.items() if cls in types))
        if kinds or one.name in named:
            path = one.path if one.package is None else None
            records.append(
                Extension(
                    name=one.name, path=path, package=one.package, sha256=one.sha256, kinds=kinds
                )
            )
    return tuple(records)


def check_recorded(records: Sequence[Extension], groups: Collection[str] | None) -> set[str]:
    """Checks that what a run used of extensions is there, unchanged.

    Args:
        records: Of the run.
        groups: The config groups that are needed; None needs all.

    Returns:
        The kinds, as `group=kind`, that are not there and not needed.

    Raises:
        UserError: A needed extension is not loaded, or has other content.
    """
    loading.load_installed()
    lines: list[str] = []
    absent: set[str] = set()
    for record in records:
        needed = [k for k in record.kinds if groups is None or re.split("[.=]", k)[0] in groups]
        one = loading.find(record.name)
        if one is not None and one.sha256 != record.sha256 and record.kinds:
            lines.append(loading.changed(one.path, one.sha256, record.sha256))
        elif one is None and needed:
            how = f"install {record.package}" if record.package else f"add {KEY}={record.path}"
            lines.append(
                f"{KEY}: the run uses {', '.join(needed)} of the extension {record.name}, which is "
                f"not loaded; {how} (SHA-256 {record.sha256})"
            )
        elif one is None:
            absent.update(record.kinds)
    if lines:
        raise UserError(*lines)
    return absent


def sources(records: Sequence[Extension]) -> dict[str, str]:
    """Returns the texts to keep with a run, by the artifact's path: `extensions/my_lab.py`."""
    return {
        f"extensions/{name}": text.decode(errors="replace")
        for record in records
        if (one := loading.find(record.name))
        for name, text in one.files.items()
    }
