"""Kills a run at random moments and goes on with it: KILLS SEED FOLDER OVERRIDE...

TensorFlow is imported once and every attempt is a fork of this process, which has not used it yet.
Every other attempt ends inside the writing of a checkpoint, at a random call of fsync; the others a
random time after they began.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

from melanoma_exp import config
from melanoma_exp.cli import compose
from melanoma_exp.run import runner
from melanoma_exp.system.installation import conf_folder

LONGEST = 6.0  # seconds until a kill


def attempt(folder: Path, overrides: list[str], fatal_sync: int | None) -> NoReturn:
    experiment = config.parse(compose.compose(conf_folder(), overrides))
    if fatal_sync is not None:
        sync, calls = os.fsync, []

        def sync_or_die(descriptor: int) -> None:
            calls.append(descriptor)
            if len(calls) == fatal_sync:
                os.kill(os.getpid(), signal.SIGKILL)
            sync(descriptor)

        os.fsync = sync_or_die
    runner.start(experiment, folder, {})  # as the command line does
    os._exit(0)


def main(kills: int, seed: int, folder: Path, overrides: list[str]) -> None:
    import mlflow.keras  # noqa: F401
    import tensorflow  # noqa: F401

    choose = random.Random(seed)
    for k in range(kills + 1):
        last = k == kills
        fatal_sync = choose.randrange(1, 30) if k % 2 and not last else None
        child = os.fork()
        if not child:
            attempt(folder, overrides, fatal_sync)
        if not last and fatal_sync is None:
            time.sleep(choose.uniform(0.5, LONGEST))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        how = "killed" if os.WIFSIGNALED(status) else f"ended {os.WEXITSTATUS(status)}"
        print(f"attempt {k}: {how}", flush=True)
        if not os.WIFSIGNALED(status):
            sys.exit(os.WEXITSTATUS(status))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
