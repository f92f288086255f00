"""The Optuna study of a search: opened, asked for values, told the scores."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from melanoma_exp.spec import UserError
from melanoma_exp.sweep.search.config import Optuna, Search
from melanoma_exp.sweep.search.space import Value, distribution

DATABASE = "study.db"
SWEEP, REJECTED = "sweep", "rejected"  # attributes of a trial
WAIT = 60  # seconds that a process waits for a locked SQLite file


class Study:
    """A study; trial k is job k of its sweep."""

    def __init__(self, search: Search, folder: Path, sweep: str) -> None:
        """Opens the study, or begins it.

        Args:
            search: The search.
            folder: Of the sweep.
            sweep: Its name.

        Raises:
            UserError: The storage cannot be opened.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        options = search.options
        self._search, self._sweep = search, sweep
        url = options.storage or f"sqlite:///{(folder / DATABASE).absolute()}"
        engine = {"connect_args": {"timeout": WAIT}} if url.startswith("sqlite") else {}
        try:
            self.optuna = optuna.create_study(
                storage=optuna.storages.RDBStorage(url, engine),
                study_name=options.study_name or sweep,
                # Only `ask` draws values; where Optuna would draw further ones, none are.
                sampler=optuna.samplers.RandomSampler(0),
                # Jobs judge themselves by the rule of the options.
                pruner=optuna.pruners.NopPruner(),
                direction=search.direction,
                load_if_exists=True,
            )
        except Exception as error:  # of any driver
            why = str(error).strip().splitlines()[0]
            raise UserError(f"hydra.sweeper.storage: {url} cannot be opened: {why}") from error

    def sign(self, higher_is_better: bool) -> float:
        """Returns the factor that makes a metric of this direction as good as the objective."""
        return 1.0 if higher_is_better == (self._search.direction == "maximize") else -1.0

    def ask(self) -> tuple[int, dict[str, Value]]:
        """Begins a trial and returns its number and values.

        They follow from the seed, the number and the finished trials: a resumed search draws what
        it would have drawn without the interruption.
        """
        options = self._search.options
        number = len(self.trials)
        seed = int(np.random.SeedSequence([options.seed, number]).generate_state(1)[0])
        before = self.optuna.sampler
        self.optuna.sampler = _sampler(options, seed)
        try:
            space = {key: distribution(key, one) for key, one in self._search.space.items()}
            trial = self.optuna.ask(space)
        finally:
            self.optuna.sampler = before
        trial.set_user_attr(SWEEP, self._sweep)
        return trial.number, dict(trial.params)

    def tell(self, number: int, score: float | None) -> None:
        """Ends a trial with its score, or as failed without one."""
        if score is None:
            self.optuna.tell(number, state=TrialState.FAIL)
        else:
            self.optuna.tell(number, score)

    def prune(self, number: int) -> None:
        """Ends a trial that was pruned; what it reported counts."""
        self.optuna.tell(number, state=TrialState.PRUNED)

    def reject(self, number: int, why: str) -> None:
        """Ends a trial whose values cannot be a job."""
        self.trial(number).set_user_attr(REJECTED, why)
        self.tell(number, None)

    def trial(self, number: int) -> optuna.trial.Trial:
        """Returns a trial that can be reported to."""
        storage = self.optuna._storage
        trial_id = storage.get_trial_id_from_study_id_trial_number(self.optuna._study_id, number)
        return optuna.trial.Trial(self.optuna, trial_id)

    def open_trials(self) -> Sequence[FrozenTrial]:
        """Returns the trials of this sweep that have started and not ended."""
        return [
            trial
            for trial in self.trials
            if trial.state == TrialState.RUNNING
            and trial.user_attrs.get(SWEEP, self._sweep) == self._sweep
        ]

    @property
    def trials(self) -> Sequence[FrozenTrial]:
        """All, rejected ones included."""
        return self.optuna.get_trials(deepcopy=False)

    @property
    def left(self) -> int:
        """How many trials may still begin."""
        started = sum(REJECTED not in trial.user_attrs for trial in self.trials)
        return max(0, self._search.options.n_trials - started)


def _sampler(options: Optuna, seed: int) -> optuna.samplers.BaseSampler:
    if options.sampler == "random":
        return optuna.samplers.RandomSampler(seed)
    return optuna.samplers.TPESampler(n_startup_trials=options.n_startup_trials, seed=seed)
