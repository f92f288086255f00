"""What a search is: its options, the space it draws from, and the file that holds them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, TypeAdapter, field_validator, model_validator

from melanoma_exp.spec import Spec, UserError, validate, validate_json
from melanoma_exp.system.files import write
from melanoma_exp.training.spec import Monitor

FILE = "search.json"
DATABASE = "study.db"
# More of them in a row say that the space, not the luck, is wrong.
REJECTED_IN_A_ROW = 20


class Median(Spec):
    """Gives up a job whose best epoch so far is below the median of the others at that epoch.

    Attributes:
        monitor: The figure of an epoch that is compared.
        n_startup_trials: So many jobs must have finished before.
        n_warmup_epochs: So many epochs a job is given in any case.
    """

    monitor: Monitor
    n_startup_trials: int = Field(ge=1)
    n_warmup_epochs: int = Field(ge=0)


class Optuna(Spec):
    """The options `hydra/sweeper=optuna`.

    Attributes:
        n_trials: Jobs in all, those of earlier starts included.
        sampler: `tpe` learns from the jobs that have ended, `random` does not.
        n_startup_trials: Jobs drawn at random before `tpe` begins to learn.
        seed: Of the sampler.
        pruner: null lets every job end.
        storage: A URL that Optuna opens; null is a SQLite file in the sweep's folder.
        study_name: null is the sweep's name; an existing one in `storage` is gone on with.
        params: Key and, in the syntax of the command line, the values to draw from.
    """

    kind: Literal["optuna"]
    n_trials: int = Field(ge=1)
    sampler: Literal["tpe", "random"]
    n_startup_trials: int = Field(ge=1)
    seed: int = Field(ge=0, lt=2**32)
    pruner: Median | None
    storage: str | None
    study_name: str | None
    params: dict[str, Any]

    @field_validator("storage")
    @classmethod
    def _hold_no_password(cls, storage: str | None) -> str | None:
        if storage and urlsplit(storage).password is not None:
            raise ValueError(
                "should hold no password, for it is kept with the sweep; put it where the "
                "database's driver looks, such as ~/.pgpass"
            )
        return storage

    def check(self) -> None:
        """Finds out whether a search can begin here.

        Raises:
            UserError: Optuna is not installed.
        """
        import importlib.util

        if importlib.util.find_spec("optuna") is None:
            raise UserError(
                "hydra/sweeper=optuna: needs Optuna, which is not installed: "
                "pip install 'melanoma_exp[sweep]'"
            )


class Choice(Spec):
    """One of some values, as written on the command line."""

    kind: Literal["choice"]
    values: tuple[str, ...] = Field(min_length=1)

    def ends(self) -> tuple[str, ...]:
        """Returns what is tried before the search begins."""
        return self.values


class Whole(Spec):
    """A whole number, both ends included."""

    kind: Literal["whole"]
    low: int
    high: int
    step: int = Field(ge=1)
    log: bool

    @model_validator(mode="after")
    def _can_be_drawn(self) -> Self:
        if self.low > self.high or self.log and (self.low < 1 or self.step != 1):
            raise ValueError("should rise, with tag(log, ...) from 1 at least and by steps of 1")
        return self

    def ends(self) -> tuple[int, int]:
        """Returns what is tried before the search begins."""
        return self.low, self.high


class Real(Spec):
    """A number, both ends included."""

    kind: Literal["real"]
    low: float
    high: float
    step: float | None = Field(gt=0)
    log: bool

    @model_validator(mode="after")
    def _can_be_drawn(self) -> Self:
        if self.low > self.high or self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("should rise, with tag(log, ...) from above 0 and without steps")
        return self

    def ends(self) -> tuple[float, float]:
        """Returns what is tried before the search begins."""
        return self.low, self.high


Dimension = Annotated[Choice | Whole | Real, Field(discriminator="kind")]
_DIMENSION: TypeAdapter[Choice | Whole | Real] = TypeAdapter(Dimension)


class Search(Spec):
    """A search as the sweep's folder has it.

    Attributes:
        options: Those of the sweeper.
        words: Of the command line; they hold in every job.
        space: What is drawn for each key.
    """

    options: Optuna
    words: tuple[str, ...]
    space: dict[str, Dimension]

    def save(self, folder: Path) -> None:
        """Writes `search.json` into the folder of a sweep."""
        write(folder / FILE, self.model_dump_json(indent=1))


def exists(folder: Path) -> bool:
    """Whether the sweep in a folder is a search."""
    return (folder / FILE).exists()


def read(folder: Path) -> Search:
    """Reads `search.json` from the folder of a sweep.

    Raises:
        UserError: It is damaged.
    """
    return validate_json(Search, (folder / FILE).read_bytes(), folder / FILE)


def dimension(key: str, content: Mapping[str, Any]) -> Choice | Whole | Real:
    """Checks what is drawn for a key.

    Raises:
        UserError: Nothing can be drawn.
    """
    return validate(_DIMENSION, dict(content), key)


def parse(content: Mapping[str, Any]) -> Optuna:
    """Checks the options of the sweeper.

    Raises:
        UserError: A line for each mistake.
    """
    return validate(Optuna, dict(content), "hydra.sweeper")
