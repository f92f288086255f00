"""What asks a run to stop, and what does not."""

import os
import signal
from collections.abc import Iterator

import pytest

from melanoma_exp.training.signals import Interrupted, Signals

HANGUP = signal.SIGHUP


@pytest.fixture(autouse=True)
def terminal() -> Iterator[None]:
    """As in a terminal, even where the tests themselves run under nohup."""
    before = signal.signal(HANGUP, signal.SIG_DFL)
    yield
    signal.signal(HANGUP, before)


def test_a_terminal_that_closes_asks_once_however_often_it_says_so() -> None:
    with Signals().handled() as signals, pytest.raises(Interrupted) as stopped:
        with signals.deferred():
            os.kill(os.getpid(), HANGUP)  # from the shell
            os.kill(os.getpid(), HANGUP)  # and from the system
            assert signals.received == HANGUP  # nothing was raised: a checkpoint may be written
            with pytest.raises(Interrupted):
                os.kill(os.getpid(), signal.SIGINT)
    assert stopped.value.signum == HANGUP


def test_outside_of_training_it_stops_at_once_and_the_end_can_be_recorded() -> None:
    with Signals().handled(), pytest.raises(Interrupted):
        try:
            os.kill(os.getpid(), HANGUP)
        finally:
            os.kill(os.getpid(), HANGUP)  # does not disturb the end
            recorded = True
    assert recorded


def test_under_nohup_a_hangup_is_still_ignored() -> None:
    before = signal.signal(HANGUP, signal.SIG_IGN)
    try:
        with Signals().handled() as signals, signals.deferred():
            os.kill(os.getpid(), HANGUP)
            assert signals.received is None
        assert signal.getsignal(HANGUP) == signal.SIG_IGN
    finally:
        signal.signal(HANGUP, before)
