"""Ends a process when the one that started it is gone, even by kill -9.

The system closes the pipes of a process however it ends. A thread waits for the end of a pipe whose
other end only the starting process holds.
"""

import os
import signal
import threading
import time
from contextlib import suppress
from multiprocessing import parent_process
from multiprocessing.connection import wait

LAUNCHED = "MELANOMA_EXP_LAUNCHED"  # the descriptor to wait for, in the environment of a worker


def exit_with(sentinel: int, grace: float) -> None:
    """Ends this process when another is gone: by SIGTERM, as if it was asked to stop.

    Args:
        sentinel: A descriptor that becomes readable then.
        grace: Seconds after which it is killed, with its process group where it heads one.
    """

    def watch() -> None:
        wait([sentinel])
        # Only Python's main thread handles signals, even while it waits in a system call.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
        time.sleep(grace)
        with suppress(ProcessLookupError):
            os.killpg(os.getpid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="watchdog", daemon=True).start()


def exit_with_parent(grace: float) -> None:
    """Ends this process, started by `multiprocessing`, when the one that did so is gone.

    Args:
        grace: As of `exit_with`.
    """
    parent = parent_process()
    assert parent is not None
    exit_with(parent.sentinel, grace)


def exit_with_launcher(grace: float) -> None:
    """Ends this process when the one that named a descriptor in `LAUNCHED` is gone, if one did.

    Args:
        grace: As of `exit_with`.
    """
    if sentinel := os.environ.get(LAUNCHED):
        exit_with(int(sentinel), grace)
