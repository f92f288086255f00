"""Measures what a person waits for, from Enter to the answer.

    python benchmarks/first_answer.py                            # of this checkout
    python benchmarks/first_answer.py --against ../before        # and of another one, in turns
    python benchmarks/first_answer.py --only predict typo --repeats 3

Every figure is of a fresh process on the demo lesions, as a user starts it: seconds from its start
to what is waited for, and the CPU seconds that it and its children took until then, on a machine
with other work the ones to trust. Prints the median of the repeats, as Markdown.
"""

import argparse
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
COMMAND = [sys.executable, "-u", "-m", "melanoma_exp"]
EPOCHS = 2
PICTURES, SIZE = 1000, (600, 450)
Figures = dict[str, tuple[float, float]]  # by what is waited for seconds and CPU seconds


class Clock:
    """Wall and CPU seconds of a process with its children since it was started."""

    def __init__(self, process: subprocess.Popen) -> None:
        self._started, self._process = time.perf_counter(), psutil.Process(process.pid)
        self._last = 0.0

    def read(self) -> tuple[float, float]:
        """Returns the seconds; once the process has ended, its last CPU seconds known."""
        wall = time.perf_counter() - self._started
        with suppress(psutil.Error):
            own = [self._process, *self._process.children(recursive=True)]
            # A child that has ended counts with its parent.
            self._last = sum(sum(one.cpu_times()[:4]) for one in own)
        return wall, self._last


class Project:
    """A folder in which commands of one checkout are run."""

    def __init__(self, checkout: Path, folder: Path) -> None:
        self.folder = folder
        self.env = {**os.environ, "PYTHONPATH": str(checkout), "XDG_CACHE_HOME": str(folder / "c")}
        # The server is started by its name.
        self.env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.env |= {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlruns/mlflow.db"}
        folder.mkdir()
        print(f"preparing {checkout}", file=sys.stderr)
        said = self._output(f"train.epochs={EPOCHS}")
        self.run_id = said.split("; run ")[1].split()[0]

    def _output(self, *words: str) -> str:
        done = subprocess.run(
            [*COMMAND, *words], cwd=self.folder, env=self.env, capture_output=True, text=True
        )
        return done.stdout

    @contextmanager
    def started(self, command: Sequence[str]) -> Iterator[tuple[subprocess.Popen, Clock]]:
        """Starts a command, and ends it with its children."""
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        try:
            yield process, Clock(process)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            process.wait()

    def whole(self, *words: str) -> tuple[float, float]:
        """Returns wall and CPU seconds of a whole command."""
        with self.started([*COMMAND, *words]) as (process, clock):
            wall, _ = clock.read()
            assert process.stdout is not None
            process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            return clock.read()[0] - wall, usage.ru_utime + usage.ru_stime


def run(project: Project) -> Figures:
    """Times a run of the demo from its own lines."""
    found: dict[str, tuple[float, float]] = {}
    with project.started([*COMMAND, f"train.epochs={EPOCHS}"]) as (process, clock):
        assert process.stdout is not None
        for line in process.stdout:
            for name, begins in (
                ("plan", "tracked "),
                ("first", "epoch 1/"),
                ("last", f"epoch {EPOCHS}/"),
                ("table", "│ accuracy "),
            ):
                if line.startswith(begins):
                    found[name] = clock.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        found["done"] = clock.read()[0], usage.ru_utime + usage.ru_stime
    last = found["last"]

    def after(name: str) -> tuple[float, float]:
        return found[name][0] - last[0], found[name][1] - last[1]

    return {
        "plan on screen": found["plan"],
        "first epoch's line": found["first"],
        "table after the last epoch": after("table"),
        "all done after the last epoch": after("done"),
    }


def dry_run(project: Project) -> Figures:
    """Times a dry run."""
    return {"dry_run": project.whole("dry_run=true")}


def typo(project: Project) -> Figures:
    """Times a run id that is wrong by its last letter."""
    words = "predict", project.run_id[:-1] + "x", str(project.folder.parent / "pictures")
    return {"a typo in a run id": project.whole(*words)}


def predict(project: Project) -> Figures:
    """Times predictions from a cold start."""
    pictures = project.folder.parent / "pictures"
    one = min(pictures.iterdir())
    return {
        "predict, one picture": project.whole("predict", project.run_id, str(one)),
        f"predict, {PICTURES:,} pictures": project.whole("predict", project.run_id, str(pictures)),
    }


def serve(project: Project) -> Figures:
    """Times a server until it answers a ping, as docs/serving.md starts it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m"]
    command += [f"runs:/{project.run_id}/model", "--env-manager", "local", "--port", str(port)]
    with project.started(command) as (process, clock):
        while process.poll() is None:
            with suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5).close()
                return {"serve ready": clock.read()}
            time.sleep(0.02)
    raise RuntimeError("the server did not start")


MEASURES: dict[str, Callable[[Project], Figures]] = {
    "run": run,
    "dry_run": dry_run,
    "typo": typo,
    "predict": predict,
    "serve": serve,
}


def draw(folder: Path) -> None:
    """Writes pictures of lesions: parts of the drawing in docs/, enlarged."""
    folder.mkdir()
    sheet, random = Image.open(ROOT / "docs/demo_lesions.jpg"), np.random.default_rng(1)
    side = min(sheet.size) // 3
    for k in range(PICTURES):
        x, y = (int(random.integers(0, most - side)) for most in sheet.size)
        part = sheet.crop((x, y, x + side, y + side)).resize(SIZE)
        part.save(folder / f"{k:04}.jpg", quality=85)


def main() -> None:
    """Prints a row for each figure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--against", type=Path, help="another checkout, measured in turns")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=MEASURES, default=list(MEASURES))
    given = parser.parse_args()
    checkouts = {"this": ROOT} | ({"other": given.against.resolve()} if given.against else {})
    seen: dict[str, dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    with tempfile.TemporaryDirectory() as place:
        draw(Path(place) / "pictures")
        projects = {name: Project(path, Path(place) / name) for name, path in checkouts.items()}
        with suppress(KeyboardInterrupt):  # and then the medians so far
            for turn in range(given.repeats):
                for name, project in projects.items():
                    for measure in given.only:
                        print(f"{turn + 1}/{given.repeats} {name} {measure}", file=sys.stderr)
                        for what, figure in MEASURES[measure](project).items():
                            seen[what][name].append(figure)
    heads = "".join(f" {name}: s | CPU-s |" for name in checkouts)
    print(f"| from Enter to |{heads}\n|---|{'---|' * (2 * len(checkouts))}")
    for what, figures in seen.items():
        medians = (
            statistics.median(values)
            for name in checkouts
            for values in zip(*figures[name], strict=True)
        )
        print(f"| {what} | {' | '.join(f'{value:.2f}' for value in medians)} |")


if __name__ == "__main__":
    main()
