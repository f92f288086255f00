"""The queue that gives the next jobs of a sweep."""

from collections.abc import Sequence
from typing import Protocol

from melanoma_exp.sweep.folder import Job


class Queue(Protocol):
    """Jobs still to run: known beforehand, or drawn one by one as others end."""

    @property
    def to_come(self) -> int:
        """How many further jobs may come that are not known yet."""

    def take(self, room: int) -> Sequence[Job]:
        """Returns jobs to start now, none when no more will come.

        Args:
            room: How many could start at once; a queue that knows all jobs gives all.
        """

    def ended(self, job: Job) -> None:
        """A job that was taken has ended; its status says how."""


class FixedQueue:
    """Jobs that are known beforehand."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = list(jobs)

    @property
    def to_come(self) -> int:
        """All are known."""
        return 0

    def take(self, room: int) -> Sequence[Job]:
        """Returns all of them, once."""
        jobs, self._jobs = self._jobs, []
        return jobs

    def ended(self, job: Job) -> None:
        """Does nothing."""
