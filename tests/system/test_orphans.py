"""A process ends with the one that started it, though that was killed and could tell nobody."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

PARENT = """
import multiprocessing, os, subprocess, sys, time
import orphaned
if __name__ == "__main__":
    how, grace = sys.argv[1], float(sys.argv[2])
    if how == "launched":
        inherited, held = os.pipe()
        environment = {**os.environ, "MELANOMA_EXP_LAUNCHED": str(inherited)}
        command = [sys.executable, orphaned.__file__, how, str(grace)]
        subprocess.Popen(command, pass_fds=[inherited], env=environment)
        os.close(inherited)
    else:
        context = multiprocessing.get_context(how)
        context.Process(target=orphaned.work, args=(how, grace)).start()
    time.sleep(600)
"""
CHILD = """
import os, signal, subprocess, sys, time
from melanoma_exp.system import watchdog
def work(how, grace):
    os.setsid()
    if how == "launched":
        watchdog.exit_with_launcher(grace)
    else:
        watchdog.exit_with_parent(grace)
    signal.signal(signal.SIGTERM, lambda *_: print("asked", flush=True))
    own = subprocess.Popen(["sleep", "600"])
    print(os.getpid(), own.pid, flush=True)
    while True:
        time.sleep(600)
if __name__ == "__main__":
    work(sys.argv[1], float(sys.argv[2]))
"""


@pytest.mark.parametrize("how", ["launched", "forkserver"])
def test_a_child_is_asked_to_end_and_then_killed_with_its_own(tmp_path: Path, how: str) -> None:
    (tmp_path / "parent.py").write_text(PARENT)
    (tmp_path / "orphaned.py").write_text(CHILD)
    command = [sys.executable, str(tmp_path / "parent.py"), how, "1"]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    family = [psutil.Process(int(number)) for number in parent.stdout.readline().split()]
    family += psutil.Process(parent.pid).children(recursive=True)
    parent.kill()
    parent.wait()
    assert parent.stdout.readline() == "asked\n"  # also where it waits in a system call
    _, left = psutil.wait_procs(family, 60)
    assert [process for process in left if process.status() != "zombie"] == []
