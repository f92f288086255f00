"""The jobs of a search: each is asked for when there is room for it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from optuna.trial import TrialState

from melanoma_exp import config
from melanoma_exp.spec import UserError
from melanoma_exp.sweep import plan
from melanoma_exp.sweep.folder import Job, Sweep, open_sweep
from melanoma_exp.sweep.search import spec
from melanoma_exp.sweep.search.spec import REJECTED_IN_A_ROW, Search
from melanoma_exp.sweep.search.study import REJECTED, Study, Value
from melanoma_exp.sweep.spec import Local, Slurm

Compose = Callable[[list[str]], Mapping[str, Any]]
LUCK = ("seed", "split.seed", "split.fold")  # what is searched for is not which of these flatters


class Asked:
    """The queue of a search."""

    def __init__(
        self, search: Search, folder: Path, launcher: Local | Slurm, compose: Compose
    ) -> None:
        """Opens the study and finds out what earlier starts have left.

        Args:
            search: What is searched for.
            folder: Of the sweep.
            launcher: Where its jobs run.
            compose: Returns the config that words of a command line make.

        Raises:
            UserError: The storage cannot be opened.
        """
        self._search, self._folder, self._launcher = search, folder.absolute(), launcher
        self._compose = compose
        self._study = Study(search, self._folder, plan.name_of(self._folder))
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
        """Returns what an earlier start left unfinished, then new jobs."""
        jobs, self._unfinished = self._unfinished[:room], self._unfinished[room:]
        return [*jobs, *self._ask(room - len(jobs))]

    def ended(self, job: Job) -> None:
        """Tells the study; what did not finish stays open, to be gone on with."""
        status = job.status()
        if status.state == "finished":
            self._study.tell(job.number, None if status.leaky else status.score)
        elif status.state == "pruned":
            self._study.give_up(job.number)

    def _settle(self) -> list[Job]:
        """Tells what was not told before the search was stopped; returns jobs to go on with."""
        jobs = {}
        if (self._folder / plan.SWEEP_FILE).exists():
            jobs = {job.number: job for job in open_sweep(self._folder).jobs}
        left = []
        for trial in self._study.open_trials():
            if set(trial.params) != set(self._search.space):  # killed while it was drawn
                self._study.reject(trial.number, "it was not drawn whole")
            elif (job := jobs.get(trial.number)) is None:
                left += self._job(trial.number, trial.params)
            elif job.status().is_done:
                self.ended(job)
            else:
                left.append(job)
        return left

    def _ask(self, room: int) -> list[Job]:
        jobs: list[Job] = []
        while len(jobs) < room and self._study.left:
            jobs += self._job(*self._study.ask())
            self._give_up_on_a_space_without_jobs()
        self.to_come = self._study.left
        return jobs

    def _job(self, number: int, values: Mapping[str, Value]) -> list[Job]:
        """Returns the job of a trial; none where its values are rejected."""
        words = [*self._search.words, *(word(key, value) for key, value in values.items())]
        try:
            content = self._compose(words)
            config.parse(content)
        except UserError as error:
            self._study.reject(number, "; ".join(error.lines))
            return []
        choice = [w.partition("=")[2] for w in words if w.startswith("experiment=")]
        composed = plan.Composed(number, words, content, "".join(choice[-1:]), str(number))
        sweep = plan.plan(self._folder, self._launcher, [composed], self._search.words)
        return [job for job in sweep.jobs if job.number == number]

    def _give_up_on_a_space_without_jobs(self) -> None:
        last = self._study.trials[-REJECTED_IN_A_ROW:]
        why = [t.user_attrs.get(REJECTED, "") for t in last if t.state == TrialState.FAIL]
        if len(why) == REJECTED_IN_A_ROW and all(why):
            raise UserError(
                f"hydra.sweeper.params: the last {len(why)} draws could not be a job: {why[-1]}"
            )


def check(search: Search, compose: Compose) -> None:
    """Checks the words of a search, and each end of its space alone.

    Raises:
        UserError: A line for each mistake.
    """
    experiment = config.parse(compose(list(search.words)))
    lines = []
    if experiment.split.kind == "published":
        lines.append(
            "split=published: a search rewards whatever scores best, and here that is the leak; "
            "choose holdout, kfold or file"
        )
    if experiment.dry_run:
        lines.append("dry_run: a search learns from scores, and a dry run has none")
    if search.options.pruner and experiment.distribution.kind == "multi_worker":
        lines.append(
            "distribution=multi_worker: jobs on several processes cannot be given up midway; set "
            "hydra.sweeper.pruner=null"
        )
    if not search.space:
        lines.append(
            "hydra.sweeper.params: there is nothing to search; give values to draw from, such as "
            "'train.learning_rate=tag(log, interval(1e-4, 1e-2))', or experiment=search/m2"
        )
    for key, one in search.space.items():
        if key in LUCK:
            lines.append(
                f"{key}: a search over it finds the luckiest one; fix it here and vary it when "
                "the best job is judged"
            )
            continue
        for value in one.ends():
            try:
                config.parse(compose([*search.words, word(key, value)]))
            except UserError as error:
                lines += [line for line in error.lines if line not in lines]
    if lines:
        raise UserError(*lines, "no job was started")


def word(key: str, value: Value) -> str:
    """Returns a value as an override."""
    return f"{key}={value if isinstance(value, str) else repr(value)}"


def begin(search: Search, folder: Path, launcher: Local | Slurm, compose: Compose) -> Asked:
    """Returns the queue of a search that begins, or goes on, in a folder.

    Raises:
        UserError: The search is rejected, or the folder holds another one.
    """
    launcher.check()
    check(search, compose)
    if spec.exists(folder):
        before = spec.read(folder)
        if (before.words, before.space) != (search.words, search.space):
            raise UserError(
                f"hydra.sweep.dir: {folder} holds another search; name another folder, or go on "
                f"with it: melanoma-exp resume-sweep {folder}"
            )
    folder.mkdir(parents=True, exist_ok=True)
    search.save(folder)
    return Asked(search, folder, launcher, compose)
