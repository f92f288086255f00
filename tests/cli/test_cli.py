"""The command line teaches, reports mistakes in one line each, and works from a wheel."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from melanoma_exp import __version__, config
from melanoma_exp.cli import compose, help, main, overrides
from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.sweep import plan
from melanoma_exp.system.installation import conf_folder
from melanoma_exp.tracking.local import create_store

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def melanoma_exp(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "melanoma_exp", *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, **environment},
    )


Called = Callable[..., tuple[int | str | None, str, str]]


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Called:
    """Runs a command line in this process; gives its exit code and what it printed.

    Processes are for what only they show: that all of it starts, and nothing else is printed.
    """

    def call(*arguments: str) -> tuple[int | str | None, str, str]:
        monkeypatch.setattr("sys.argv", ["melanoma-exp", *arguments])
        code: int | str | None = 0
        try:
            main.main()
        except SystemExit as ended:
            code = ended.code or 0
        return code, *capsys.readouterr()

    return call


def test_help_shows_every_group_option_and_command_without_importing_anything_heavy() -> None:
    code = (
        "import sys; sys.argv = ['melanoma-exp', '--help'];"
        "from melanoma_exp.cli import main; main.main();"
        "print('HEAVY', [m for m in ('hydra', 'tensorflow', 'mlflow', 'pydantic_core', 'numpy')"
        " if m in sys.modules and m != 'pydantic_core'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for group in (*compose.groups(conf_folder()), "hydra/launcher"):
        for option, path in help.option_files([conf_folder()], group):
            assert re.search(rf"^[ *]+{option} ", done.stdout, re.M), path
    assert all(re.search(rf"^ +{command} ", done.stdout, re.M) for command in COMMANDS)
    assert "not a medical device" in done.stdout
    assert done.stdout.strip().endswith("HEAVY []")


def test_mistakes_end_with_one_line_each_and_exit_code_2() -> None:
    done = melanoma_exp("model=m9", "trian.epochs=3")
    assert done.returncode == 2 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 2
    assert "Traceback" not in done.stderr and "did you mean" in done.stderr


def test_a_missing_dataset_says_how_to_get_it(tmp_path: Path) -> None:
    done = melanoma_exp("dataset=ham10000", f"hydra.run.dir={tmp_path}")
    assert done.returncode == 2
    assert done.stderr.startswith("dataset.root: ham10000 needs a folder: get HAM10000 from")
    assert len(done.stderr.splitlines()) == 1


def test_an_unknown_command_names_the_known_ones(called: Called) -> None:
    ended = code, _, error = called("adit", "dataset=demo")
    assert code == 2 and "did you mean audit?" in error
    assert called("adit", "--help") == ended


def test_a_rerun_of_an_unknown_run_and_with_other_settings_is_refused(
    called: Called, tmp_path: Path
) -> None:
    code, _, error = called("rerun", "0" * 32, f"tracking.folder={tmp_path}/mlruns")
    assert code == 2 and "there is no store at" in error
    assert not (tmp_path / "mlruns").exists()
    create_store(tmp_path)
    code, _, error = called("rerun", "0" * 32, f"tracking.folder={tmp_path}")
    assert code == 2 and "has no run 000" in error
    assert "Traceback" not in error and len(error.splitlines()) == 1
    assert called("rerun", "0" * 32, "seed=2")[0] == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches_itself_and_reports_an_unknown_option(
    called: Called, command: str
) -> None:
    code, said, _ = called(command, "--help")
    assert code == 0 and f"usage: melanoma-exp {command}" in said
    assert f"example: melanoma-exp {command}" in said
    code, _, error = called(command, "--there-is-no-such-option")
    assert code == 2 and len(error.splitlines()) == 1


def test_jobs_of_a_sweep_are_named_by_what_was_set() -> None:
    words = ["dataset=demo", "dataset.root=a/b", "seed=2", "model.dropout=0.1", "split.fold=1"]
    assert plan.distinct_name("m1-s2", words) == "m1-s2 dropout=0.1"
    assert plan.distinct_name("m1-s2", ["split.path=a/b"]) == "m1-s2 path=a_b"
    assert len(plan.distinct_name("m1-s2", ["train.x=" + "y" * 200])) == 100
    assert plan.distinct_name("m1", ["model.dropout=0.11513602"]) == "m1 dropout=0.115"


def test_tab_completion_knows_groups_and_options() -> None:
    script = Path(sys.executable).with_name("melanoma-exp")
    install = subprocess.run(
        [script, "--shell-completion", "install=bash"], capture_output=True, text=True, timeout=60
    )
    assert "complete" in install.stdout and "melanoma-exp" in install.stdout
    names = ["backbone", "keras_hub", "m1", "m2", "m3", "resnet", "resnet_small"]
    ours = [f"model={name}" for name in names]
    extend = f"extend={ROOT / 'examples' / 'preact_resnet.py'} "
    known = {"": ours, "extend=no_such.py ": ours, extend: sorted([*ours, "model=preact_resnet"])}
    for words, options in known.items():
        line = f"melanoma-exp {words}model="
        query = subprocess.run(
            [script, "-sc", "query=bash"],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "COMP_LINE": line, "COMP_POINT": str(len(line))},
        )
        assert query.stdout.split() == options


def test_the_version_is_ours_and_those_that_decide_figures(called: Called) -> None:
    code, out, err = called("--version")
    assert (code, err) == (0, "") and out.startswith(f"melanoma_exp {__version__} (Python 3.")
    assert "tensorflow 2." in out and "keras 3." in out


def readme_commands() -> list[str]:
    blocks = re.findall(r"^```\n(.*?)^```", README, re.M | re.S)
    return [line for block in blocks for line in block.splitlines() if "melanoma" in line]


@pytest.mark.parametrize("command", readme_commands())
def test_every_command_of_the_readme_composes(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = shlex.split(command.split("&&")[-1])
    if words[0] == "srun" or words[0].startswith("TF_CONFIG="):
        words = words[1:]
    assert Path(words[0]).name in ("melanoma-exp", "python", "mlflow")
    if Path(words[0]).name == "mlflow":
        tracking = config.parse(compose.compose(conf_folder(), [])).tracking
        assert words[-1] == tracking.describe()
        return
    arguments = words[1:] if "melanoma-exp" in words[0] else words[3:]
    if arguments and "=" not in arguments[0] and not arguments[0].startswith("-"):
        command = arguments.pop(0)
        with pytest.raises(SystemExit):
            COMMANDS[command](["--help"])
        known = capsys.readouterr().out
        assert all(word in known for word in arguments if word.startswith("--"))
        # Paths, ids and options are its own.
        before = ["", *arguments]
        arguments = [
            word
            for option, word in zip(before, arguments, strict=False)
            if "=" in word and option != "--classes"
        ]
    arguments = [a for a in arguments if a != "-m" and not a.startswith("hydra.")]
    arguments = overrides.expand_globs(conf_folder(), arguments)
    sweep = [a.replace("DIR", "data") for a in arguments]
    if "pytest" in sweep:
        return
    first = [re.sub(r"=range\(\d+\)$", "=0", a).split(",")[0] for a in sweep]
    last = [re.sub(r"=.*,", "=", re.sub(r"=range\(\d+\)$", "=0", a)) for a in sweep]
    for words in [first, last] if first != last else [first]:
        config.parse(compose.compose(conf_folder(), words))


def test_the_readme_names_every_option() -> None:
    table = [line for line in README.splitlines() if line.startswith("| `")]
    for folder in conf_folder().iterdir():
        if folder.is_dir():
            name = "hydra/launcher" if folder.name == "hydra" else folder.name
            row = next(line for line in table if line.startswith(f"| `{name}`"))
            options = (conf_folder() / name).glob("*.yaml")
            assert all(path.stem in row for path in options), name


def test_a_built_wheel_finds_its_conf_without_the_checkout(tmp_path: Path) -> None:
    def python(*arguments: str, **options: object) -> str:
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, check=True, cwd=tmp_path, **options
        ).stdout  # type: ignore[call-overload]

    python("-m", "build", "--wheel", "--no-isolation", "-o", str(tmp_path), str(ROOT))
    (wheel,) = tmp_path.glob("*.whl")
    target = tmp_path / "installed"
    python("-m", "pip", "install", "-q", "--no-deps", "--target", str(target), str(wheel))
    environment = {**os.environ, "PYTHONPATH": str(target)}
    location = python("-c", "import melanoma_exp; print(melanoma_exp.__file__)", env=environment)
    assert str(target) in location
    printed = python("-m", "melanoma_exp", "model=m3", "--cfg", "job", env=environment)
    assert "name: m3" in printed
    assert "augmentor" in python("-m", "melanoma_exp", "--help", env=environment)
    checkout = Path(main.__file__).parents[1]
    pages = [p for p in checkout.rglob("*") if p.suffix in (".j2", ".css", ".js")]
    assert len(pages) == 10
    assert all((target / "melanoma_exp" / p.relative_to(checkout)).is_file() for p in pages)


def test_the_command_line_ends_with_code_2_on_wrong_usage(called: Called) -> None:
    code, _, error = called("predict", "id")
    assert code == 2 and len(error.splitlines()) == 1
