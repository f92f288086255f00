"""The layout holds: who may import whom, what stays light, how large a module may be."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "melanoma_exp"
LAYERS = (
    {
        "__init__", "spec", "samples", "randomness", "installation", "files", "arrays", "cache",
        "diskspace", "ahead", "orphans",
    },
    {
        "dataset", "audit", "split", "balance", "augment", "pages", "pipeline", "children",
        "models", "distribution", "training", "checkpoint", "metrics", "figures", "tracking",
        "report", "provenance", "explain", "novelty",
    },
    {"config"},
    {
        "artifacts", "comparison", "ending", "evaluating", "following", "loopback", "material",
        "model_card", "prediction", "recording", "results", "resuming", "runner", "searching",
        "sweeping",
    },
    {"cli", "composition", "swept", "helptext", "verbs", "__main__"},
)  # fmt: skip
BESIDE = {
    ("pipeline", "augment"), ("children", "augment"), ("children", "pipeline"),
    ("audit", "dataset"), ("audit", "pages"), ("report", "audit"), ("training", "checkpoint"),
    ("distribution", "checkpoint"), ("distribution", "pipeline"), ("distribution", "training"),
}  # fmt: skip
MODULES = sorted(PACKAGE.rglob("*.py"))
OUTSIDE = sorted(
    path
    for folder in ("benchmarks", "experiments", "hydra_plugins", "tests")
    for path in (ROOT / folder).rglob("*.py")
)


def imports(path: Path, also_for_types: bool = True) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    if not also_for_types:
        for node in list(ast.walk(tree)):
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def top(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def layer(name: str) -> int:
    return next(k for k, names in enumerate(LAYERS) if name in names)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_from_lower_layers_only(path: Path) -> None:
    mine = top(path)
    for name in imports(path, also_for_types=False):
        parts = name.split(".")
        if parts[0] != "melanoma_exp" or len(parts) < 2:
            continue
        theirs = parts[1]
        if theirs == mine or (mine, theirs) in BESIDE or theirs == "__version__":
            continue
        allowed = layer(theirs) < layer(mine) or layer(mine) != 1 and layer(theirs) == layer(mine)
        assert allowed, f"{mine} (layer {layer(mine)}) imports {theirs} (layer {layer(theirs)})"


@pytest.mark.parametrize(
    ("library", "allowed"),
    [
        # The served model is run by MLflow itself and imported by nothing else.
        ("mlflow", {"tracking/*.py", "prediction/served_model.py"}),
        ("hydra", {"cli.py", "composition.py", "swept.py"}),
        ("omegaconf", {"cli.py", "composition.py"}),
        ("matplotlib", {"artifacts.py", "figures/*"}),
    ],
)
def test_a_library_is_known_to_its_own_module_alone(library: str, allowed: set[str]) -> None:
    for path in MODULES:
        if any(name.split(".")[0] == library for name in imports(path)):
            place = path.relative_to(PACKAGE)
            assert any(place.match(pattern) for pattern in allowed), f"{place} imports {library}"


def test_models_use_no_backend_but_keras() -> None:
    for path in (PACKAGE / "models").glob("*.py"):
        assert not [n for n in imports(path) if n.split(".")[0] in ("tensorflow", "tf", "jax")]


def test_parsing_a_config_imports_nothing_heavy() -> None:
    heavy = ("tensorflow", "keras", "mlflow", "matplotlib", "sklearn", "cv2", "Augmentor")
    code = (
        "import sys; from pathlib import Path; from melanoma_exp import cli, composition, config;"
        "config.parse(composition.compose(cli.conf_folder(), []));"
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_module_is_named_after_nothing() -> None:
    assert not [p for p in MODULES if p.stem in ("utils", "helpers", "common", "misc")]


@pytest.mark.parametrize("path", [*MODULES, *OUTSIDE], ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_is_small_enough_to_read(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 250


def test_no_code_comes_from_a_model_file() -> None:
    for name in ("saved_model.py", "predict.py", "manifest.py"):
        forbidden = r"import pickle|load_model\(|\beval\(|\bexec\(|deserialize"
        assert not re.search(forbidden, (PACKAGE / "prediction" / name).read_text()), name
