"""The command `find-lr`."""

from pathlib import Path
from typing import TYPE_CHECKING

from melanoma_exp.cli.arguments import Parser, compose_experiment
from melanoma_exp.spec import UserError
from melanoma_exp.system.shown import TableWriter

if TYPE_CHECKING:
    from melanoma_exp.training.learning_rate.finder import Found

DETAILS = """\
Trains the experiment with a rate that rises exponentially from --low to --high and stops once the
loss diverges (Smith, Cyclical Learning Rates, WACV 2017). Two rates are suggested: where the
smoothed loss falls fastest, and a tenth of where it is lowest. Take one of them as
train.learning_rate, the peak of warm-up, cosine or one_cycle. It is a start and not an optimum: it
holds for this network, optimizer and batch size. Nothing is tracked, no run and no cache of
weights changes; find_lr.csv and find_lr.png are written."""


def find_lr(words: list[str]) -> None:
    """OVERRIDE...: suggests a learning rate for an experiment; writes find_lr.csv and .png."""
    example = "melanoma-exp find-lr model=m3 dataset=isic9 dataset.root=DIR train.optimizer=adamw"
    parser = Parser("find-lr", find_lr.__doc__, example)
    parser.description = f"{parser.description}\n\n{DETAILS}"
    parser.add_argument("--steps", type=int, default=100, help="at most, 20 or more (100)")
    parser.add_argument("--low", type=float, default=1e-6, help="the first rate (1e-6)")
    parser.add_argument("--high", type=float, default=1.0, help="the last rate (1)")
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="folder of files")
    given, overrides = parser.split(words)
    if given.steps < 20:
        raise UserError(f"--steps {given.steps}: expected 20 or more")
    if not 0 < given.low < given.high:
        raise UserError(f"--low {given.low:g} --high {given.high:g}: expected 0 < low < high")
    experiment = compose_experiment(overrides)
    if experiment.distribution.kind != "single":
        kind = experiment.distribution.kind
        raise UserError(f"find-lr: needs distribution=single (got {kind})")
    try:
        given.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out: cannot write {given.out}: {error.strerror}") from error
    constant = {"schedule": "constant", "warmup_epochs": 0.0, "final_fraction": 0.0}
    own = {"ema": None, "ema_warmup": False, "ema_bn_batches": None, "swa": None}
    train = experiment.train.model_copy(update={**constant, **own})
    from melanoma_exp.run import runner, training
    from melanoma_exp.training.signals import Signals

    experiment, datamodule, _ = runner.prepare(experiment.model_copy(update={"train": train}))
    built = training.build(experiment, datamodule, Signals(), None)
    from melanoma_exp.training.learning_rate import finder

    found = finder.find(built.model, built.train, given.steps, given.low, given.high)
    if len(found.rates) < 20:
        raise UserError(
            f"find-lr: the loss diverges after {len(found.rates)} steps; set a smaller --low"
        )
    _write(found, given.out)
    print(
        f"train.learning_rate={found.steepest:.2g} where the loss falls fastest, "
        f"{found.tenth:.2g} is a tenth of where it is lowest ({len(found.rates)} steps); "
        f"see {given.out / 'find_lr.png'}"
    )


def _write(found: "Found", folder: Path) -> None:
    from melanoma_exp.report import figures

    with (folder / "find_lr.csv").open("w", newline="") as file:
        writer = TableWriter(file)
        writer.writerow(["learning_rate", "loss", "smoothed"])
        writer.writerows(zip(found.rates, found.losses, found.smoothed, strict=True))
    suggested = {"falls fastest": found.steepest, "a tenth of the lowest": found.tenth}
    figure = figures.range_test(found.rates, found.losses, found.smoothed, suggested)
    figures.save(figure, folder / "find_lr.png")
