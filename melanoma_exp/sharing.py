"""Work that several runs need is done by one of them, while the others wait for it."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from melanoma_exp.config import Experiment
from melanoma_exp.spec import UserError, digest


@contextmanager
def alone(experiment: Experiment) -> Iterator[None]:
    """Holds the data of an experiment: whoever prepares the same dataset waits.

    Decoded images, synthetic children and the audit are then in the cache for the next one. The
    system frees the lock of a process that dies.

    Raises:
        UserError: The cache cannot be written.
    """
    locks = experiment.cache.root() / "locks"
    path = locks / f"{digest(experiment.dataset.model_dump(mode='json'))}.lock"
    try:
        locks.mkdir(parents=True, exist_ok=True)
        lock = path.open("w")
    except OSError as error:
        raise UserError(f"cache.dir: cannot write {locks}: {error.strerror}") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
