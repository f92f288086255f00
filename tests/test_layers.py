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
ORDER = (  # a package imports from those before it alone
    "__init__",
    "spec",
    "system",
    "demo",
    "augment",
    "data",
    "download",
    "models",
    "training",
    "distribution",
    "evaluation",
    "tracking",
    "config",
    "report",
    "comparison",
    "prediction",
    "run",
    "sweep",
    "cli",
    "__main__",
)
MODULES = sorted(PACKAGE.rglob("*.py"))
OUTSIDE = sorted(
    path
    for folder in ("benchmarks", "examples", "experiments", "hydra_plugins", "tests")
    for path in (ROOT / folder).rglob("*.py")
)
LOOSE = 8  # modules at the top of the package, at most
TOGETHER = 15  # modules of one folder, at most


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


NAMES = {dotted(path) for path in MODULES}


def tree_of(path: Path, also_for_types: bool) -> ast.Module:
    tree = ast.parse(path.read_text())
    if not also_for_types:
        for node in list(ast.walk(tree)):
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                node.body = []
    return tree


def imports(path: Path, also_for_types: bool = True) -> Iterator[str]:
    for node in ast.walk(tree_of(path, also_for_types)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports(path: Path, also_for_types: bool = False) -> set[str]:
    """The modules of this project that a module imports, at its top or inside a function."""
    found = set()
    for name in imports(path, also_for_types):
        while name and name not in NAMES:
            name = name.rpartition(".")[0]
        if name.startswith("melanoma_exp."):
            found.add(name)
    return found - {dotted(path)}


def top(name: str) -> str:
    return name.split(".")[1]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_from_packages_before_its_own(path: Path) -> None:
    mine = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for name in own_imports(path):
        assert ORDER.index(top(name)) <= ORDER.index(mine), f"{mine} imports {name}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {
        dotted(path): own_imports(path, also_for_types=True)
        for path in MODULES
        if path.stem != "__init__"
    }
    left = dict(graph)
    while ready := [name for name, needs in left.items() if not needs & left.keys()]:
        for name in ready:
            del left[name]
    # What is left is in a circle or imports one; take away those that nothing in it imports.
    while idle := [name for name in left if not any(name in needs for needs in left.values())]:
        for name in idle:
            del left[name]
    assert not left, {name: sorted(needs & left.keys()) for name, needs in left.items()}


@pytest.mark.parametrize(
    ("library", "allowed"),
    [
        # The served model is run by MLflow itself and imported by nothing else.
        ("mlflow", {"tracking/*.py", "tracking/upkeep/*.py", "prediction/served_model.py"}),
        ("hydra", {"cli/*.py"}),
        ("omegaconf", {"cli/*.py"}),
        ("matplotlib", {"report/artifacts.py", "report/figures/*"}),
    ],
)
def test_a_library_is_known_to_its_own_module_alone(library: str, allowed: set[str]) -> None:
    for path in MODULES:
        if any(name.split(".")[0] == library for name in imports(path)):
            place = path.relative_to(PACKAGE)
            assert any(place.match(pattern) for pattern in allowed), f"{place} imports {library}"


def test_models_use_no_backend_but_keras() -> None:
    for path in (PACKAGE / "models").rglob("*.py"):
        assert not [n for n in imports(path) if n.split(".")[0] in ("tensorflow", "tf", "jax")]


def test_parsing_a_config_imports_nothing_heavy() -> None:
    heavy = ("tensorflow", "keras", "mlflow", "matplotlib", "sklearn", "cv2", "Augmentor")
    code = (
        "import sys; from melanoma_exp import config; from melanoma_exp.cli import compose;"
        "from melanoma_exp.system.installation import conf_folder;"
        "config.parse(compose.compose(conf_folder(), []));"
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_module_is_named_after_nothing() -> None:
    assert not [p for p in MODULES if p.stem in ("utils", "helpers", "common", "misc")]


def test_a_folder_holds_few_modules() -> None:
    for folder in {path.parent for path in MODULES}:
        limit = LOOSE if folder == PACKAGE else TOGETHER
        count = len([path for path in folder.glob("*.py") if path.stem != "__init__"])
        assert count <= limit, f"{folder.relative_to(ROOT)} holds {count} modules"


@pytest.mark.parametrize("path", [*MODULES, *OUTSIDE], ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_is_small_enough_to_read(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 250


def test_no_code_comes_from_a_model_file() -> None:
    for name in ("saved_model.py", "predict.py", "manifest.py"):
        forbidden = r"import pickle|load_model\(|\beval\(|\bexec\(|deserialize"
        assert not re.search(forbidden, (PACKAGE / "prediction" / name).read_text()), name
