"""Notices that another process of a training is gone, and names it.

TensorFlow's collective operations fail when a peer is gone, or hang, and their message may be about
any peer. So a thread greets every worker at the port which its TensorFlow listens on, as any HTTP/2
client does: a process that has ended refuses, one that is frozen, or whose machine is off, does not
answer. No port or message of our own is needed.
"""

import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from melanoma_exp.distribution.cluster import Cluster
from melanoma_exp.spec import UserError

INTERVAL = 2.0  # seconds between two looks at a worker
ANSWER = 5.0  # seconds to wait for its answer
PATIENCE = 3  # unanswered looks in a row after which it counts as lost
FINDING = 25.0  # seconds after an operation has failed until one that is silent is known
LINGER = 12.0  # seconds that a process stays, so that the others do not take it for the lost one
LAST_RESORT = 33.0  # seconds after which a process that cannot end is ended
EXIT_CODE = 3  # of a process that has lost another
GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])  # RFC 9113, 3.4


class LostWorkerError(UserError):
    """Another worker is gone: a restart may mend it, unlike a mistake of the user."""

    code = EXIT_CODE


class Watch:
    """Looks after the other workers, in a thread."""

    def __init__(self, cluster: Cluster, patience: float, abort: Callable[[str], None]) -> None:
        """Begins to look.

        Args:
            cluster: The workers.
            patience: Seconds until all of them must have come.
            abort: Called with a sentence when one is lost: makes TensorFlow's operations fail.
        """
        self.lost = ""
        self._cluster, self._patience, self._abort = cluster, patience, abort
        self._seen = {cluster.index}
        self._missed = dict.fromkeys(range(len(cluster.addresses)), 0)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Looks no longer: from now on workers may leave."""
        self._ended.set()

    def blame(self, message: str, is_about_peers: bool) -> str:
        """Returns who is lost, after an operation has failed; stays a while for the others.

        Args:
            message: What TensorFlow said.
            is_about_peers: Whether such an error comes of nothing else.

        Returns:
            A sentence; empty if the error is this process's own.
        """
        begun = time.monotonic()
        while not self.lost and time.monotonic() - begun < (FINDING if is_about_peers else LINGER):
            time.sleep(0.2)
        time.sleep(max(LINGER - (time.monotonic() - begun), 0))
        if not self.lost and is_about_peers:
            named = [int(k) for k in re.findall(r"/task:(\d+)", message)]
            others = [k for k in named if k != self._cluster.index and k in self._missed]
            who = self._cluster.name(others[0]) if others else "a worker"
            self.lost = f"{who} no longer answers"
        return self.lost

    def wait_for_chief(self) -> None:
        """Returns when the chief has ended: TensorFlow in it misses whoever goes first."""
        self.end()
        self._thread.join()
        while self._answers(0):
            time.sleep(1.0)

    def _run(self) -> None:
        begun = time.monotonic()
        while not self._ended.wait(INTERVAL):
            for k in range(len(self._cluster.addresses)):
                if k != self._cluster.index and not self._ended.is_set():
                    self._look(k)
            late = [k for k in self._missed if k not in self._seen]
            waited = time.monotonic() - begun
            if late and waited > self._patience:
                who = ", ".join(self._cluster.name(k) for k in late)
                self._tell(f"{who} did not come within {self._patience:.0f} s")
            if self.lost:
                return

    def _look(self, k: int) -> None:
        if self._answers(k):
            self._seen.add(k)
            self._missed[k] = 0
        elif k in self._seen:
            self._missed[k] += 1
            if self._missed[k] >= PATIENCE:
                self._tell(f"{self._cluster.name(k)} was lost")

    def _answers(self, k: int) -> bool:
        host, _, port = self._cluster.addresses[k].rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), ANSWER) as connection:
                connection.sendall(GREETING)
                return bool(connection.recv(1))
        except OSError:
            return False

    def _tell(self, line: str) -> None:
        if self._ended.is_set() or self.lost:
            return
        self.lost = line
        threading.Thread(target=self._end_at_last, name="last resort", daemon=True).start()
        self._abort(line)

    def _end_at_last(self) -> None:
        """Ends a process whose main thread hangs inside TensorFlow."""
        time.sleep(LAST_RESORT)
        if not self._ended.is_set():
            print(f"distribution: {self.lost}; training has stopped", file=sys.stderr, flush=True)
            os._exit(EXIT_CODE)


def abort_collectives(line: str) -> None:
    """Makes operations that wait for other workers fail, now and from now on."""
    from tensorflow.python.eager import context
    from tensorflow.python.framework import errors

    engine: Any = context.context()
    engine.abort_collective_ops(errors.UNAVAILABLE, line)
