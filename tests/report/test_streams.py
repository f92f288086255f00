"""A run goes on where nobody reads what it prints."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys, time
from pathlib import Path
from rich.progress import Progress
from melanoma_exp.report.console import console
from melanoma_exp.report.streams import outlive_terminal
outlive_terminal()
print(sys.stdout.isatty(), flush=True)
gone = Path(sys.argv[1])
while not gone.exists():
    time.sleep(0.01)
with Progress(console=console()) as shown:
    for _ in shown.track(range(5)):
        console().print("a line " * 2000)
        print("to standard error", file=sys.stderr, flush=True)
Path(sys.argv[2]).write_text("done")
"""


@pytest.mark.parametrize("kind", ["terminal", "pipe"])
def test_work_ends_as_usual_though_its_output_is_closed(tmp_path: Path, kind: str) -> None:
    read, write = pty.openpty() if kind == "terminal" else os.pipe()
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "gone"), str(tmp_path / "done")]
    process = subprocess.Popen(command, stdout=write, stderr=write, start_new_session=True)
    os.close(write)
    said = os.read(read, 100).decode()
    assert said.startswith(str(kind == "terminal"))
    os.close(read)
    (tmp_path / "gone").touch()
    assert process.wait(60) == 0
    assert (tmp_path / "done").read_text() == "done"


def test_a_full_disk_loses_lines_of_a_log_and_nothing_else(tmp_path: Path) -> None:
    code = (
        "import os, sys; from melanoma_exp.report import streams\n"
        "out = streams.text(os.open('/dev/full', os.O_WRONLY))\n"
        "print('lost', file=out, flush=True); print('kept')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "kept\n", "")


def test_what_the_screen_shows_in_the_end_is_also_in_a_file(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from melanoma_exp.report import streams
streams.outlive_terminal()
print("before")
streams.copy_to(Path(sys.argv[1]))
print("a \x1b[1;31mred\x1b[0m line")
for step in range(3):
    print(f"\\r\x1b[2Kstep {step}", end="", flush=True)
print("\\r\x1b[2Kdone\\r")
print("an error", file=sys.stderr)
streams.copy_to(Path("/nowhere/log"))
print("after")
"""
    log = tmp_path / "log"
    log.write_text("of an earlier start\n")
    done = subprocess.run([sys.executable, "-c", code, str(log)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "an error\n")
    assert log.read_text() == "of an earlier start\na red line\ndone\nan error\n"
