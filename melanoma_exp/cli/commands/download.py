"""The command `download`."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from melanoma_exp.cli.arguments import Parser
from melanoma_exp.spec import UserError, did_you_mean

if TYPE_CHECKING:
    from rich.console import Console

    from melanoma_exp.download.client import Client
    from melanoma_exp.download.job import Asked, Brought, Offered, Shown
    from melanoma_exp.download.record import Source
    from melanoma_exp.download.sources import Sources

ARCHIVE = "isic"
SETS = ("isic9", "ham10000", "isic2018", "isic2019", "isic2020", ARCHIVE)
DETAILS = """\
SET is one of {sets}.

  isic9      the 9-class set of Kaggle, 0.8 GB, and from the ISIC Archive its metadata.csv
  ham10000   HAM10000 from the Harvard Dataverse, 2.6 GiB
  isic2018   task 3 of ISIC 2018: training, validation and test, 3.1 GiB
  isic2019   ISIC 2019: training and test, 13 GiB
  isic2020   ISIC 2020, the training JPEGs, 23 GiB
  isic       collections of the ISIC Archive, --collection ID ...
             (https://api.isic-archive.com/collections/ lists them)

It shows size, free disk and licence first, and begins when you accept the licence: by typing yes,
or with --yes. A download that broke goes on where it stopped: type the same command again. A folder
that is complete is checked against its SHA256SUMS, and what is missing or changed is fetched again.

Beside the images stay SHA256SUMS, source.json and attribution.csv: checksums, where they are from,
and whom to name. A run on the folder records source, licence and the checksum of the checksums."""


def download(words: list[str]) -> None:
    """SET [--to DIR]: fetches a published set, resumes, checks; shows how to go on."""
    example = "melanoma-exp download ham10000 --to data/ham10000"
    parser = Parser("download", download.__doc__, example)
    parser.description = f"{parser.description}\n\n{DETAILS.format(sets=', '.join(SETS))}"
    parser.add_argument("set", metavar="SET", help="what to fetch")
    parser.add_argument(
        "--to", type=Path, metavar="DIR", help="a folder for it alone (default: data/SET)"
    )
    parser.add_argument(
        "--collection",
        type=int,
        nargs="+",
        default=[],
        metavar="ID",
        help="of the ISIC Archive: numbers of collections, such as 212 (HAM10000)",
    )
    parser.add_argument("--yes", action="store_true", help="accept the licence that is shown")
    parser.add_argument(
        "--keep-archives", action="store_true", help="keep the ZIPs beside what they hold"
    )
    parser.add_argument(
        "--sources",
        type=Path,
        metavar="FILE",
        help="another table of addresses, sizes and checksums, for a mirror or an address that has "
        "moved; of the form of melanoma_exp/download/sources.yaml",
    )
    given, overrides = parser.split(words)
    if overrides:
        raise UserError(f"download: takes no overrides (got {' '.join(overrides)})")
    if given.set not in SETS:
        guess = did_you_mean(given.set, SETS)
        raise UserError(f"download: there is no set {given.set} (known: {', '.join(SETS)}){guess}")
    if (given.set == ARCHIVE) != bool(given.collection):
        raise UserError(
            "download: isic needs --collection ID ..., the numbers of collections; "
            "https://api.isic-archive.com/collections/ lists them"
            if given.set == ARCHIVE
            else f"download: --collection is of the set isic alone, not of {given.set}"
        )
    from melanoma_exp.download import job, sources
    from melanoma_exp.report import console

    folder = (given.to or Path("data") / given.set).expanduser()
    collections = tuple(sorted(set(given.collection)))
    asked = job.Asked(given.set, folder, collections, given.keep_archives)
    table = sources.read(given.sources) if given.sources else sources.read()
    if given.set != ARCHIVE and given.set not in table.sets:
        raise UserError(f"{given.sources}: has no set {given.set} (it has {', '.join(table.sets)})")
    screen = console.console()
    with _advice(folder), job.claimed(asked):
        _bring(screen, asked, table, given.yes)


def _bring(screen: "Console", asked: "Asked", table: "Sources", accept: bool) -> None:
    from melanoma_exp.download import job, published, record
    from melanoma_exp.download.client import Client

    with _counting(screen) as shown:
        wrong = job.damaged(asked, shown)
    if wrong == []:
        source = record.read_source(asked.folder)
        assert source is not None
        _say(screen, f"{asked.folder} is complete: {source.images:,} images, every checksum holds")
        return _next(screen, asked, source)
    if wrong:
        _say(screen, f"{len(wrong)} files are missing or changed and are fetched again: {wrong[0]}")
        published.restore(asked, wrong)
    client = Client(lambda line: _say(screen, line))
    offered, fetch = _offered(screen, client, asked, table)
    _show(screen, asked, offered)
    if offered.needed > (free := job.free(asked.folder)):
        from melanoma_exp.system.shown import file_size

        raise UserError(
            f"--to: {file_size(offered.needed)} are needed and {file_size(free)} are free on the "
            f"disk of {asked.folder.absolute()}; free some, or name a folder on another disk"
        )
    _accept(accept)
    accepted = job.now()
    job.begin(asked, wrong or [])
    with _counting(screen) as shown:
        brought = fetch(shown)
    source = job.finish(asked, offered, brought, accepted)
    _tell(screen, asked, offered, source)


def _offered(
    screen: "Console", client: "Client", asked: "Asked", table: "Sources"
) -> "tuple[Offered, Callable[[Shown], Brought]]":
    """Returns what fetching means, and the function that does it."""
    from melanoma_exp.download import archived, published

    if asked.name == ARCHIVE:
        with _counting(screen) as shown:
            offered, images = archived.offer(client, asked, table.archive, shown)
        return offered, lambda shown: archived.fetch(client, asked, table.archive, images, shown)
    source, api = table.sets[asked.name], table.archive.api
    offered = published.offer(client, asked, source, api)
    return offered, lambda shown: published.fetch(client, asked, source, api, offered, shown)


def _show(screen: "Console", asked: "Asked", offered: "Offered") -> None:
    """Prints what is known before anything is fetched."""
    from melanoma_exp.download import job
    from melanoma_exp.system.shown import file_size

    images = "" if offered.images is None else f", {offered.images:,} images"
    more = f" and {offered.unsized} files of unknown length" * bool(offered.unsized)
    free = file_size(job.free(asked.folder))
    _say(screen, f"{offered.title}{images}")
    for name, value in (
        ("page", offered.page),
        ("from", ", ".join(offered.hosts)),
        ("licence", f"{offered.licence}; {offered.licence_url}"),
        ("credit", offered.attribution),
        ("cite", offered.citation),
        ("size", f"{file_size(offered.to_fetch)}{more} to fetch"),
        ("disk", f"{file_size(offered.needed)} needed, {free} free for {asked.folder}"),
    ):
        _say(screen, f"  {name:<8} {value}")


def _accept(accept: bool) -> None:
    """Asks for the licence to be accepted, unless it was.

    Raises:
        UserError: It was not.
    """
    if accept:
        return
    if sys.stdin.isatty():
        print("Do you accept the licence? Type yes: ", end="", flush=True)
        if sys.stdin.readline().strip().lower() in ("yes", "y"):
            return
    raise UserError(
        "download: nothing was fetched; read the licence, and accept it by adding --yes"
    )


def _tell(screen: "Console", asked: "Asked", offered: "Offered", source: "Source") -> None:
    """Prints what was fetched and what stays beside it."""
    if offered.images not in (None, source.images):
        _say(
            screen,
            f"WARNING: {source.images:,} images are there, its publisher says {offered.images:,}",
        )
    _say(screen, f"{source.images:,} images in {asked.folder}")
    _say(screen, f"checksums: SHA256SUMS ({source.manifest[:16]}), source: source.json")
    _say(screen, "whom to name, for each image: attribution.csv; when you publish, cite:")
    _say(screen, f"  {source.citation}")
    _next(screen, asked, source)


def _next(screen: "Console", asked: "Asked", source: "Source") -> None:
    from melanoma_exp.cli.words import typed

    root = typed(f"dataset.root={asked.folder}")
    _say(screen, "look at it, then train on it without dry_run=true:")
    _say(screen, f"  melanoma-exp dataset={source.preset} {root} dry_run=true")


@contextmanager
def _counting(screen: "Console") -> "Iterator[Shown]":
    """Gives a function that shows how far one thing after the other is."""
    from melanoma_exp.report.counter import Counter

    with ExitStack() as stack:
        counters: dict[str, Counter] = {}  # the one that is on the screen

        def shown(what: str, done: int, total: int) -> None:
            if what not in counters:
                stack.close()
                counters.clear()
                name, of_bytes = what.removeprefix("bytes "), what.startswith("bytes ")
                counters[what] = stack.enter_context(Counter(screen, name, of_bytes))
            counters[what].update(done, total)

        yield shown


@contextmanager
def _advice(folder: Path) -> Iterator[None]:
    """Adds to an error that the same command resumes the download."""
    again = "what was fetched is kept: type the same command again to go on"
    try:
        yield
    except OSError as error:
        if not error.strerror:
            raise
        raise UserError(
            f"cannot write in {folder.absolute()}: {error.strerror}; {again}"
        ) from error
    except KeyboardInterrupt as error:
        error.message = again  # type: ignore[attr-defined]
        raise


def _say(screen: "Console", line: str) -> None:
    screen.print(line, markup=False, soft_wrap=True)
