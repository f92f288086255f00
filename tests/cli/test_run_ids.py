"""A run id that is not there is refused at once, by every command that takes one."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from melanoma_exp.cli import commands as known
from melanoma_exp.cli import completion
from melanoma_exp.tracking.local import create_store
from melanoma_exp.tracking.store import DEFAULT_FOLDER

NOW = "INSERT INTO runs (run_uuid, lifecycle_stage, start_time) VALUES (?, ?, ?)"
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
    "report nosuch",
    "runs delete nosuch",
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
    line = f"{store} has no run nosuch; to see its runs: melanoma-exp runs{more}"
    assert done.stdout.splitlines() == [line] * len(COMMANDS)


def test_tab_completes_commands_and_the_newest_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    create_store(DEFAULT_FOLDER)
    with closing(sqlite3.connect(DEFAULT_FOLDER / "mlflow.db")) as database, database:
        database.executemany(NOW, [("a1", "active", 1), ("a2", "active", 2), ("b1", "deleted", 3)])
    for line, words, behind in (
        ("melanoma-exp res", ["resume", "resume-sweep"], False),
        ("melanoma-exp resume ", ["a2", "a1"], True),
        ("melanoma-exp compare a2 a", ["a2", "a1"], True),
        ("melanoma-exp export b", [], True),
        ("melanoma-exp audit dataset=", [], True),
        ("melanoma-exp model=m", [], False),
        ("melanoma-exp model=m3 a", [], False),
    ):
        assert completion.suggest(line, known.COMMANDS) == words
        assert completion.is_behind_command(line, known.COMMANDS) == behind
    monkeypatch.chdir(tmp_path.parent)
    assert completion.suggest("melanoma-exp resume ", known.COMMANDS) == []
