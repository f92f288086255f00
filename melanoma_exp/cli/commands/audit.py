"""The command `audit`."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from melanoma_exp.cli.arguments import SWEEP, Parser, compose_experiment, sweep_name
from melanoma_exp.spec import UserError, did_you_mean
from melanoma_exp.system.files import aside

if TYPE_CHECKING:
    from rich.console import Console

    from melanoma_exp.config import Experiment
    from melanoma_exp.data.audit.cached import Audit
    from melanoma_exp.data.duplicates.survey import Survey

NONE = "none"


def audit(words: list[str]) -> None:
    """dataset=...: finds copies, contradictions, odd images, rulers, ink, text; writes a page."""
    parser = Parser("audit", audit.__doc__, "melanoma-exp audit dataset=isic9 dataset.root=DIR")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="folder for audit.csv, audit.html and audit_markers.csv; without an older report",
    )
    parser.add_argument(
        "--quick", action="store_true", help="do not look for lesions that were photographed again"
    )
    parser.add_argument(
        "--from-sweep",
        metavar="ID",
        help=f"rank labels that are likely wrong, by the runs of {SWEEP}; of k folds",
    )
    parser.add_argument(
        "--markers",
        nargs="+",
        metavar="NAME",
        help="what to look for in the pictures: off-topic, text, frame, dark-corners, ruler, ink "
        "(default: all), or none",
    )
    given, overrides = parser.split(words)
    _check_target(given.out)
    from melanoma_exp.data.audit import cached, label_errors
    from melanoma_exp.data.audit.markers import found
    from melanoma_exp.report import audit_console, console

    sought = _markers(given.markers)

    experiment = compose_experiment(overrides)
    screen, cache = console.console(), experiment.cache.root()
    dataset = experiment.dataset
    if given.quick or dataset.same_lesion == "off":
        again = "off" if given.quick else "review"
        dataset = dataset.model_copy(update={"same_lesion": again})
    predicted = None
    if given.from_sweep is not None:
        from melanoma_exp.prediction import out_of_fold

        predicted = out_of_fold.read(experiment.tracking.archive(), sweep_name(given.from_sweep))
    with _looking(screen) as progress:
        survey = dataset.survey(cache, progress)
    with screen.status("looking at every image"):
        suspects = None if predicted is None else label_errors.find(survey, predicted)
        marked = found.find(survey, sought, dataset.max_pixels, cache) if sought else None
        made = cached.audit(survey, cache, suspects, marked)
    out = given.out
    try:
        out.mkdir(parents=True, exist_ok=True)
        for path in made.files:
            with aside(out / path.name) as partial:
                shutil.copyfile(path, partial)
    except OSError as error:
        raise UserError(f"--out: cannot write {out}: {error.strerror}") from error
    notes = list(survey.listing.notes)
    if predicted is not None:
        notes += label_errors.unjudged(survey, predicted)
    audit_console.print_audit(screen, made.kinds, made.findings, len(survey.listing.paths), notes)
    if marked is not None and marked.counts:
        audit_console.print_markers(screen, marked)
    where = f"every finding: {out / 'audit.csv'}; with pictures: {out / 'audit.html'}"
    where += f"; markers by class: {out / 'audit_markers.csv'}" if marked is not None else ""
    screen.print(where, markup=False, soft_wrap=True)
    if experiment.tracking.kind != "off":
        screen.print(f"tracked: {_record(experiment, survey, made)}", soft_wrap=True)


@contextmanager
def _looking(screen: "Console") -> "Iterator[Callable[[int, int], None]]":
    """Shows that images are looked at, then how many pairs of them are compared.

    The one gives way to the other: rich shows one moving line at a time.
    """
    from melanoma_exp.report.counter import Counter

    with ExitStack() as shown:
        status = shown.enter_context(screen.status("looking at every image"))
        counter, last = None, 0

        def update(done: int, total: int) -> None:
            nonlocal counter, last
            if counter is None:
                status.stop()
                counter = shown.enter_context(Counter(screen, "pairs of images compared"))
            if done > last:  # the end of a block is reported twice
                counter.update(done, total)
            last = done

        yield update


def _check_target(out: Path) -> None:
    """Refuses a folder with an older report, before minutes of work.

    Raises:
        UserError: It holds one.
    """
    from melanoma_exp.data.audit.cached import FILES

    if old := [name for name in FILES if os.path.lexists(out / name)]:
        raise UserError(
            f"--out: {out / old[0]} is there already, of an older audit: name another folder "
            "(--out DIR), or move it away"
        )


def _markers(names: Sequence[str] | None) -> list[str]:
    """Returns the markers that are asked for, as findings call them.

    Raises:
        UserError: One is not known.
    """
    from melanoma_exp.data.audit.markers.decide import MARKERS

    known = {name.replace(" ", "-"): name for name in MARKERS}
    if names is None:
        return list(MARKERS)
    if names == [NONE]:
        return []
    for name in names:
        if name not in known:
            options = ", ".join([*known, f"or {NONE} alone"])
            guess = did_you_mean(name, known)
            raise UserError(f"--markers: {name!r} is none of {options}{guess}")
    return [name for word, name in known.items() if word in names]


def _record(experiment: "Experiment", survey: "Survey", made: "Audit") -> str:
    """Records the audit as a run of a separate experiment, and returns where."""
    from melanoma_exp.tracking.mlflow_tracking import MlflowTracking

    tracking = experiment.tracking
    assert isinstance(tracking, MlflowTracking)
    # Among training runs it would be a row without results in every comparison.
    audits = tracking.model_copy(update={"experiment": f"{tracking.experiment}_audits"})
    run = audits.start(f"audit-{experiment.dataset.kind}", Path.cwd())
    of_dataset = {k: v for k, v in experiment.flat().items() if k.startswith("dataset.")}
    run.log_params(of_dataset)
    run.set_tags({"audit_digest": survey.digest})
    counts = {kind: sum(f.kind == kind for f in made.findings) for kind in made.kinds}
    run.log_metrics({f"findings/{kind.replace(' ', '_')}": n for kind, n in counts.items()})
    for path in made.files:
        run.log_file(path)
    run.end("FINISHED")
    return f"{audits.describe()}, experiment {audits.experiment}, run {run.id}"
