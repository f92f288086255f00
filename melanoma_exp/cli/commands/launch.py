"""The command `launch`."""

import sys

from melanoma_exp.cli.arguments import Parser

DETAILS = """\
The words after the options are those of any training, or `resume RUN_ID`. Worker 0 records the run
and keeps this terminal; the output of the others goes to worker-N.log below the run's folder. When
one fails or this process ends, all end. Exit code: that of the first worker that failed, 3 where it
had lost another. TensorFlow listens on all addresses and trusts whoever connects: do not use it on
a machine that others can reach without a firewall."""


def launch(words: list[str]) -> None:
    """--workers N ...: trains with several processes on this machine, to try it out."""
    example = "melanoma-exp launch --workers 2 model=m1 train.epochs=3"
    parser = Parser("launch", launch.__doc__, example)
    parser.description = f"{parser.description}\n\n{DETAILS}"
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="2 by default")
    parser.add_argument(
        "--restarts",
        type=int,
        default=0,
        metavar="N",
        help="restart from the last checkpoint up to N times when a worker is lost",
    )
    parser.add_argument("words", nargs="*", help="key=value ..., or resume RUN_ID")
    given, overrides = parser.split(words)
    if given.workers < 2:
        parser.error(f"--workers: should be at least 2 (got {given.workers})")
    if given.restarts < 0:
        parser.error(f"--restarts: should be at least 0 (got {given.restarts})")
    if given.words[:1] not in ([], ["resume"]):
        parser.error(f"starts a training or resume, not {given.words[0]}")
    if others := [word for word in overrides if word.startswith("distribution=")]:
        parser.error(f"chooses distribution=multi_worker itself (got {others[0]})")
    from melanoma_exp.run import local_workers

    sys.exit(local_workers.launch(given.workers, given.restarts, [*given.words, *overrides]))
