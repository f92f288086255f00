"""Words of the command line: settings that mean nothing, values Hydra cannot read, commands."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from bad_inputs import Case

from melanoma_exp import config
from melanoma_exp.cli import compose, main, overrides, unsafe
from melanoma_exp.spec import UserError
from melanoma_exp.system.installation import conf_folder

# One composition for all of them: every mistake is reported at once.
VALUES = (
    "seed=1.5",
    "split.val=nan",
    "train.epochs=-1",
    "train.batch_size=0",
    "train.learning_rate=inf",
    "train.weight_decay=-1",
    "train.optimizer=adem",
    "train.precision=float8",
    "dataset.image_size=[0,64]",
    "dataset.max_pixels=inf",
    "dataset.on_bad_file=ignore",
    "dataset.task=cancer",
    "dataset.resize=sinc",
    "evaluation.confidence=95",
    "evaluation.resamples=10",
    "evaluation.prevalence.melanoma=0",
    "cache.max_gib=-1",
    "name=''",
    "dataset.root=''",
    "cache.dir=''",
)
GROUPS = (
    "model=m9",
    "trian.epochs=3",
    "+train.epoch=2",
    "dataset=null",
    "train.epochs.x=2",
    "extend=5",
)
UNREAD = (
    "dataset.root=archive (1)",
    "dataset.root=Übung",
    "dataset.root=a,b",
    "dataset.root=x#y",
    "dataset.root=k=v",
    "dataset.root=a {b}",
    "dataset.root=it's",
    "dataset.root='open",
    "name=${no.such.key}",
    "name=${oc.env:SECRET}",
    "name=${now:%Y",
    "experiment=glob(unpublished/*)",
)
REFUSED = (
    "--experimental-rerun=a.pickle",
    "hydra.output_subdir=../..",
    "hydra.sweep.subdir=a,../b",
    "hydra.job.name=/tmp/x",
    "hydra.job={name: ../x}",
    "hydra.output_subdir=${name}",
    "hydra.job_logging.handlers.file.filename=/tmp/x",
    "+hydra.callbacks.x._target_=os.mkdir",
)
COMMANDS = (
    "adit dataset=demo",
    "audit dataset=demo --markers rulers",
    "predict",
    "predict id",
    "predict id a.jpg --out list.txt",
    "predict id a.jpg --html list.csv",
    "predict id a.jpg --out gone/list.csv",
    "predict id gone",
    "compare",
    "export id --format pickle",
    "rerun id seed=2",
    "resume-sweep gone",
    "cache clean",
    "ensemble id",
)


COMPOSED = (*GROUPS, *UNREAD)  # one by one, which takes seconds


def composed(*words: str) -> None:
    found = overrides.expand_globs(conf_folder(), list(words))
    config.parse(compose.compose(conf_folder(), ["dataset=folder", "dataset.root=x", *found]))


def together(words: Sequence[str], word: str) -> Case:
    """Returns the line that names one of several words that are wrong at once."""

    def given(place: Path) -> str:
        key = word.lstrip("+").partition("=")[0]
        return " / ".join(line for line in _lines(*words) if line.startswith(key))

    return given


@cache
def _lines(*words: str) -> tuple[str, ...]:
    try:
        composed(*words)
    except UserError as error:
        return error.lines
    return ()


def command(words: str) -> Case:
    return lambda place: main._dispatch(words.split())


def older_report(place: Path) -> None:
    (place / "audit.csv").touch()
    main._dispatch(["audit", "dataset=demo", "--out", str(place)])


CASES: dict[str, Case] = {
    **{word: together(VALUES, word) for word in VALUES},
    **{word: lambda place, word=word: composed(word) for word in COMPOSED},
    **{word: lambda place, word=word: unsafe.refuse([word]) for word in REFUSED},
    **{words: command(words) for words in COMMANDS},
    "audit --out FOLDER, with an older report in it": older_report,
}
