"""A server, waits that take no time, and a table of sources on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import web
from offered_sets import offer

from melanoma_exp.download import failures


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[web.Web]:
    monkeypatch.setattr("os.sync", lambda: None)  # of the whole machine, on which others write
    monkeypatch.setattr(failures, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(failures, "LONGEST_WAIT", 0.01)
    with web.served() as running:
        yield running


@pytest.fixture
def table(server: web.Web, tmp_path: Path) -> Path:
    """A table of sources: HAM10000 on the server."""
    (tmp_path / "drawn").mkdir()
    return offer(server, "ham10000", tmp_path / "drawn")
