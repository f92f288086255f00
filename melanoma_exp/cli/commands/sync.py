"""The command `sync`."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from melanoma_exp.cli.arguments import Parser, compose_storage
from melanoma_exp.spec import UserError

if TYPE_CHECKING:
    from melanoma_exp.tracking.journal import Journal

DETAILS = """\
A run continues while its tracking server is unreachable, and journals what it logs in mlruns/spool
of the folder it was started in. Without a RUN_ID this lists what is pending there. It may be
repeated at any time: nothing is duplicated. It uploads to the server of the run;
tracking=server tracking.uri=... gives another address of that."""


def sync(words: list[str]) -> None:
    """[RUN_ID]: uploads what runs could not upload while their server was away; or lists it."""
    parser = Parser("sync", sync.__doc__, "melanoma-exp sync RUN_ID")
    parser.description = f"{parser.description}\n\n{DETAILS}"
    parser.add_argument("run_id", nargs="*", help="of the runs to upload")
    parser.add_argument("--all", action="store_true", help="upload all that is pending")
    given, overrides = parser.split(words)
    from melanoma_exp.tracking import journal
    from melanoma_exp.tracking.local import Local
    from melanoma_exp.tracking.place import store_of

    storage = compose_storage("sync", overrides).tracking
    root = storage.journal_root() if isinstance(storage, Local) else journal.ROOT
    pending = {found.run_id: found for found in journal.pending_runs(root)}
    if absent := [run_id for run_id in given.run_id if run_id not in pending]:
        raise UserError(
            f"sync: nothing is pending of run {absent[0]} in {root.absolute()}; runs leave their "
            "journal in the folder they were started in"
        )
    chosen = list(pending) if given.all else given.run_id
    if not chosen:
        _list(pending.values())
        return
    from melanoma_exp.tracking import upload

    failed: list[str] = []
    for run_id in chosen:
        owner = pending[run_id].owner()
        name, uri = owner["name"], storage.uri if storage.kind == "server" else owner["uri"]
        if isinstance(storage, Local) and store_of(uri) is not None:
            uri = storage.describe()  # beside the journal, wherever both were copied or moved
        try:
            done = upload.sync(pending[run_id], uri)
        except UserError as error:
            failed += error.lines
            continue
        print(f"{run_id} {name}: {done.entries} entries uploaded to {done.uri}, {done.status}")
        if done.status == "RUNNING":
            print(f"  it did not end: melanoma-exp resume {run_id}, or melanoma-exp reconcile")
    if failed:
        raise UserError(*failed)


def _list(pending: "Collection[Journal]") -> None:
    for journal in pending:
        owner, entries = journal.owner(), journal.pending()
        files = sum(entry.path is not None for entry in entries)
        ends = [entry.content["status"] for entry in entries if entry.kind == "status"]
        state = f"ended {ends[-1]}" if ends else "not ended"
        print(
            f"{journal.run_id} {owner['name']}: {len(entries)} entries ({files} with files) "
            f"pending for {owner['uri']}, {state}"
        )
    print("upload with: melanoma-exp sync RUN_ID" if pending else "nothing is pending")
