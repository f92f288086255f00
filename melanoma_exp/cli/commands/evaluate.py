"""The command `evaluate`."""

from pathlib import Path

from melanoma_exp.cli.arguments import Parser, check_run_ids, compose_experiment
from melanoma_exp.spec import UserError

DETAILS = """\
The set is named as for training (dataset=folder dataset.root=DIR ...); image size, decoding and
task are the run's own, and so are its test-time views, its temperature, its threshold and its prior
correction: nothing is trained and nothing is chosen on the set.

Classes are matched by name, by official code and by what both datasets call melanoma. What is left
must be stated, or left out:
  --classes mel=melanoma,nv=nevus,vasc=-

Images that the run has learned from are found first, by image id, by pixels, as near-identical
pictures and by lesion, and are left out; its validation images count, for they chose the threshold.

Every figure of the run's own test part is computed, with its intervals, and shown beside it. It is
recorded as a child run with the tag evaluation_of, a page (external.html) and a table of all
predictions. Research software, not a medical device."""
OWN = ("dataset.image_size", "dataset.resize", "dataset.task")


def evaluate(words: list[str]) -> None:
    """RUN_ID dataset=... dataset.root=DIR: judges a finished run on another labelled set."""
    example = (
        "melanoma-exp evaluate RUN_ID dataset=ham10000 dataset.root=DIR "
        "--classes 'akiec=actinic keratosis'"
    )
    parser = Parser("evaluate", evaluate.__doc__, example, reads_run=True)
    parser.description = f"{parser.description}\n\n{DETAILS}"
    parser.add_argument("run_id", help="of a finished run or ensemble, as MLflow shows it")
    parser.add_argument(
        "--classes",
        action="append",
        default=[],
        metavar="SET=RUN,...",
        help="which class of the run a class of the set is; SET=- leaves its images out, counted",
    )
    parser.add_argument(
        "--keep-overlap",
        action="store_true",
        help="judge images that the run has learned from too; the result is tagged leaky",
    )
    parser.add_argument(
        "--trained-root",
        type=Path,
        metavar="DIR",
        help="where the images that the run was trained on are now (default: where they were)",
    )
    parser.add_argument(
        "--by-names",
        action="store_true",
        help="the training images are gone: measure overlap by image ids and lesions alone",
    )
    parser.add_argument(
        "--other-lesions",
        action="store_true",
        help="equal lesion ids of the two sets are different lesions (both count from 1)",
    )
    parser.add_argument("--name", metavar="NAME", help="of the new run")
    given, overrides = parser.split(_joined(words))
    _check(overrides)
    if given.by_names and given.trained_root:
        raise UserError("evaluate: --by-names needs no --trained-root: one of the two")
    check_run_ids([given.run_id], [w for w in overrides if not w.startswith("dataset")])
    from melanoma_exp.run import resume
    from melanoma_exp.run.external import class_map, judge

    stated = class_map.read(given.classes)
    here = compose_experiment(overrides)
    question = judge.Question(
        stated,
        given.keep_overlap,
        given.by_names,
        not given.other_lesions,
        given.trained_root,
        given.name,
    )
    archive = here.tracking.archive()
    judge.judge(archive, given.run_id, here, question, resume.new_job_folder())


def _joined(words: list[str]) -> list[str]:
    """Returns the words with the value of `--classes` in one word, for it looks like an override.

    Args:
        words: As typed.
    """
    found: list[str] = []
    for word in words:
        if found and found[-1] == "--classes":
            found[-1] = f"--classes={word}"
        else:
            found.append(word)
    return found


def _check(overrides: list[str]) -> None:
    """Refuses overrides that are not of the set or of where it is recorded."""
    lines = [
        f"{word.partition('=')[0]}: is the run's own, which the set is judged with; leave it out"
        for word in overrides
        if word.partition("=")[0].lstrip("+~") in OWN
    ]
    allowed = ("dataset=", "dataset.", "tracking", "cache.", "extend=")
    lines += [
        f"evaluate: takes dataset, tracking, cache and extend overrides only (got {word}); "
        "everything else is the run's own"
        for word in overrides
        if not word.lstrip("+~").startswith(allowed)
    ]
    if not any(word.startswith("dataset=") for word in overrides):
        lines.append(
            "evaluate: name the set: dataset=folder dataset.root=DIR, or another dataset option"
        )
    if lines:
        raise UserError(*lines)
