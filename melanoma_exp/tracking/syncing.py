"""Delivers what runs of this machine could not tell their server."""

from dataclasses import dataclass

from melanoma_exp.spec import UserError
from melanoma_exp.tracking.connection import connect, store_errors
from melanoma_exp.tracking.delivery import Store
from melanoma_exp.tracking.outbox import deliver
from melanoma_exp.tracking.spool import Spool


@dataclass(frozen=True)
class Delivered:
    """What came of it.

    Attributes:
        entries: How many were delivered.
        uri: Where to.
        status: How the run reads there now.
    """

    entries: int
    uri: str
    status: str


def deliver_all(spool: Spool, uri: str | None = None) -> Delivered:
    """Delivers all that waits of one run and clears it away.

    Killed anywhere and started again it makes no doubles.

    Args:
        spool: Of the run.
        uri: Of the server, where it is no longer the one that the run was started with.

    Raises:
        UserError: The server does not answer or refuses, or another process is at it.
    """
    owner = spool.owner()
    uri = uri or owner["uri"]
    client = connect(uri)
    spool.open(uri, owner["name"])
    entries = len(spool.waiting())
    try:
        deliver(Store(client, uri, spool.run_id), spool)
    except UserError as error:
        left = len(spool.waiting())
        raise UserError(
            f"run {spool.run_id}: {entries - left} of {entries} entries delivered, the others stay "
            f"in {spool.folder}: {error.lines[0]}"
        ) from error
    finally:
        spool.close()
    with store_errors(uri):
        return Delivered(entries, uri, client.get_run(spool.run_id).info.status)


def deliver_before(run_id: str) -> None:
    """Delivers what waits here of a run that is about to go on, if anything does."""
    spool = Spool(run_id)
    if spool.exists():
        deliver_all(spool)
