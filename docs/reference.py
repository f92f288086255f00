"""Pages of the reference, made from the specs, the YAMLs of `conf/` and the argument parsers."""

import contextlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter
from spec_tables import LONG, alternatives, cell, describe, keys_table, yaml_comments

from melanoma_exp.cli import help as help_page
from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.config import Experiment
from melanoma_exp.sweep.launchers import AnyLauncher
from melanoma_exp.sweep.search.config import Optuna
from melanoma_exp.sweep.search.pruning import AnyRule
from melanoma_exp.system.installation import conf_folder

HYDRA = {
    "hydra/launcher": AnyLauncher,
    "hydra/sweeper": Optuna,
    "hydra/sweeper/pruner": AnyRule,
}


def group_names() -> list[str]:
    """Returns the config groups in the order of `--help`, without the recipes of `experiment`."""
    return [name for name in help_page.GROUPS if name != "experiment"]


def config_page(group: str) -> str:
    """Returns the page of a config group: its options and every key with type, meaning and values.

    Args:
        group: Such as `model` or `hydra/launcher`.
    """
    schema = _schema_of(group)
    definitions = schema.get("$defs", {})
    options = {path.stem: path for path in sorted((conf_folder() / group).glob("*.yaml"))}
    lines = [f"# `{group}`", "", f"{_sentence(help_page.GROUPS[group])}", ""]
    lines += ["| option | what it is |", "|---|---|"]
    lines += [
        f"| `{group}={name}` | {cell(help_page.summary(path))} |" for name, path in options.items()
    ]
    prefix = group.replace("/", ".")
    steps: dict[str, list[str]] = {}
    for kind, alternative in alternatives(schema, definitions).items():
        of_kind = {
            name: values
            for name, path in options.items()
            if (values := _values(path, group)).get("kind", kind) == kind
        }
        lines += ["", f"## `{kind}`" if kind else "## Keys", ""]
        lines += [describe(alternative), ""]
        comments = {
            k: v for name in of_kind for k, v in yaml_comments(options[name], group).items()
        }
        table, steps_of_kind = keys_table(alternative, definitions, prefix, of_kind, comments)
        lines += table
        steps |= steps_of_kind
        for name in of_kind if any(LONG in line for line in table) else ():
            text = options[name].read_text().rstrip()
            lines += ["", f'```yaml title="conf/{group}/{name}.yaml"', text, "```"]
    for title, table in steps.items():
        lines += ["", f"## {title}", "", *table]
    return "\n".join(lines) + "\n"


def job_page() -> str:
    """Returns the page of the keys that belong to no group, such as `seed` and `cache`."""
    schema = Experiment.model_json_schema()
    path = conf_folder() / "config.yaml"
    values = {"config": yaml.safe_load(path.read_text())}
    own = {
        key: inner
        for key, inner in schema["properties"].items()
        if key not in help_page.GROUPS and key in values["config"]
    }
    lines = ["# The job", "", "Keys of `conf/config.yaml` that belong to no group.", ""]
    lines += keys_table({"properties": own}, schema["$defs"], "", values, yaml_comments(path, ""))[
        0
    ]
    lines += ["", "## Recipes", ""]
    lines += ["`experiment=NAME` composes options and values of the groups above.", ""]
    lines += ["| recipe | what it is |", "|---|---|"]
    recipes = conf_folder() / "experiment"
    for recipe in sorted(recipes.rglob("*.yaml")):
        name = recipe.relative_to(recipes).with_suffix("")
        lines.append(f"| `experiment={name}` | {cell(help_page.summary(recipe))} |")
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    """Returns the page of every command, as its parser describes itself."""
    lines = ["# Commands", ""]
    lines += ["Without a command, `melanoma-exp` trains: every word is then a config override.", ""]
    for name, command in COMMANDS.items():
        lines += [f"## `{name}`", "", "```text", _help_of(command), "```", ""]
    return "\n".join(lines)


def _help_of(command: Callable[[list[str]], None]) -> str:
    printed = io.StringIO()
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "96"  # argparse wraps at the width of the terminal
    try:
        with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            command(["--help"])
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
    return printed.getvalue().rstrip()


def _schema_of(group: str) -> dict[str, Any]:
    if group in HYDRA:
        return TypeAdapter(HYDRA[group]).json_schema()
    schema = whole = Experiment.model_json_schema()
    for name in group.split("/"):
        schema = whole["$defs"].get(schema.get("$ref", "").rpartition("/")[2], schema)
        schema = schema["properties"][name]
    return {**schema, "$defs": whole["$defs"]}


def _values(path: Path, group: str) -> dict[str, Any]:
    content = yaml.safe_load(path.read_text())
    return content[group] if "@package _global_" in path.read_text()[:40] else content


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""
