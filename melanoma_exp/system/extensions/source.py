"""The files of an extension and the digest that a run records of them."""

import ast
import hashlib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from melanoma_exp.system import files

MOST = 2**24  # bytes of a source file
_OURS = ("melanoma_exp", "hydra_plugins")


def read(path: Path) -> dict[str, bytes]:
    """Gives each file of a package, or a file and what it imports from its own folder.

    Args:
        path: Of the file or the package's folder; the folder above it is on Python's path.

    Returns:
        Names relative to the folder above, and contents.

    Raises:
        UserError: One cannot be read, or is no file.
    """
    if path.is_dir():
        within = sorted(path.rglob("*.py"))
        return {file.relative_to(path.parent).as_posix(): _content(file) for file in within}
    texts: dict[str, bytes] = {}
    waiting = [path]
    while waiting:
        file = waiting.pop()
        texts[file.name] = _content(file)
        for name in sorted(_imported(texts[file.name])):
            beside = path.parent / f"{name}.py"
            if beside.name in texts or not beside.is_file() or name in _OURS:
                continue
            found = find_spec(name)
            if found and found.origin and Path(found.origin).resolve() == beside:
                waiting.append(beside)
    return texts


def _content(path: Path) -> bytes:
    return files.read_named(path, MOST)


def _imported(text: bytes) -> set[str]:
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except SyntaxError:  # reported when it is imported
        return set()
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [n.module or "" for n in nodes if isinstance(n, ast.ImportFrom) and not n.level]
    return {name.split(".")[0] for name in names}


def digest(texts: Mapping[str, bytes]) -> str:
    """Returns the SHA-256 of one file, or of the output of `sha256sum` on several."""
    sums = {name: hashlib.sha256(text).hexdigest() for name, text in texts.items()}
    if len(sums) == 1:
        return next(iter(sums.values()))
    lines = "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))
    return hashlib.sha256(lines.encode()).hexdigest()
