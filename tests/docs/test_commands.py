"""Every command line that the documentation shows can be composed."""

import re
import shlex
from pathlib import Path

import pytest
from extension import forgotten

from melanoma_exp import config
from melanoma_exp.cli import compose, overrides
from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.system.installation import conf_folder

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))


def command_lines(extending: bool) -> list[str]:
    """The lines of code blocks that begin with our command, continued lines joined."""
    found = []
    for page in PAGES:
        for block in re.findall(r"^```[a-z]*\n(.*?)^```", page.read_text(), re.M | re.S):
            lines = block.replace("\\\n", " ").splitlines()
            found += [line for line in lines if line.startswith("melanoma-exp")]
    return [line for line in dict.fromkeys(found) if ("extend=" in line) is extending]


@pytest.mark.parametrize("line", command_lines(extending=False))
def test_a_command_composes(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, *words = shlex.split(line, comments=True)
    if words and "=" not in words[0] and not words[0].startswith("-"):
        name = words.pop(0)
        with pytest.raises(SystemExit):
            COMMANDS[name](["--help"])
        known = capsys.readouterr().out
        assert all(word in known for word in words if word.startswith("--"))
    words = [w for before, w in zip(["", *words], words, strict=False) if before != "--classes"]
    words = [w.replace("DIR", "data") for w in words if "=" in w and not w.startswith("hydra")]
    fixed, space = overrides.read_space(overrides.expand_globs(conf_folder(), words))
    ends = [value.get("values", [value.get("low"), value.get("high")]) for value in space.values()]
    for end in (0, -1) if space else (0,):
        drawn = [f"{key}={values[end]}" for key, values in zip(space, ends, strict=True)]
        config.parse(compose.compose(conf_folder(), [*fixed, *drawn]))


@pytest.mark.parametrize("line", command_lines(extending=True))
def test_a_command_with_an_extension_composes(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, *words = shlex.split(line, comments=True)
    own = [w for w in words if "=" in w and "DIR" not in w and "my_lab" not in w]
    if not any(word.startswith("extend=") for word in own):
        return  # a name that stands for a file of the reader's
    monkeypatch.chdir(ROOT)
    with forgotten():
        compose.compose(conf_folder(), [word.split(",")[0] for word in own])
