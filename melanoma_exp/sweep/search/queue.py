"""The queue of a search: values for a job are drawn when there is room for it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.trial import TrialState

from melanoma_exp import config as experiment_config
from melanoma_exp.evaluation import objectives
from melanoma_exp.spec import UserError
from melanoma_exp.sweep import plan
from melanoma_exp.sweep.folder import Job, Sweep, locked, open_sweep
from melanoma_exp.sweep.launchers import Local, Slurm
from melanoma_exp.sweep.search import config
from melanoma_exp.sweep.search.config import Search
from melanoma_exp.sweep.search.space import Value, bounds, distribution, override
from melanoma_exp.sweep.search.study import REJECTED, Study

Compose = Callable[[list[str]], Mapping[str, Any]]
SEEDS = ("seed", "split.seed", "split.fold")  # a search over these would only find the luckiest
REJECTED_IN_A_ROW = 20  # draws after which the space, not chance, is at fault


class SearchQueue:
    """The jobs of a search, those of earlier starts first."""

    def __init__(
        self, search: Search, folder: Path, launcher: Local | Slurm, compose: Compose
    ) -> None:
        """Opens the study and finds out what earlier starts have left.

        Args:
            search: The search.
            folder: Of the sweep.
            launcher: Where its jobs run.
            compose: Returns the config that overrides make.

        Raises:
            UserError: The storage cannot be opened.
        """
        self._search, self._folder, self._launcher = search, folder.absolute(), launcher
        self._compose = compose
        begun = (self._folder / plan.SWEEP_FILE).exists()
        # The name of its start: the folder may have been renamed.
        name = open_sweep(self._folder).name if begun else plan.name_of(self._folder)
        self._study = Study(search, self._folder, name)
        self._unfinished = self._settle()
        self.to_come = self._study.left

    def begin(self) -> Sweep:
        """Returns the sweep, with a first job if it had none.

        Raises:
            UserError: No values that are drawn make a job.
        """
        if not (self._folder / plan.SWEEP_FILE).exists():
            self._unfinished += self._ask(1)
        return open_sweep(self._folder)

    def take(self, room: int) -> Sequence[Job]:
        """Returns unfinished jobs of earlier starts, then new ones."""
        jobs, self._unfinished = self._unfinished[:room], self._unfinished[room:]
        return [*jobs, *self._ask(room - len(jobs))]

    def ended(self, job: Job) -> None:
        """Tells the study the score; the trial of an unfinished job stays open, to be resumed."""
        status = job.status()
        if status.state == "finished":
            self._study.tell(job.number, None if status.leaky else status.score)
        elif status.state == "pruned":
            self._study.prune(job.number)

    def _settle(self) -> list[Job]:
        """Ends trials whose jobs have ended since; returns the unfinished jobs."""
        jobs = {}
        if (self._folder / plan.SWEEP_FILE).exists():
            jobs = {job.number: job for job in open_sweep(self._folder).jobs}
        unfinished = []
        for trial in self._study.open_trials():
            if set(trial.params) != set(self._search.space):  # killed while it was drawn
                self._study.reject(trial.number, "it was not drawn completely")
            elif (job := jobs.get(trial.number)) is None:
                unfinished += self._job(trial.number, trial.params)
            elif job.status().is_done:
                self.ended(job)
            else:
                unfinished.append(job)
        return unfinished

    def _ask(self, room: int) -> list[Job]:
        jobs: list[Job] = []
        while len(jobs) < room and self._study.left:
            jobs += self._job(*self._study.ask())
            self._refuse_a_space_without_jobs()
        self.to_come = self._study.left
        return jobs

    def _job(self, number: int, values: Mapping[str, Value]) -> list[Job]:
        """Returns the job of a trial; none where its values are rejected."""
        words = [*self._search.words, *(override(key, value) for key, value in values.items())]
        try:
            content = self._compose(words)
            experiment_config.parse(content)
        except UserError as error:
            self._study.reject(number, "; ".join(error.lines))
            return []
        choice = [word.partition("=")[2] for word in words if word.startswith("experiment=")]
        composed = plan.Composed(number, words, content, "".join(choice[-1:]), str(number))
        sweep = plan.plan(self._folder, self._launcher, [composed], self._search.words)
        return [job for job in sweep.jobs if job.number == number]

    def _refuse_a_space_without_jobs(self) -> None:
        last = self._study.trials[-REJECTED_IN_A_ROW:]
        why = [t.user_attrs.get(REJECTED, "") for t in last if t.state == TrialState.FAIL]
        if len(why) == REJECTED_IN_A_ROW and all(why):
            raise UserError(
                f"hydra.sweeper.params: the last {len(why)} draws could not be a job: {why[-1]}"
            )


def check(search: Search, compose: Compose) -> Search:
    """Checks the overrides of a search, and each end of its space alone.

    Returns:
        The search with the objective that its overrides choose.

    Raises:
        UserError: A line for each mistake.
    """
    experiment = experiment_config.parse(compose(list(search.words)))
    pruner = search.options.pruner
    directions = objectives.directions(experiment.evaluation, experiment.dataset.alerts)
    if pruner:
        key = "hydra.sweeper.pruner.monitor"
        if wrong := objectives.unknown({key: pruner.monitor}, directions):
            raise UserError(*wrong)
    lines = []
    if experiment.split.kind == "published":
        lines.append(
            "split=published: a search rewards whatever scores best, and here that is the leak; "
            "choose holdout, kfold or file"
        )
    if experiment.dry_run:
        lines.append("dry_run: a search learns from scores, and a dry run has none")
    if pruner and "train.epochs" not in search.space:
        lines += pruner.check(experiment.train.epochs)
    if pruner and experiment.distribution.kind == "multi_worker":
        lines.append(
            "distribution=multi_worker: jobs on several processes cannot be pruned; set "
            "hydra.sweeper.pruner=null"
        )
    if not search.space:
        lines.append(
            "hydra.sweeper.params: there is nothing to search; give values to draw from, such as "
            "'train.learning_rate=tag(log, interval(1e-4, 1e-2))', or experiment=search/m2"
        )
    for key, content in search.space.items():
        if key == "evaluation.objective":
            lines.append(f"{key}: a search has one objective; fix it here")
            continue
        if key in SEEDS:
            lines.append(
                f"{key}: a search over it finds the luckiest one; fix it here and vary it when "
                "the best job is tested"
            )
            continue
        try:
            values = bounds(distribution(key, content))
        except UserError as error:
            lines += error.lines
            continue
        for value in values:
            try:
                experiment_config.parse(compose([*search.words, override(key, value)]))
            except UserError as error:
                lines += [line for line in error.lines if line not in lines]
    if lines:
        raise UserError(*lines, "no job was started")
    objective = experiment.objective
    direction = "maximize" if objective.higher_is_better else "minimize"
    return search.model_copy(update={"objective": objective.name, "direction": direction})


@contextmanager
def begin(
    search: Search, folder: Path, launcher: Local | Slurm, compose: Compose
) -> Iterator[SearchQueue]:
    """Begins or resumes a search in a folder, of which this process is then the one launcher.

    Yields:
        Its queue.

    Raises:
        UserError: The search is rejected, or the folder holds another one, or one that runs.
    """
    launcher.check()
    search = check(search, compose)
    with locked(folder):
        if config.exists(folder):
            same = ("words", "space", "objective")
            before = config.read(folder)
            if any(getattr(before, name) != getattr(search, name) for name in same):
                raise UserError(
                    f"hydra.sweep.dir: {folder} holds another search; name another folder, or "
                    f"resume it: melanoma-exp resume-sweep {folder}"
                )
        search.save(folder)
        yield SearchQueue(search, folder, launcher, compose)
