"""What a run logs, without a training: WORKDIR URI EPOCHS PAUSE records one as a process.

A file `WORKDIR/cut` that appears makes it wait until the file is gone.
"""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

KEYS = [f"figure/{k}" for k in range(6)]
CODE = """
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class Answer(PythonModel):
    def predict(self, context, model_input: pd.DataFrame, params=None) -> list[dict[str, str]]:
        return [{"notice": "a test"}]


set_model(Answer())
"""


def started(uri: str, resumed: str | None = None) -> Any:
    from melanoma_exp.tracking.server import Server

    return Server(kind="server", uri=uri, experiment="e").start("run", Path(), resumed)


def steps(run: Any, workdir: Path, epochs: int = 5, first: int = 1) -> Iterator[Callable[[], None]]:
    """Gives everything a run says, call by call, in the order of a real one."""
    workdir.mkdir(parents=True, exist_ok=True)
    (workdir / "experiment.json").write_text('{"a": 1}')
    (workdir / "model.py").write_text(CODE)
    (workdir / "weights").write_bytes(bytes(range(256)) * 999)
    yield lambda: run.set_tags({"folder": "here", "digest": "first"})
    yield lambda: run.log_file(workdir / "experiment.json")
    yield lambda: run.log_params({f"key{k}": k for k in range(150)})
    yield lambda: run.log_metrics({"images": 7, "not_a_number": float("nan")})
    yield lambda: run.log_dataset("drawn", "abc", "generated", {"images": 7})
    for epoch in range(first, epochs + 1):
        yield lambda epoch=epoch: run.log_metrics({k: epoch / 3 for k in KEYS}, epoch)
    yield lambda: run.set_tags({"digest": "last"})
    yield lambda: run.log_file(workdir / "weights", "figures")
    yield lambda: run.log_metrics({"final/loss": 0.5, "final/unbounded": float("inf")})
    yield lambda: run.log_model(workdir / "model.py", {"weights": workdir / "weights"}, {})
    yield lambda: run.end("FINISHED")


def lost_for_good(line: Any, workdir: Path, mode: str, at: int) -> str:
    """Leaves a run that ended without its server; returns its id."""
    run = started(line.uri)
    for k, step in enumerate(steps(run, workdir)):
        if k == at:
            line.set(mode)
        step()
    return run.id


def main(workdir: Path, uri: str, epochs: int, pause: float) -> None:
    from melanoma_exp.tracking import upload

    upload.FIRST_WAIT = 0.2
    run = started(uri)
    print(run.id, flush=True)
    for k, step in enumerate(steps(run, workdir, epochs)):
        step()
        print(k, flush=True)
        time.sleep(pause)
        while (workdir / "cut").exists():
            time.sleep(0.05)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
