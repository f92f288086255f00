"""A worker that is frozen, has ended or never comes is named."""

import socket
import threading
import time

import pytest

from melanoma_exp.distribution import liveness
from melanoma_exp.distribution.cluster import Cluster


class Peer:
    """Listens as a worker does, until it freezes or ends."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.answers = True
        threading.Thread(target=self.serve, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.socket.getsockname()[1]}"

    def serve(self) -> None:
        while self.answers:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            connection.sendall(b"\0\0\0\4\0\0\0\0\0" if self.answers else b"")

    def freeze(self) -> None:
        self.answers = False

    def end(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


@pytest.mark.parametrize("how", ["freeze", "end"])
def test_a_worker_that_is_frozen_or_has_ended_is_named(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (
        ("PROBE_INTERVAL", 0.05),
        ("PROBE_TIMEOUT", 0.3),
        ("LINGER", 0.1),
        ("DETECTION_TIME", 20),
    ):
        monkeypatch.setattr(liveness, name, seconds)
    peers = [Peer(), Peer()]
    aborted: list[str] = []
    workers = Cluster(("127.0.0.1:1", *(peer.address for peer in peers)), 0)
    looking = liveness.LivenessMonitor(workers, 60, aborted.append)
    time.sleep(0.5)
    assert not looking.lost
    getattr(peers[1], how)()
    assert looking.find_lost("", True) == f"worker 2 ({workers.addresses[2]}) was lost"
    looking.stop()
    assert aborted == [looking.lost]


def test_a_worker_that_never_comes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "PROBE_INTERVAL", 0.05)
    monkeypatch.setattr(liveness, "LINGER", 0.1)
    looking = liveness.LivenessMonitor(
        Cluster(("127.0.0.1:1", "127.0.0.1:2"), 0), 0.2, lambda line: None
    )
    assert looking.find_lost("", True) == "worker 1 (127.0.0.1:2) did not connect within 0 s"
    looking.stop()
