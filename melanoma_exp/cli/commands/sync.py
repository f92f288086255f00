"""The command `sync`."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from melanoma_exp.cli.arguments import Parser, compose_storage
from melanoma_exp.spec import UserError

if TYPE_CHECKING:
    from melanoma_exp.tracking.spool import Spool

DETAILS = """\
A run whose server is lost goes on and keeps its record in mlruns/spool of the folder it was
started in. Without a RUN_ID this lists what waits there. Repeat it at any time: nothing is doubled.
It goes to the server of the run; tracking=server tracking.uri=... names another address of it."""


def sync(words: list[str]) -> None:
    """[RUN_ID]: delivers what waits for a server that was lost during a run; lists it without."""
    parser = Parser("sync", sync.__doc__, "melanoma-exp sync RUN_ID")
    parser.description = f"{parser.description}\n\n{DETAILS}"
    parser.add_argument("run_id", nargs="*", help="of the runs to deliver")
    parser.add_argument("--all", action="store_true", help="deliver all that waits")
    given, overrides = parser.split(words)
    from melanoma_exp.tracking import spool as spools

    waiting = {spool.run_id: spool for spool in spools.waiting_runs()}
    if absent := [run_id for run_id in given.run_id if run_id not in waiting]:
        raise UserError(
            f"sync: of run {absent[0]} nothing waits in {spools.ROOT.absolute()}; runs leave their "
            "record in the folder they were started in"
        )
    chosen = list(waiting) if given.all else given.run_id
    if not chosen:
        _list(waiting.values())
        return
    from melanoma_exp.tracking.syncing import deliver_all

    place = compose_storage("sync", overrides).tracking if overrides else None
    uri = place.uri if place is not None and place.kind == "server" else None
    failed: list[str] = []
    for run_id in chosen:
        name = waiting[run_id].owner()["name"]
        try:
            done = deliver_all(waiting[run_id], uri)
        except UserError as error:
            failed += error.lines
            continue
        print(f"{run_id} {name}: {done.entries} entries delivered to {done.uri}, {done.status}")
        if done.status == "RUNNING":
            print(f"  it was not ended: melanoma-exp resume {run_id}, or melanoma-exp reconcile")
    if failed:
        raise UserError(*failed)


def _list(waiting: "Collection[Spool]") -> None:
    for spool in waiting:
        owner, entries = spool.owner(), spool.waiting()
        files = sum(entry.path is not None for entry in entries)
        ends = [entry.content["status"] for entry in entries if entry.kind == "status"]
        state = f"ended {ends[-1]}" if ends else "not ended"
        print(
            f"{spool.run_id} {owner['name']}: {len(entries)} entries ({files} with files) wait for "
            f"{owner['uri']}, {state}"
        )
    print("deliver with: melanoma-exp sync RUN_ID" if waiting else "nothing waits for a server")
