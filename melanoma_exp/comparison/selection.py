"""Which runs are compared: named ones, a sweep's, or all of an experiment."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from melanoma_exp.spec import UserError, did_you_mean
from melanoma_exp.tracking.archive import Archive, StoredRun

SHOWN = 8  # known sweeps that a message lists, newest first


@dataclass(frozen=True)
class Selection:
    """Runs to compare, their title, and a line for each that was left out."""

    title: str
    runs: tuple[StoredRun, ...]
    left_out: tuple[str, ...]


def by_ids(archive: Archive, ids: Sequence[str]) -> Selection:
    """Takes the named runs; one that cannot be compared is an error.

    Raises:
        UserError: A line for each run that is unknown, deleted or unfinished; or fewer than two.
    """
    runs = _named(archive, ids)
    return Selection(f"{len(runs)} runs", _at_least_two(runs, "named"), ())


def _named(archive: Archive, ids: Sequence[str]) -> list[StoredRun]:
    lines: list[str] = []
    runs: list[StoredRun] = []
    for run_id in dict.fromkeys(ids):
        try:
            run = archive.run(run_id)
        except UserError as error:
            lines += error.lines
            continue
        if reason := _unfit(run):
            lines.append(f"run {run.id}: {reason}")
        runs.append(run)
    if lines:
        raise UserError(*lines)
    return runs


def by_sweep(archive: Archive, sweep: str, more: Sequence[str] = ()) -> Selection:
    """Takes the finished runs of a sweep.

    Args:
        archive: Where runs are recorded.
        sweep: Its name, DATE/TIME; either of both if that is unique; or the id of its run or of one
            of its jobs.
        more: Ids of further runs, such as an ensemble of the sweep; one that cannot be compared is
            an error.

    Raises:
        UserError: There is no such sweep, with those there are; fewer than two finished runs; or a
            further run is unknown, deleted or unfinished.
    """
    runs = archive.search("")
    if tags := next((r.tags for r in runs if r.id == sweep), None):
        sweep = tags.get("sweep_parent") or tags.get("sweep") or sweep
    known = list(dict.fromkeys(r.tags["sweep"] for r in reversed(runs) if "sweep" in r.tags))
    found = [name for name in known if name == sweep] or [
        name for name in known if name.endswith(sweep) or name.startswith(f"{sweep}/")
    ]
    if len(found) != 1 or not sweep:
        some = ", ".join(known[:SHOWN]) + (f" and {len(known) - SHOWN} more" * (len(known) > SHOWN))
        what = "is not one sweep alone" if found and sweep else "there is no such sweep"
        raise UserError(f"--sweep {sweep}: {what} (known: {some or 'none'})")
    own = [r for r in runs if r.tags.get("sweep") == found[0]]
    named = [run for run in _named(archive, more) if run.id not in {r.id for r in own}]
    title = f"sweep {found[0]}" + (f" and {len(named)} more" if named else "")
    return _finished([*own, *named], title)


def by_experiment(archive: Archive, name: str) -> Selection:
    """Takes the finished runs of an experiment.

    Raises:
        UserError: There is no such experiment, with those there are; or fewer than two finished
            runs.
    """
    known = archive.experiments()
    if name not in known:
        guess = did_you_mean(name, known)
        raise UserError(
            f"--experiment {name}: there is no such experiment (known: {', '.join(known)}){guess}"
        )
    found = archive.search("", name)
    runs = [run for run in found if "sweep_parent" not in run.tags and not run.evaluation_of]
    return _finished(runs, f"experiment {name}")


def judged_on(archive: Archive, runs: Sequence[StoredRun], on: str) -> dict[str, StoredRun]:
    """Finds the evaluations of runs on another set, of each the newest finished one.

    Args:
        archive: Where they are recorded.
        runs: The judged ones.
        on: The kind of the set, as in `dataset=`, or its digest.

    Returns:
        By the id of a run its evaluation; runs without one are absent.

    Raises:
        UserError: The evaluations are of sets that differ, with their digests; or there is none.
    """
    ids = {run.id for run in runs}
    made = [r for r in archive.search("") if r.status == "FINISHED" and r.evaluation_of in ids]
    digest_of = {r.id: r.tags.get("dataset_digest", "") for r in made}
    found = [r for r in made if on in (digest_of[r.id], r.params.get("dataset.kind"))]
    if not found:
        known = {f"{r.params.get('dataset.kind')} ({digest_of[r.id]})" for r in made}
        raise UserError(
            f"--on {on}: none of the runs was judged on such a set (judged on: "
            f"{', '.join(sorted(known)) or 'nothing; see melanoma-exp evaluate'})"
        )
    digests = sorted({digest_of[r.id] for r in found})
    if len(digests) > 1:
        raise UserError(
            f"--on {on}: is several sets, with the digests {', '.join(digests)}; name one digest"
        )
    return {r.evaluation_of: r for r in found}


def keep(selection: Selection, problem: Callable[[StoredRun], str], named: bool) -> Selection:
    """Returns the selection without runs that have a problem; where runs were named, refuses.

    Args:
        selection: The runs so far.
        problem: Says in words what is wrong with a run, or "".
        named: Whether the user named each run.

    Raises:
        UserError: A named run has a problem, or fewer than two runs are left.
    """
    found = {run.id: problem(run) for run in selection.runs}
    lines = [f"run {r.id} ({r.name}): {found[r.id]}" for r in selection.runs if found[r.id]]
    if lines and named:
        raise UserError(*lines)
    runs = [run for run in selection.runs if not found[run.id]]
    left_out = (*selection.left_out, *lines)
    return Selection(selection.title, _at_least_two(runs, selection.title, left_out), left_out)


def _finished(runs: Sequence[StoredRun], title: str) -> Selection:
    return keep(Selection(title, tuple(runs), ()), _unfit, named=False)


def _unfit(run: StoredRun) -> str:
    if run.deleted:
        return "was deleted; restore it in MLflow or name another"
    if run.status != "FINISHED":
        return f"is not finished ({run.status}); compare finished runs"
    if run.evaluation_of:
        return (
            f"only judges run {run.evaluation_of} on another set; name that run, and the set with "
            "--on"
        )
    if "leaky" not in run.tags or "seed" not in run.params:
        return "was not recorded by melanoma-exp: the tag leaky or the config is missing"
    return ""


def _at_least_two(
    runs: Sequence[StoredRun], what: str, left_out: Sequence[str] = ()
) -> tuple[StoredRun, ...]:
    if len(runs) < 2:
        raise UserError(*left_out[:SHOWN], f"{what}: it takes two finished runs (got {len(runs)})")
    return tuple(runs)
