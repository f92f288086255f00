"""Notices that another worker is lost, and names it.

TensorFlow's collective operations fail when a peer is lost, or hang, and their message may name any
peer. So a thread opens an HTTP/2 connection to the port that each worker's TensorFlow listens on: a
process that has ended refuses it, one that is frozen, or whose machine is off, does not answer.
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

PROBE_INTERVAL = 2.0  # seconds between two probes of a worker
PROBE_TIMEOUT = 5.0  # seconds
MAX_FAILURES = 3  # failed probes in a row after which a worker counts as lost
DETECTION_TIME = 25.0  # seconds after a failed operation until a silent worker is known
LINGER = 12.0  # seconds that a process stays, so that the others do not take it for the lost one
EXIT_TIMEOUT = 33.0  # seconds after which a process that hangs is ended
EXIT_CODE = 3  # of a process that has lost another
# RFC 9113, 3.4, and an empty SETTINGS frame.
HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


class LostWorkerError(UserError):
    """Another worker is lost: unlike other user errors, a restart may help."""

    code = EXIT_CODE


class LivenessMonitor:
    """Probes the other workers in a thread."""

    def __init__(self, cluster: Cluster, timeout: float, abort: Callable[[str], None]) -> None:
        """Starts to probe.

        Args:
            cluster: The workers.
            timeout: Seconds until all of them must have connected.
            abort: Called with a message when one is lost: makes TensorFlow's operations fail.
        """
        self.lost = ""
        self._cluster, self._timeout, self._abort = cluster, timeout, abort
        self._seen = {cluster.index}
        self._failures = dict.fromkeys(range(len(cluster.addresses)), 0)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="liveness", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stops to probe: from now on workers may leave."""
        self._stopped.set()

    def find_lost(self, message: str, is_peer_error: bool) -> str:
        """Names the lost worker after an operation has failed; lingers for the others to find out.

        Args:
            message: TensorFlow's.
            is_peer_error: Whether only a lost worker can cause such an error.

        Returns:
            A message; empty if the error is this process's own.
        """
        started = time.monotonic()
        limit = DETECTION_TIME if is_peer_error else LINGER
        while not self.lost and time.monotonic() - started < limit:
            time.sleep(0.2)
        time.sleep(max(LINGER - (time.monotonic() - started), 0))
        if not self.lost and is_peer_error:
            named = [int(k) for k in re.findall(r"/task:(\d+)", message)]
            others = [k for k in named if k != self._cluster.index and k in self._failures]
            who = self._cluster.name(others[0]) if others else "a worker"
            self.lost = f"{who} no longer answers"
        return self.lost

    def wait_for_chief(self) -> None:
        """Returns when the chief has ended: its TensorFlow fails if a worker leaves first."""
        self.stop()
        self._thread.join()
        while self._answers(0):
            time.sleep(1.0)

    def _run(self) -> None:
        started = time.monotonic()
        while not self._stopped.wait(PROBE_INTERVAL):
            for k in range(len(self._cluster.addresses)):
                if k != self._cluster.index and not self._stopped.is_set():
                    self._probe(k)
            late = [k for k in self._failures if k not in self._seen]
            waited = time.monotonic() - started
            if late and waited > self._timeout:
                who = ", ".join(self._cluster.name(k) for k in late)
                self._report(f"{who} did not connect within {self._timeout:.0f} s")
            if self.lost:
                return

    def _probe(self, k: int) -> None:
        if self._answers(k):
            self._seen.add(k)
            self._failures[k] = 0
        elif k in self._seen:
            self._failures[k] += 1
            if self._failures[k] >= MAX_FAILURES:
                self._report(f"{self._cluster.name(k)} was lost")

    def _answers(self, k: int) -> bool:
        host, _, port = self._cluster.addresses[k].rpartition(":")
        address = host.strip("[]"), int(port)
        try:
            with socket.create_connection(address, PROBE_TIMEOUT) as connection:
                connection.sendall(HTTP2_PREFACE)
                return bool(connection.recv(1))
        except OSError:
            return False

    def _report(self, line: str) -> None:
        if self._stopped.is_set() or self.lost:
            return
        self.lost = line
        threading.Thread(target=self._exit_if_hanging, name="exit", daemon=True).start()
        self._abort(line)

    def _exit_if_hanging(self) -> None:
        """Ends a process whose main thread hangs inside TensorFlow."""
        time.sleep(EXIT_TIMEOUT)
        if not self._stopped.is_set():
            print(f"distribution: {self.lost}; training has stopped", file=sys.stderr, flush=True)
            os._exit(EXIT_CODE)


def abort_collectives(message: str) -> None:
    """Makes all operations that wait for other workers fail, now and later."""
    from tensorflow.python.eager import context
    from tensorflow.python.framework import errors

    engine: Any = context.context()
    engine.abort_collective_ops(errors.UNAVAILABLE, message)
