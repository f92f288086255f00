"""A run id that is not there is refused at once, by every command that takes one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from melanoma_exp.tracking.local import create_store
from melanoma_exp.tracking.store import DEFAULT_FOLDER

HEAVY = ("tensorflow", "mlflow", "hydra", "numpy")
# Each command in a process of its own would cost the start of seven.
ALL = """
import sys

sys.modules.update(dict.fromkeys(sys.argv[1].split(","), None))
from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.spec import UserError

for line in sys.stdin:
    name, *words = line.split()
    try:
        COMMANDS[name](words)
    except UserError as error:
        print(*error.lines, sep="\\n")
"""
COMMANDS = (
    "predict nosuch a.jpg",
    "export nosuch --format onnx",
    "evaluate nosuch dataset=demo",
    "rerun nosuch",
    "resume nosuch",
    "compare nosuch nosuch",
    "ensemble nosuch nosuch",
)


@pytest.mark.parametrize("folder", [DEFAULT_FOLDER, Path("other/runs")])
def test_a_mistyped_id_is_named_before_anything_heavy_is_imported(
    tmp_path: Path, folder: Path
) -> None:
    create_store(tmp_path / folder)
    more = "" if folder == DEFAULT_FOLDER else f" tracking.folder={folder}"
    done = subprocess.run(
        [sys.executable, "-c", ALL, ",".join(HEAVY)],
        input="".join(f"{command}{more}\n" for command in COMMANDS),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert not done.stderr
    store = f"sqlite:///{folder}/mlflow.db"
    line = f"{store} has no run nosuch; to see its runs: mlflow ui --backend-store-uri {store}"
    assert done.stdout.splitlines() == [line] * len(COMMANDS)
