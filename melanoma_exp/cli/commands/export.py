"""The command `export`."""

import argparse
import sys
from pathlib import Path

from melanoma_exp.cli.arguments import Parser, check_run_ids, compose_storage
from melanoma_exp.spec import UserError

NAMES = ("keras", "savedmodel", "onnx", "tflite")
SUBMISSION = "submission"
CHALLENGES = ("isic2018", "isic2019", "isic2020", "isic2024")
CHECKED = 64  # images
DETAILS = """\
Every export takes uint8 images (n, height, width, 3) and gives logits; of a network that reads
metadata it has a second input, which a JSON file beside it describes. It is compared with the
run's network on real images: those of --images, else the run's own validation images where its
dataset is still there. Exit code: 0 all agree, 1 one does not (its file is removed), 2 wrong
usage.

--format submission is no network but a table: what the run predicts for --images, in the columns of
a --challenge. Research software, not a medical device."""


def export(words: list[str]) -> None:
    """RUN_ID --format onnx: exports a run's network for other software and checks it."""
    example = "melanoma-exp export RUN_ID --format onnx --format tflite --out exported"
    parser = Parser("export", export.__doc__, example, reads_run=True)
    parser.description = f"{parser.description}\n\n{DETAILS}"
    parser.add_argument("run_id", help="of a finished run, as MLflow shows it")
    parser.add_argument(
        "--format",
        action="append",
        required=True,
        choices=(*NAMES, SUBMISSION),
        help="one of them; repeatable",
    )
    parser.add_argument(
        "--challenge", choices=CHALLENGES, help="whose table --format submission writes"
    )
    parser.add_argument(
        "--out", type=Path, default=Path(), metavar="DIR", help="created if it does not exist"
    )
    parser.add_argument(
        "--images",
        type=Path,
        action="append",
        metavar="PATH",
        help="compare on these images, or submit them: files, folders or a CSV with a column path; "
        "repeatable",
    )
    given, overrides = parser.split(words)
    check_run_ids([given.run_id], overrides)
    _check(given)
    from melanoma_exp.prediction import parity, saved_model
    from melanoma_exp.prediction.export import export as export_as
    from melanoma_exp.prediction.worklist import write_text
    from melanoma_exp.report import console

    here = compose_storage("export", overrides)
    archive = here.tracking.archive()
    name, files = saved_model.fetch(archive, given.run_id)
    if SUBMISSION in given.format:
        _submit(given, name, files)
    if not (wanted := [one for one in dict.fromkeys(given.format) if one != SUBMISSION]):
        return
    saved = saved_model.load(name, files, precision="float32")
    known = parity.examples(saved, archive, given.run_id, given.images, CHECKED)
    given.out.mkdir(parents=True, exist_ok=True)
    target = given.out / f"{name}-{given.run_id[:8]}"
    failed = 0
    for one in wanted:
        done = export_as(saved, one, known.images, target, known.metadata)
        verdict = "agrees" if done.agrees else "DIFFERS, removed"
        print(
            f"{one}: {done.path}: {verdict}: largest probability difference "
            f"{done.difference:.1e}, tolerance {done.tolerance:.0e}"
        )
        failed += not done.agrees
    print(f"compared on {len(known.images)} images: {known.source}")
    if saved.encoding is not None:
        described = target.with_name(f"{target.name}-metadata.json")
        write_text(described, saved.encoding.to_json())
        print(f"second input, float32 (n, {saved.encoding.size}): {described}")
    if saved.experiment.train.precision != "float32":
        print(f"trained in {saved.experiment.train.precision}, exported in float32")
    print(console.DISCLAIMER)
    if failed:
        sys.exit(1)


def _check(given: argparse.Namespace) -> None:
    if (SUBMISSION in given.format) != (given.challenge is not None):
        raise UserError(
            f"export: --format submission and --challenge ({', '.join(CHALLENGES)}) go together"
        )
    if given.challenge and not given.images:
        raise UserError("export: --format submission needs --images PATH, the challenge's images")


def _submit(given: argparse.Namespace, name: str, files: dict[str, Path]) -> None:
    """Writes the table of a challenge."""
    from melanoma_exp.prediction import saved_model, sources, submission, terminal
    from melanoma_exp.report import console

    saved = saved_model.load_light(name, files)
    if saved.encoding is not None:
        raise UserError("export: --format submission is for runs that read images alone")
    chosen = submission.columns(saved, given.challenge)
    sought = sources.find(given.images)
    if sought.absent:
        raise UserError(*(f"{path}: there is no such file" for path in sought.absent))
    given.out.mkdir(parents=True, exist_ok=True)
    target = given.out / f"{name}-{given.run_id[:8]}-{given.challenge}.csv"
    screen = console.console()
    with terminal.progress_bar(screen, "images", len(sought.files)) as update:
        submission.write(saved, chosen, sought.files, target, update)
    print(f"submission: {target}: {len(sought.files)} images, plain probabilities")
    for note in chosen.notes:
        print(f"note: {note}")
    print(console.DISCLAIMER)
