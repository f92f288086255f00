"""The documentation knows every config key and command, and builds without a warning."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gallery
import pytest
import reference
import yaml

from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.config import Experiment
from melanoma_exp.system.installation import conf_folder

ROOT = Path(__file__).resolve().parents[2]
GROUPS = reference.group_names()


def keys(content: dict[str, Any], prefix: str) -> Iterator[str]:
    for key, value in content.items():
        if isinstance(value, dict) and key in ("cache", "plateau", "early_stopping", "checkpoint"):
            yield from keys(value, f"{prefix}{key}.")
        yield f"{prefix}{key}"


@pytest.mark.parametrize("group", GROUPS)
def test_every_option_and_key_of_a_group_is_in_its_page(group: str) -> None:
    page = reference.config_page(group)
    options = sorted((conf_folder() / group).glob("*.yaml"))
    assert options
    for path in options:
        content = yaml.safe_load(path.read_text())
        content = content.get(group, content) if isinstance(content, dict) else {}
        assert f"| `{group}={path.stem}` |" in page
        for key in keys(content, f"{group.replace('/', '.')}."):
            if not key.endswith(("._target_", ".defaults")):
                assert f"| `{key}` |" in page, f"{path}: {key}"


def test_every_group_has_a_page_and_every_other_key_is_in_that_of_the_job() -> None:
    page = reference.job_page()
    content = yaml.safe_load((conf_folder() / "config.yaml").read_text())
    for name in Experiment.model_fields:
        assert name in GROUPS or f"| `{name}` |" in page, name
    own = {k: v for k, v in content.items() if k not in ("defaults", "hydra")}
    assert all(f"| `{key}` |" in page for key in keys(own, ""))
    for path in (conf_folder() / "experiment").rglob("*.yaml"):
        name = path.relative_to(conf_folder() / "experiment").with_suffix("")
        assert f"`experiment={name}`" in page


def test_a_key_has_its_range_its_meaning_and_its_value_in_each_option() -> None:
    section = reference.config_page("model").split("\n## `cnn`\n")[1].split("\n## ")[0]
    lines = section.splitlines()
    rows = {line.split("`")[1]: line for line in lines if line.startswith("| `model.")}
    assert "≥ 0, ≤ 0.99" in rows["model.dropout"] and "After each pool" in rows["model.dropout"]
    assert "m1: `0.0`<br>m2: `0.2`" in rows["model.dropout"]
    assert "or null" in rows["model.head_units"]


def test_every_command_is_described_with_its_options() -> None:
    page = reference.commands_page()
    for name in COMMANDS:
        section = page.split(f"\n## `{name}`\n")[1].split("\n## ")[0]
        assert f"usage: melanoma-exp {name}" in section and "example: " in section
    assert "--workers N" in page and "--html FILE" in page


def test_every_experiment_stands_in_the_gallery_with_question_figure_and_verdict() -> None:
    page = gallery.page(ROOT / "experiments")
    readmes = sorted((ROOT / "experiments").glob("*/README.md"))
    sections = page.split("\n## ")[1:]
    assert len(sections) == len(readmes) > 4
    for readme, section in zip(readmes, sections, strict=True):
        assert re.search(r"\*\*Question\.\*\* \w.{20}", section), readme
        assert re.search(r"\*\*Verdict\.\*\* \W*\w.{20}", section), readme
        (figure,) = re.findall(r"!\[.*?\]\((.+?)\)", section)
        assert (ROOT / "experiments" / figure).is_file()


def test_every_decision_has_a_question_and_a_choice() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    index = gallery.decisions(ROOT / "docs" / "decisions")
    for number, path in enumerate(pages, 1):
        text = path.read_text()
        assert path.name.startswith(f"{number:02d}-") and len(text.split()) < 400
        assert "**Question.** " in text and "**Choice.** " in text
        assert f"]({path.name}): " in index


@pytest.mark.slow
def test_the_site_builds_strictly_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 60
    loads = r"<(?:script|img|iframe)[^>]+src=\"?https?:|<link[^>]+stylesheet[^>]+https?:"
    for page in pages:
        assert not re.search(loads, page.read_text(encoding="utf-8")), page
