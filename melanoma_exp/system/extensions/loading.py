"""Imports extensions and lets their classes join the groups they belong to."""

import importlib
import os
import re
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from melanoma_exp.spec import Spec, UserError
from melanoma_exp.system.extensions import source
from melanoma_exp.system.extensions.group import Group, kinds_of
from melanoma_exp.system.installation import conf_folder

KEY = "extend"
ENTRY_POINTS = "melanoma_exp"
ENVIRONMENT = "MELANOMA_EXP_EXTEND"  # paths, for processes without a command line of ours


@dataclass(frozen=True)
class Loaded:
    """An extension in this process.

    Attributes:
        name: Of its module.
        path: Of its file or folder.
        package: The installed package and its version, None for a file.
        files: The text of each file, by its path from the extension's folder.
        options: Its classes, by `group=kind`.
    """

    name: str
    path: Path
    package: str | None
    files: Mapping[str, bytes]
    options: Mapping[str, type[Spec]]

    @property
    def sha256(self) -> str:
        """The digest that a run records."""
        return source.digest(self.files)

    @property
    def conf(self) -> Path | None:
        """The folder of its YAMLs, None where it has none."""
        folder = (self.path if self.path.is_dir() else self.path.parent) / "conf"
        return folder if folder.is_dir() and folder != conf_folder() else None


_LOADED: dict[str, Loaded] = {}


def load(given: str | Path, sha256: str | None = None) -> Loaded:
    """Imports a file or a package's folder, once.

    Args:
        given: Its path.
        sha256: Refuses other content than this, before anything of it is executed.

    Raises:
        UserError: It is not there, cannot be imported, or defines nothing that can join.
    """
    path = Path(given).expanduser().resolve()
    main = path / "__init__.py" if path.is_dir() else path
    if not main.is_file() or main.suffix != ".py":
        raise UserError(f"{KEY}={given}: expected a Python file, or a folder with __init__.py")
    name = path.stem
    if not name.isidentifier():
        raise UserError(f"{KEY}={given}: rename it: {name} is no name that Python can import")
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    found = find_spec(name)
    if found is None or found.origin is None or Path(found.origin).resolve() != main:
        raise UserError(
            f"{KEY}={given}: rename it: there is another module {name}"
            f"{f' ({found.origin})' if found else ''}"
        )
    files = source.read(path)
    if sha256 is not None and source.digest(files) != sha256:
        raise UserError(changed(path, source.digest(files), sha256))
    return _join(name, path, None, files)


def load_words(words: Sequence[str]) -> list[str]:
    """Loads installed extensions and those that words of a command line name.

    Args:
        words: `extend=my_lab.py` or `extend=[a.py,b.py]`, and any others.

    Returns:
        The words, with absolute paths.
    """
    load_installed()
    written = []
    for word in words:
        if word.startswith(f"{KEY}="):
            named = re.findall(r"""[^\[\],'"]+""", word.partition("=")[2])
            paths = [str(load(name.strip()).path) for name in named if name.strip()]
            word = KEY + "=[" + ",".join(f"'{path}'" for path in paths) + "]"
        written.append(word)
    return written


def loaded() -> list[Loaded]:
    """Returns the extensions of this process."""
    return list(_LOADED.values())


def conf_folders() -> list[Path]:
    """Returns the folders of YAMLs of all extensions."""
    return list(dict.fromkeys(one.conf for one in loaded() if one.conf))


def find(name: str) -> Loaded | None:
    """Returns an extension of this process by its module's name, None if it is not loaded."""
    return _LOADED.get(name)


def changed(path: Path, now: str, recorded: str) -> str:
    """Returns the line that refuses an extension whose digest is not the recorded one."""
    return (
        f"{KEY}: {path} is not what the run used: its SHA-256 is {now}, recorded is {recorded}; "
        "the run's artifacts below extensions/ hold the text it used"
    )


@cache
def load_installed() -> None:
    """Loads what installed packages offer and what the environment names, once."""
    for entry in metadata.entry_points(group=ENTRY_POINTS):
        package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.name
        found = None
        with suppress(ImportError):  # of a package above the module
            found = find_spec(entry.module)
        if found is None or found.origin is None:
            raise UserError(
                f"{package}: its entry point {entry.name} names no module ({entry.module}); "
                "repair or uninstall it"
            )
        main = Path(found.origin).resolve()
        path = main.parent if main.name == "__init__.py" else main
        _join(entry.module, path, package, source.read(path))
    for path_text in filter(None, os.environ.get(ENVIRONMENT, "").split(os.pathsep)):
        load(path_text)


def _join(name: str, path: Path, package: str | None, files: Mapping[str, bytes]) -> Loaded:
    """Imports a module and lets its classes join their groups."""
    if name in _LOADED:
        if _LOADED[name].path == path and _LOADED[name].files == files:
            return _LOADED[name]
        raise UserError(f"{KEY}={path}: another extension {name} is loaded, or it has changed")
    _import(name, path)
    options: dict[str, type[Spec]] = {}
    for group in Group.known.values():
        for cls in group.classes():
            if not f"{cls.__module__}.".startswith(f"{name}.") or not _is_current(cls):
                continue
            if not kinds_of(cls) and not cls.__subclasses__():
                raise UserError(
                    f"{KEY}: {cls.__module__}.{cls.__name__} needs a field kind: Literal['...']"
                )
            for kind in kinds_of(cls):
                _check_new(group, kind, cls, path)
                options[f"{group.name}={kind}"] = cls
    if not options:
        bases = ", ".join(sorted({group.base.__name__ for group in Group.known.values()}))
        raise UserError(
            f"{KEY}: {path} defines no option: a class with kind: Literal['...'] that derives from "
            f"{bases or 'the base of a group'}"
        )
    one = Loaded(name, path, package, files, options)
    _check_yamls(one)
    for key, cls in options.items():
        group_name, _, kind = key.partition("=")
        Group.known[group_name].extensions[kind] = cls
    _LOADED[name] = one
    return one


def _import(name: str, path: Path) -> None:
    try:
        importlib.import_module(name)
    except UserError:
        raise
    except SyntaxError as error:
        raise UserError(f"{KEY}: {error.filename}:{error.lineno}: {error.msg}") from None
    except (Exception, SystemExit) as error:
        folder = path if path.is_dir() else path.parent
        frames = traceback.extract_tb(error.__traceback__)
        own = [f for f in frames if Path(f.filename).is_relative_to(folder)]
        where = f"{own[-1].filename}:{own[-1].lineno}" if own else str(path)
        said = (str(error).splitlines() or [""])[0]
        raise UserError(f"{KEY}: {where}: {type(error).__name__}: {said}") from None


def _check_new(group: Group, kind: str, cls: type[Spec], path: Path) -> None:
    for other in group.classes():
        if other is not cls and _is_current(other) and kind in kinds_of(other):
            raise UserError(
                f"{KEY}: {path}: {cls.__name__} is a {group.name} of kind {kind}, as is "
                f"{other.__module__}.{other.__name__}; choose another kind"
            )


def _is_current(cls: type[Spec]) -> bool:
    """Whether a module that is loaded now has the class; one that was reloaded leaves old ones."""
    return getattr(sys.modules.get(cls.__module__), cls.__name__, None) is cls


def _check_yamls(one: Loaded) -> None:
    """Refuses a YAML that Hydra would never find behind one of the same name."""
    folder = one.conf
    for yaml in folder.glob("*/**/*.yaml") if folder else ():
        assert folder is not None
        for before in [conf_folder(), *(f for f in conf_folders() if f != folder)]:
            if (before / yaml.relative_to(folder)).exists():
                raise UserError(
                    f"{KEY}: {yaml}: rename it: {before / yaml.relative_to(folder)} has its name"
                )
