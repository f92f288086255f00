"""The command `predict`."""

import sys
from pathlib import Path

from melanoma_exp.cli.arguments import Parser, check_run_ids, compose_storage
from melanoma_exp.spec import UserError

DETAILS = """\
Probabilities are calibrated on the run's validation images and an alert follows the threshold that
was chosen there. Exit code: 0 all images were read, 3 some could not be (they are listed), 2 wrong
usage. Research software, not a medical device."""


def predict(words: list[str]) -> None:
    """RUN_ID PATH...: predicts images with a finished run; prints a worklist, alerts first."""
    example = "melanoma-exp predict RUN_ID images/ --out list.csv"
    parser = Parser("predict", predict.__doc__, example, reads_run=True)
    parser.description = f"{parser.description}\n\n{DETAILS}"
    parser.add_argument("run_id", help="of a finished run, as MLflow shows it")
    parser.add_argument(
        "paths",
        nargs="+",
        type=lambda path: Path(path).expanduser(),
        metavar="PATH",
        help="images, folders with everything below them, or a CSV with a column path",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="write all predictions as .csv or .json"
    )
    parser.add_argument(
        "--metadata",
        type=Path,
        metavar="FILE",
        help="a CSV of what the run's network reads beside the image (age, ...), by image id",
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with pictures")
    given, overrides = parser.split(words)
    check_run_ids([given.run_id], overrides)
    _check_targets(given.out, given.html)
    from melanoma_exp.prediction import given_metadata, saved_model, sources, terminal, worklist
    from melanoma_exp.prediction.predict import UnreadableFile
    from melanoma_exp.prediction.predict import predict as predict_files
    from melanoma_exp.report import console

    sought = sources.find(given.paths)
    archive = compose_storage("predict", overrides).tracking.archive()
    name, files = saved_model.fetch(archive, given.run_id)
    known = given_metadata.read(given.metadata, files, sought.files)
    explained = saved_model.load(name, files) if given.html else None  # by Keras' gradients
    saved = explained or saved_model.load_light(name, files)
    screen = console.console()
    for line in known.notes():
        screen.print(line, markup=False, soft_wrap=True)
    with terminal.progress_bar(screen, "images", len(sought.files)) as update:
        predictions, unreadable = predict_files(saved, sought.files, update, known.of)
    unreadable += [UnreadableFile(path, "there is no such file") for path in sought.absent]
    found = worklist.Worklist.of(given.run_id, saved, predictions, unreadable)
    terminal.print_worklist(screen, found)
    if sought.ignored:
        screen.print(f"ignored {sought.ignored} files in folders that are no images")
    if sought.masks:
        screen.print(
            f"{len(sought.masks)} of the images are masks or segmentations by their names, not "
            f"photographs: {sought.masks[0]}",
            markup=False,
            soft_wrap=True,
        )
    if given.out:
        found.write(given.out)
        screen.print(f"all images: {given.out}", soft_wrap=True)
    if explained is not None:
        from melanoma_exp.prediction import worklist_html

        worklist_html.write(given.html, found, explained, screen)
        screen.print(f"page: {given.html}", soft_wrap=True)
    if unreadable:
        sys.exit(3)


def _check_targets(out: Path | None, html: Path | None) -> None:
    """Refuses what could not be written, before minutes of work."""
    if out and out.suffix.lower() not in (".csv", ".json"):
        raise UserError(f"--out {out}: expected a file that ends in .csv or .json")
    if html and html.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--html {html}: expected a file that ends in .html")
    for path in filter(None, (out, html)):
        if not path.absolute().parent.is_dir():
            raise UserError(f"{path}: there is no folder {path.parent}; make it first")
