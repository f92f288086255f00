"""Pages of the reference, made from the specs, the YAMLs of `conf/` and the argument parsers."""

import contextlib
import inspect
import io
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter

from melanoma_exp.cli import help as help_page
from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.config import Experiment
from melanoma_exp.spec import Spec
from melanoma_exp.sweep.launchers import AnyLauncher
from melanoma_exp.sweep.search.config import Optuna
from melanoma_exp.system.installation import conf_folder

Schema = Mapping[str, Any]
HYDRA = {"hydra/launcher": AnyLauncher, "hydra/sweeper": Optuna}
COMPARISONS = (
    ("minimum", "≥"),
    ("exclusiveMinimum", ">"),
    ("maximum", "≤"),
    ("exclusiveMaximum", "<"),
)


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
        f"| `{group}={name}` | {_cell(help_page.summary(path))} |" for name, path in options.items()
    ]
    prefix = group.replace("/", ".")
    for kind, alternative in _alternatives(schema, definitions).items():
        of_kind = {
            name: values
            for name, path in options.items()
            if (values := _values(path, group)).get("kind", kind) == kind
        }
        lines += ["", f"## `{kind}`" if kind else "## Keys", ""]
        lines += [_described(alternative), ""]
        comments = {k: v for name in of_kind for k, v in _comments(options[name], group).items()}
        lines += _table(alternative, definitions, prefix, of_kind, comments)
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
    lines += _table({"properties": own}, schema["$defs"], "", values, _comments(path, ""))
    lines += ["", "## Recipes", ""]
    lines += ["`experiment=NAME` composes options and values of the groups above.", ""]
    lines += ["| recipe | what it is |", "|---|---|"]
    recipes = conf_folder() / "experiment"
    for recipe in sorted(recipes.rglob("*.yaml")):
        name = recipe.relative_to(recipes).with_suffix("")
        lines.append(f"| `experiment={name}` | {_cell(help_page.summary(recipe))} |")
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
    whole = Experiment.model_json_schema()
    return {**whole["properties"][group], "$defs": whole["$defs"]}


def _alternatives(schema: Schema, definitions: Schema) -> dict[str, Schema]:
    """Returns the specs of a union by kind; a single spec without kinds has the name ''."""
    if "discriminator" in schema:
        mapping = schema["discriminator"]["mapping"]
        return {kind: _resolve({"$ref": ref}, definitions) for kind, ref in mapping.items()}
    found = _resolve(schema, definitions)
    return {found["properties"].get("kind", {}).get("const", ""): found}


def _resolve(schema: Schema, definitions: Schema) -> Schema:
    return definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def _table(
    spec: Schema,
    definitions: Schema,
    prefix: str,
    values: Mapping[str, Any],
    comments: Mapping[str, str],
) -> list[str]:
    """Returns a table of a spec's keys, and below it one for each kind of step that it lists."""
    lines = ["| key | value | meaning | in the YAMLs |", "|---|---|---|---|"]
    below: list[str] = []
    for key, schema, meaning in _keys(spec, definitions, ""):
        shown = f"{prefix}.{key}".strip(".")
        meaning = meaning or comments.get(key, "")
        given = {name: _get(content, key) for name, content in values.items()}
        cells = (f"`{shown}`", _type(schema, definitions), meaning, _given(given))
        lines.append("| " + " | ".join(map(_cell, cells)) + " |")
        items = schema.get("items", {})
        if "discriminator" in items:
            for kind, step in _alternatives(items, definitions).items():
                below += ["", f"### `{shown}`: `{kind}`", "", _described(step), ""]
                below += _table(step, definitions, f"{shown}[]", {}, {})
    return lines + below


def _keys(spec: Schema, definitions: Schema, prefix: str) -> Iterator[tuple[str, Schema, str]]:
    """Yields dotted key, schema and meaning of every key of a spec, those of nested specs too."""
    meanings = _attributes(spec.get("title", ""))
    for name, schema in spec["properties"].items():
        inner = _resolve(_not_null(schema), definitions)
        key = f"{prefix}{name}"
        if inner.get("properties"):
            yield key, schema, meanings.get(name) or _first_paragraph(inner)
            yield from _keys(inner, definitions, f"{key}.")
        else:
            yield key, schema, meanings.get(name, "")


def _not_null(schema: Schema) -> Schema:
    """Returns the one alternative beside null, or the schema itself."""
    others = [s for s in schema.get("anyOf", []) if s.get("type") != "null"]
    return others[0] if len(others) == 1 else schema


def _classes(base: type = Spec) -> Iterator[type]:
    for inner in base.__subclasses__():
        yield inner
        yield from _classes(inner)


def _attributes(name: str) -> dict[str, str]:
    """Returns what a spec's docstring, or one that it inherits from, says of each attribute."""
    found: dict[str, str] = {}
    for owner in next((c for c in _classes() if c.__name__ == name), object).__mro__:
        text = inspect.cleandoc(owner.__dict__.get("__doc__") or "")
        section = re.search(r"^Attributes:\n((?:[ \t]+.*\n?|\n)*)", text, re.M)
        if section:
            entries = re.findall(r"^    (\w+): (.*(?:\n {5,}.*)*)", section[1], re.M)
            for attribute, meaning in entries:
                found.setdefault(attribute, " ".join(meaning.split()))
    return found


def _described(spec: Schema) -> str:
    """Returns a spec's docstring without its list of attributes."""
    return re.split(r"^(?:Attributes|Raises):", spec.get("description", ""), flags=re.M)[0].strip()


def _first_paragraph(spec: Schema) -> str:
    return " ".join(_described(spec).split("\n\n")[0].split())


def _type(schema: Schema, definitions: Schema) -> str:
    """Returns a JSON schema in words: `integer ≥ 1 or null`."""
    schema = _resolve(schema, definitions)
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(s, definitions) for s in schema["anyOf"]))
    if "const" in schema:
        return f"`{yaml.safe_dump(schema['const']).splitlines()[0]}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "discriminator" in schema:
        return "one of " + ", ".join(f"`{kind}`" for kind in schema["discriminator"]["mapping"])
    kind = schema.get("type", "any")
    if schema.get("properties"):
        return "keys below"
    if kind == "array":
        if "prefixItems" in schema:
            inner = [_type(s, definitions) for s in schema["prefixItems"]]
            return (
                f"{len(inner)} of {inner[0]}" if len(set(inner)) == 1 else f"[{', '.join(inner)}]"
            )
        least = schema.get("minItems")
        return f"list{f' (≥ {least})' if least else ''} of {_type(schema['items'], definitions)}"
    if kind == "object":
        return "mapping"
    if "pattern" in schema:
        return f"{kind} like `{schema['pattern']}`"
    limits = [f"{sign} {schema[name]:.15g}" for name, sign in COMPARISONS if name in schema]
    return " ".join([schema.get("format", kind), ", ".join(limits)]).strip()


def _values(path: Path, group: str) -> dict[str, Any]:
    content = yaml.safe_load(path.read_text())
    return content[group] if "@package _global_" in path.read_text()[:40] else content


def _get(content: Any, key: str) -> Any:
    for step in key.split("."):
        if not isinstance(content, dict) or step not in content:
            return ...
        content = content[step]
    return content


def _given(values: Mapping[str, Any]) -> str:
    """Returns the value of all options, or that of each where they differ."""
    shown = {name: _shown(value) for name, value in values.items() if value is not ...}
    if len(set(shown.values())) <= 1:
        return next(iter(shown.values()), "")
    return "<br>".join(f"{name}: {value}" for name, value in shown.items())


def _shown(value: Any) -> str:
    if isinstance(value, dict) and value:
        return ""  # its keys have rows of their own, or it is too long for a table
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6).splitlines()[0]
    return f"`{text}`" if len(text) <= 60 else "see the YAML"


def _comments(path: Path, group: str) -> dict[str, str]:
    """Returns the comment that stands behind each key of a YAML, by dotted key."""
    lines = path.read_text().splitlines()
    found: dict[str, str] = {}

    def walk(node: Any, prefix: str, above: int) -> None:
        if not isinstance(node, yaml.MappingNode):
            return
        for key, value in node.value:
            line = key.start_mark.line
            name = f"{prefix}{key.value}"
            _, mark, comment = lines[line].partition(" # ")
            if mark and line != above:
                found[name] = comment.strip()
            walk(value, f"{name}.", line)

    walk(yaml.compose(path.read_text()), "", -1)
    return {key.removeprefix(f"{group}."): comment for key, comment in found.items()}


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
