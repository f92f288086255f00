"""Markdown tables of a spec's keys, from its JSON schema, docstrings and the YAMLs' comments."""

import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from melanoma_exp.spec import Spec
from melanoma_exp.system.extensions.group import kinds_of

Schema = Mapping[str, Any]
LONG = "see the YAML"  # of a value that a table has no room for
COMPARISONS = (
    ("minimum", "≥"),
    ("exclusiveMinimum", ">"),
    ("maximum", "≤"),
    ("exclusiveMaximum", "<"),
)


def alternatives(schema: Schema, definitions: Schema) -> dict[str, Schema]:
    """Returns the specs of a union by kind; a single spec without kinds has the name ''."""
    if "discriminator" in schema:
        mapping = schema["discriminator"]["mapping"]
        return {kind: _resolve({"$ref": ref}, definitions) for kind, ref in mapping.items()}
    found = _resolve(schema, definitions)
    return {found["properties"].get("kind", {}).get("const", ""): found}


def _resolve(schema: Schema, definitions: Schema) -> Schema:
    return definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def keys_table(
    spec: Schema,
    definitions: Schema,
    prefix: str,
    values: Mapping[str, Any],
    comments: Mapping[str, str],
) -> tuple[list[str], dict[str, list[str]]]:
    """Returns a table of a spec's keys, and by its title one for each kind of step it may list."""
    lines = ["| key | value | meaning | in the YAMLs |", "|---|---|---|---|"]
    steps: dict[str, list[str]] = {}
    for key, schema, meaning in _keys(spec, definitions, ""):
        shown = f"{prefix}.{key}".strip(".")
        meaning = meaning or comments.get(key, "")
        given = {name: _get(content, key) for name, content in values.items()}
        cells = (f"`{shown}`", _type(schema, definitions), meaning, _given(given))
        lines.append("| " + " | ".join(map(cell, cells)) + " |")
        items = schema.get("items", {})
        if "discriminator" in items:
            for kind, step in alternatives(items, definitions).items():
                table, inner = keys_table(step, definitions, f"{shown}[]", {}, {})
                steps[f"`{shown}`: `{kind}`"] = [describe(step), "", *table]
                steps |= inner
    return lines, steps


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


def _lineage(name: str) -> tuple[type, ...]:
    return next((c for c in _classes() if c.__name__ == name), object).__mro__


def _attributes(name: str) -> dict[str, str]:
    """Returns what a spec's docstring, or one that it inherits from, says of each attribute."""
    found: dict[str, str] = {}
    for owner in _lineage(name):
        text = inspect.cleandoc(owner.__dict__.get("__doc__") or "")
        section = re.search(r"^Attributes:\n((?:[ \t]+.*\n?|\n)*)", text, re.M)
        if section:
            entries = re.findall(r"^    (\w+): (.*(?:\n {5,}.*)*)", section[1], re.M)
            for attribute, meaning in entries:
                found.setdefault(attribute, " ".join(meaning.split()))
    return found


def describe(spec: Schema) -> str:
    """Returns a spec's docstring without its list of attributes, and that of an option it is."""
    specs = [cls for cls in _lineage(spec.get("title", "")) if issubclass(cls, Spec)]
    kinds = [cls for cls in specs if kinds_of(cls)]
    texts = [cls.__dict__.get("__doc__") for cls in kinds] or [spec.get("description")]
    cut = [
        re.split(r"^(?:Attributes|Raises):", inspect.cleandoc(t or ""), flags=re.M) for t in texts
    ]
    return "\n\n".join(text[0].strip() for text in cut)


def _first_paragraph(spec: Schema) -> str:
    return " ".join(describe(spec).split("\n\n")[0].split())


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
        if _resolve(schema["items"], definitions).get("properties"):
            return "list"
        least = schema.get("minItems")
        return f"list{f' (≥ {least})' if least else ''} of {_type(schema['items'], definitions)}"
    if kind == "object":
        return "mapping"
    if "pattern" in schema:
        return f"{kind} like `{schema['pattern']}`"
    limits = [f"{sign} {schema[name]:.15g}" for name, sign in COMPARISONS if name in schema]
    return " ".join([schema.get("format", kind), ", ".join(limits)]).strip()


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
    return f"`{text}`" if len(text) <= 60 else LONG


def yaml_comments(path: Path, group: str) -> dict[str, str]:
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


def cell(text: str) -> str:
    """Returns text for a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")
