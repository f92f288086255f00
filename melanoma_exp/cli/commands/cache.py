"""The command `cache`."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from melanoma_exp.cli.arguments import Parser, compose_storage
from melanoma_exp.spec import UserError
from melanoma_exp.system.shown import file_size

if TYPE_CHECKING:
    from rich.console import Console

    from melanoma_exp.system.cache.maintenance import CachedItem


UNREAD = "of another version"
ACTIONS = """\
without an action: lists entries, last used first
clear [NAME ...]:  removes the named entries, without a name all; those in use stay
verify [NAME ...]: reads entries completely, compares checksums and removes damaged ones
NAME is a kind (decoded, children, fingerprints, audits, demo) or the beginning of a key.
Everything is made again when it is needed. cache.max_gib limits the size."""


def cache(words: list[str]) -> None:
    """[clear|verify] NAME ...: lists, removes or checks decoded images and synthetic children."""
    parser = Parser("cache", cache.__doc__, "melanoma-exp cache clear children cache.dir=FOLDER")
    parser.description = ACTIONS
    parser.add_argument("action", nargs="?", choices=("list", "clear", "verify"), default="list")
    parser.add_argument("names", nargs="*", metavar="NAME", help="a kind or the beginning of a key")
    given, overrides = parser.split(words)
    from melanoma_exp.report import console
    from melanoma_exp.system.cache import maintenance

    options = compose_storage("cache", overrides).cache
    screen, root = console.console(), options.root()
    removed_partial = maintenance.remove_partial(root)
    found = maintenance.list_items(root)
    if given.names:
        found = maintenance.select(found, given.names)
        if not found:
            raise UserError(f"cache: nothing in {root} is called {' or '.join(given.names)}")
    if given.action == "list":
        _show(screen, root, found, maintenance.list_partial(root), options.max_gib)
    elif given.action == "clear":
        _clear(screen, root, found, len(removed_partial))
    elif not _verify(screen, root, found):
        raise SystemExit(1)


def _show(
    console: "Console",
    root: Path,
    found: "Sequence[CachedItem]",
    partial: Sequence[Path],
    max_gib: float | None,
) -> None:
    """Prints a table of entries, with the partial ones being made, and the size of all."""
    from rich.table import Table

    from melanoma_exp.system.shown import escape

    table = Table(title=f"Cache in {root}", title_justify="left")
    for head in ("kind", "key", "belongs to", "images", "size", "last used", "state"):
        right = head in ("images", "size", "last used")
        table.add_column(head, justify="right" if right else "left", overflow="fold")
    for item in found:
        images = f"{item.images:,}" if item.belongs else ""
        state = "in use" if item.is_used else "free" if item.belongs else UNREAD
        table.add_row(
            item.kind,
            item.key[:16],
            escape(item.belongs),
            images,
            file_size(item.bytes),
            _ago(time.time() - item.used),
            state,
        )
    for path in partial:
        key = path.name[1:].split(".")[0]
        table.add_row(path.parent.name, key, "", "", "", "now", "being made")
    if found or partial:
        console.print(table)
    total = sum(item.bytes for item in found)
    limit = "no limit" if max_gib is None else f"limit {max_gib:g} GiB (cache.max_gib)"
    console.print(f"{len(found)} entries, {file_size(total)}; {limit}; {root}", soft_wrap=True)


def _clear(console: "Console", root: Path, found: "Sequence[CachedItem]", partial: int) -> None:
    """Removes entries and reports which are gone; `partial` ones were removed before."""
    gone = 0
    for item in found:
        removed = _removed(item)
        gone += item.bytes * removed
        outcome = "removed" if removed else "in use, left"
        console.print(f"{outcome}: {_name(item)}", soft_wrap=True)
    left = f", and {partial} partial entries of processes that died" if partial else ""
    console.print(f"{file_size(gone)} removed from {root}{left}", soft_wrap=True)


def _verify(console: "Console", root: Path, found: "Sequence[CachedItem]") -> bool:
    """Reads entries completely, removes damaged ones and returns whether there were none."""
    from melanoma_exp.system.cache import maintenance

    entries = [item for item in found if item.belongs]
    damaged = 0
    for item in entries:
        with console.status(f"reading {_name(item)}"):
            damage = maintenance.damage(item)
        if damage:
            damaged += 1
            outcome = "removed" if _removed(item) else "in use: the next run makes it again"
            console.print(f"damaged: {_name(item)}: {damage}; {outcome}", soft_wrap=True)
    read = file_size(sum(item.bytes for item in entries))
    console.print(f"{len(entries)} entries read, {read}; {damaged} damaged", soft_wrap=True)
    return not damaged


def _ago(seconds: float) -> str:
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit} ago"
    return "now" if seconds < 10 else f"{seconds:.0f} s ago"


def _name(item: "CachedItem") -> str:
    return f"{item.kind} {item.key} ({item.belongs or UNREAD}, {file_size(item.bytes)})"


def _removed(item: "CachedItem") -> bool:
    from melanoma_exp.system.cache import maintenance

    try:
        return maintenance.remove_unused(item)
    except OSError as error:
        raise UserError(f"cache.dir: cannot remove {item.folder}: {error.strerror}") from error
