"""The command `cache`."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from melanoma_exp.cli.arguments import Parser, compose_storage
from melanoma_exp.spec import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from melanoma_exp.system.cache.maintenance import Kept

UNREAD = "of another version"
ACTIONS = """\
without an action: lists what is kept, last used first
clear [NAME ...]:  removes the named entries, all without a name; those in use stay
verify [NAME ...]: reads entries whole, compares checksums and removes damaged ones
NAME is a kind (decoded, children, prints, audits, demo) or the beginning of a key.
Everything is made again when it is needed. cache.max_gib limits the size."""


def cache(words: list[str]) -> None:
    """[clear|verify] [NAME ...]: lists, removes or checks decoded images and synthetic children."""
    parser = Parser("cache", cache.__doc__, "melanoma-exp cache clear children cache.dir=FOLDER")
    parser.description = ACTIONS
    parser.add_argument("action", nargs="?", choices=("list", "clear", "verify"), default="list")
    parser.add_argument("names", nargs="*", metavar="NAME", help="a kind or the beginning of a key")
    given, overrides = parser.split(words)
    from melanoma_exp.report import console as report
    from melanoma_exp.system.cache import maintenance

    place = compose_storage("cache", overrides).cache
    console, root = report.console(), place.root()
    swept = maintenance.sweep(root)
    found = maintenance.listed(root)
    if given.names:
        found = maintenance.chosen(found, given.names)
        if not found:
            raise UserError(f"cache: nothing in {root} is called {' or '.join(given.names)}")
    if given.action == "list":
        _show(console, root, found, maintenance.half_made(root), place.max_gib)
    elif given.action == "clear":
        _clear(console, root, found, len(swept))
    elif not _verify(console, root, found):
        raise SystemExit(1)


def _show(
    console: "Console",
    root: Path,
    found: "Sequence[Kept]",
    half_made: Sequence[Path],
    max_gib: float | None,
) -> None:
    """Prints a table of entries and the size of all.

    Args:
        console: Where to.
        root: The cache's folder.
        found: The entries.
        half_made: What is being made.
        max_gib: The limit.
    """
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=f"Cache in {root}", title_justify="left")
    for head in ("kind", "key", "belongs to", "images", "size", "last used", "state"):
        right = head in ("images", "size", "last used")
        table.add_column(head, justify="right" if right else "left", overflow="fold")
    for kept in found:
        images = f"{kept.images:,}" if kept.belongs else ""
        state = "in use" if kept.is_used else "free" if kept.belongs else UNREAD
        table.add_row(
            kept.kind,
            kept.key[:16],
            escape(kept.belongs),
            images,
            _size(kept.bytes),
            _ago(time.time() - kept.used),
            state,
        )
    for path in half_made:
        key = path.name[1:].split(".")[0]
        table.add_row(path.parent.name, key, "", "", "", "now", "being made")
    if found or half_made:
        console.print(table)
    total = sum(kept.bytes for kept in found)
    limit = "no limit" if max_gib is None else f"limit {max_gib:g} GiB (cache.max_gib)"
    console.print(f"{len(found)} entries, {_size(total)}; {limit}; {root}", soft_wrap=True)


def _clear(console: "Console", root: Path, found: "Sequence[Kept]", swept: int) -> None:
    """Removes entries and says of each whether it is gone.

    Args:
        console: Where to.
        root: The cache's folder.
        found: The entries.
        swept: How many half-made ones were removed before.

    Raises:
        UserError: One cannot be removed.
    """
    gone = 0
    for kept in found:
        removed = _removed(kept)
        gone += kept.bytes * removed
        told = "removed" if removed else "in use, left"
        console.print(f"{told}: {_name(kept)}", soft_wrap=True)
    left = f", and {swept} half-made by processes that are gone" if swept else ""
    console.print(f"{_size(gone)} removed from {root}{left}", soft_wrap=True)


def _verify(console: "Console", root: Path, found: "Sequence[Kept]") -> bool:
    """Reads entries whole, removes damaged ones and returns whether there were none.

    Args:
        console: Where to.
        root: The cache's folder.
        found: The entries; those that this version does not read are left out.

    Raises:
        UserError: A damaged one cannot be removed.
    """
    from melanoma_exp.system.cache import maintenance

    entries = [kept for kept in found if kept.belongs]
    damaged = 0
    for kept in entries:
        with console.status(f"reading {_name(kept)}"):
            damage = maintenance.damage(kept)
        if damage:
            damaged += 1
            told = "removed" if _removed(kept) else "in use: the next run makes it anew"
            console.print(f"damaged: {_name(kept)}: {damage}; {told}", soft_wrap=True)
    read = _size(sum(kept.bytes for kept in entries))
    console.print(f"{len(entries)} entries read, {read}; {damaged} damaged", soft_wrap=True)
    return not damaged


def _size(count: int) -> str:
    """Returns a number of bytes for people: `3.4 GiB`."""
    value, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1000 and len(units) > 1:
        value /= 1024
        units.pop(0)
    decimals = 0 if units[0] == "B" or value >= 100 else 1
    return f"{value:.{decimals}f} {units[0]}"


def _ago(seconds: float) -> str:
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit} ago"
    return "now" if seconds < 10 else f"{seconds:.0f} s ago"


def _name(kept: "Kept") -> str:
    return f"{kept.kind} {kept.key} ({kept.belongs or UNREAD}, {_size(kept.bytes)})"


def _removed(kept: "Kept") -> bool:
    from melanoma_exp.system.cache import maintenance

    try:
        return maintenance.discard_unused(kept)
    except OSError as error:
        raise UserError(f"cache.dir: cannot remove {kept.place}: {error.strerror}") from error
