"""A server, waits that take no time, and the command as it is typed."""

from collections.abc import Iterator

import pytest
import web

from melanoma_exp.download import failures


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[web.Web]:
    monkeypatch.setattr("os.sync", lambda: None)  # of the whole machine, on which others write
    monkeypatch.setattr(failures, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(failures, "LONGEST_WAIT", 0.01)
    with web.served() as running:
        yield running
