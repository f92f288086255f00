"""What a search is: its options, the space it draws from, and the file that holds them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from melanoma_exp.spec import Spec, UserError, validate, validate_json
from melanoma_exp.sweep.search.pruning import AnyRule
from melanoma_exp.system.files import read_named, write

FILE = "search.json"


class Optuna(Spec):
    """The options `hydra/sweeper=optuna`.

    Attributes:
        n_trials: Jobs in all, those of earlier starts included.
        sampler: `tpe` learns from finished jobs, `random` does not.
        n_startup_trials: Jobs drawn at random before `tpe` begins to learn.
        seed: Of the sampler.
        pruner: null prunes no job.
        storage: A URL that Optuna opens; null is a SQLite file in the sweep's folder.
        study_name: null is the sweep's name; an existing one in `storage` is continued.
        params: Key and, in the syntax of the command line, the values to draw from.
    """

    kind: Literal["optuna"]
    n_trials: int = Field(ge=1)
    sampler: Literal["tpe", "random"]
    n_startup_trials: int = Field(ge=1)
    seed: int = Field(ge=0, lt=2**32)
    pruner: AnyRule | None
    storage: str | None
    study_name: str | None
    params: dict[str, Any]

    @field_validator("pruner", mode="before")
    @classmethod
    def _name_the_rule(cls, pruner: Any) -> Any:
        """Searches of earlier versions knew one rule, the median."""
        return {"kind": "median", **pruner} if isinstance(pruner, Mapping) else pruner

    @field_validator("storage")
    @classmethod
    def _hold_no_password(cls, storage: str | None) -> str | None:
        if storage and (password := urlsplit(storage).password) is not None:
            masked = storage.replace(f":{password}@", ":***@")
            raise ValueError(
                "should hold no password, for it is stored with the sweep; put it where the "
                f"database's driver looks, such as ~/.pgpass (got {masked})"
            )
        return storage

    def check(self) -> None:
        """Checks that a search can run here.

        Raises:
            UserError: Optuna is not installed.
        """
        import importlib.util

        if importlib.util.find_spec("optuna") is None:
            raise UserError(
                "hydra/sweeper=optuna: needs Optuna, which is not installed: "
                "pip install 'melanoma_exp[sweep]'"
            )


class Search(Spec):
    """A search as the sweep's folder has it.

    Attributes:
        options: Those of the sweeper.
        words: Overrides of the command line that every job has.
        space: What is drawn for each key, as `space.distribution` reads it.
        objective: The scalar of the evaluation that is optimised.
        direction: Which way.
    """

    options: Optuna
    words: tuple[str, ...]
    space: dict[str, dict[str, Any]]
    # Searches from before there was a choice have neither.
    objective: str = "val/balanced_accuracy"
    direction: Literal["maximize", "minimize"] = "maximize"

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
    return validate_json(Search, read_named(folder / FILE), folder / FILE)


def parse(content: Mapping[str, Any]) -> Optuna:
    """Checks the options of the sweeper.

    Raises:
        UserError: A line for each mistake.
    """
    return validate(Optuna, dict(content), "hydra.sweeper")
