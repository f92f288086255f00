"""Reading files from outside: whole, bounded, and no more memory than they need."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from melanoma_exp.system import files

SMALL = """
import resource, sys
from pathlib import Path
from melanoma_exp.system import files
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**27,) * 2)
print(len(files.read(Path(sys.argv[1]), 2**40)))
"""


def test_a_small_file_takes_little_memory_whatever_may_be_read(tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(b"abc")
    found = subprocess.run(
        [sys.executable, "-c", SMALL, str(tmp_path / "small")], capture_output=True, text=True
    )
    assert found.stdout == "3\n", found.stderr


def test_a_file_larger_than_allowed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abcd")
    assert files.read(path, 4) == b"abcd"
    with pytest.raises(OSError, match="holds more than 3 bytes"):
        files.read(path, 3)


def test_what_is_added_meanwhile_is_read_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record of a run that trains grows between the look at its size and the read."""
    path = tmp_path / "file"
    path.write_bytes(b"a" * 10)
    real = os.fstat

    def grown(number: int) -> os.stat_result:
        found = real(number)
        if found.st_size == 10:
            path.write_bytes(b"a" * 3_000_000)
        return found

    monkeypatch.setattr(os, "fstat", grown)
    content = files.read(path, 2**30)
    assert len(content) == 3_000_000
