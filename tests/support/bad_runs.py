"""Files of runs, sweeps and extensions that are none, were changed or are too large."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bad_inputs import Case, write

from melanoma_exp import config
from melanoma_exp.cli import compose
from melanoma_exp.evaluation.metrics.decision import Decision
from melanoma_exp.prediction.manifest import Manifest
from melanoma_exp.sweep.folder import SWEEP, open_sweep
from melanoma_exp.system import files
from melanoma_exp.system.extensions import loading
from melanoma_exp.system.installation import conf_folder


def nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


def whole() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(config.parse(compose.compose(conf_folder(), [])).to_json())
    return content


def experiment(content: str | bytes) -> Case:
    def given(place: Path) -> Any:
        config.parse_json(files.read_text(write(place / "experiment.json", content)))

    return given


def changed(**values: Any) -> Case:
    return lambda place: experiment(json.dumps({**whole(), **values}))(place)


EXPERIMENTS: dict[str, Case] = {
    "nothing": experiment(""),
    "a list": experiment("[]"),
    "null": experiment("null"),
    "a text": experiment('"experiment"'),
    "a number of 5,000 digits": experiment("1" * 5000),
    "the first half of it": experiment('{"seed": 1, "name"'),
    "400 objects in each other": experiment(nested(400)),
    "100,000 objects in each other": experiment(nested(100_000)),
    "16 MB": experiment("{" + " " * 2**24 + "}"),
    "zeros": experiment(bytes(100)),
    "Latin-1": experiment('{"name": "Übung"}'.encode("latin-1")),
    "UTF-16": experiment('{"name": "x"}'.encode("utf-16")),
    "half a character": experiment('{"name": "\\ud800"}'),
    "a seed that is not a number": experiment('{"seed": NaN}'),
    "a seed without end": experiment('{"seed": -Infinity}'),
    "no training": experiment('{"train": null}'),
    "of an unknown version": experiment('{"schema_version": 99}'),
    "of no version": experiment('{"schema_version": "x"}'),
    "a network that there is not": changed(model={"kind": "m9"}),
    "a key that there is not": changed(sed=2),
    "a negative seed": changed(seed=-1),
}


def reads(name: str, content: str | bytes, read: Callable[[Path], Any]) -> Case:
    return lambda place: read(write(place / name, content))


def manifest(content: str | bytes) -> Case:
    return reads("model.json", content, Manifest.read)


def decision(**values: Any) -> Case:
    content = {
        "name": "melanoma",
        "positive": ["melanoma"],
        "temperature": 1.0,
        "threshold": 0.5,
        "rule": "sensitivity >= 0.95",
        "unsure": [0.4, 0.6],
        "out_of_distribution": None,
        "validation": {"images": 9, "positives": 3, "sensitivity": 1.0, "specificity": 0.5},
        **values,
    }
    return lambda place: Decision.from_json(json.dumps(content))


def other_weights(place: Path) -> Any:
    described = Manifest(("a", "b"), "0" * 64, None, None, None)
    described.check_weights(write(place / "model.weights.h5", "x"))


def piped(name: str, read: Callable[[Path], Any]) -> Case:
    def given(place: Path) -> Any:
        os.mkfifo(place / name)
        read(place / name)

    return given


MODELS: dict[str, Case] = {
    "model.json: nothing": manifest(""),
    "model.json: a list": manifest("[]"),
    "model.json: no classes": manifest('{"weights_sha256": "x"}'),
    "model.json: deeply nested": manifest(nested(100_000)),
    "model.json: a pipe": piped("model.json", Manifest.read),
    "weights of another run": other_weights,
    "decision.json: nothing": lambda place: Decision.from_json(""),
    "decision.json: a temperature of 0": decision(temperature=0),
    "decision.json: a temperature that is not a number": decision(temperature=float("nan")),
    "decision.json: a threshold of 2": decision(threshold=2, unsure=[0, 2]),
    "decision.json: a threshold outside its band": decision(threshold=0.9),
    "decision.json: a threshold without a band": decision(unsure=None),
    "decision.json: the classes as one text": decision(positive="melanoma"),
}


def sweep(content: str | bytes) -> Case:
    return lambda place: open_sweep(write(place / "sweep" / SWEEP, content).parent)


def piped_sweep(place: Path) -> Any:
    (place / "sweep").mkdir()
    os.mkfifo(place / "sweep" / SWEEP)
    open_sweep(place / "sweep")


SWEEPS: dict[str, Case] = {
    "a folder without one": lambda place: open_sweep(place),
    "nothing": sweep(""),
    "a list": sweep("[]"),
    "an empty object": sweep("{}"),
    "of another version": sweep('{"schema": 99}'),
    "without jobs": sweep(
        '{"schema": 1, "name": "x", "directory": ".", "launcher": {}, "jobs": []}'
    ),
    "a launcher that there is not": sweep(
        '{"schema": 1, "name": "x", "directory": ".", "launcher": {"kind": "cloud"}, "jobs": '
        '[{"number": 0, "overrides": [], "name": "x", "tags": {}, "folder": "0"}]}'
    ),
    "Latin-1": sweep('{"name": "Übung"}'.encode("latin-1")),
    "a pipe": piped_sweep,
}


def extension(content: str | bytes, name: str = "bad_extension.py") -> Case:
    return lambda place: loading.load(write(place / name, content))


def piped_package(place: Path) -> Any:
    write(place / "bad_package" / "__init__.py", "")
    os.mkfifo(place / "bad_package" / "steps.py")
    loading.load(place / "bad_package")


EXTENSIONS: dict[str, Case] = {
    "no file": lambda place: loading.load(place / "gone.py"),
    "a text": extension("x", "notes.txt"),
    "a pipe": piped("bad_pipe.py", loading.load),
    "a package with a pipe": piped_package,
    "a name that Python cannot import": extension("x = 1", "my-lab.py"),
    "the name of another module": extension("x = 1", "numpy.py"),
    "no Python": extension("def", "bad_syntax.py"),
    "one that fails": extension("1 / 0", "bad_import.py"),
    "one that ends the program": extension("raise SystemExit(3)", "bad_exit.py"),
    "one without an option": extension("x = 1", "bad_empty.py"),
    "Latin-1": extension("x = 'Übung'".encode("latin-1"), "bad_latin.py"),
}
