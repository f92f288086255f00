"""A real Chromium, and every page that the program writes."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import drawn_markers
import drawn_search
import numpy as np
import pytest
from pictures import save
from PIL import Image
from stored_runs import SWEEP, Store, compared, write_sweep

from melanoma_exp.cli.commands import COMMANDS

sync_api = pytest.importorskip("playwright.sync_api")
QUIET = (  # nothing of Chromium's own on the network, which a closed one would answer with delays
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Gives a browser; skips where there is none, which `.ci/run` installs."""
    if not (path := shutil.which("chromium") or shutil.which("google-chrome")):
        pytest.skip("needs Chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Opens a file in a window of a width and a colour scheme; what it logs is an error."""
    contexts, said = [], []

    def open_page(path: Path, width: int = 1280, scheme: str = "light") -> Any:
        size = {"width": width, "height": 900}
        contexts.append(chromium.new_context(viewport=size, color_scheme=scheme))
        page = contexts[-1].new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not said


@pytest.fixture(scope="session")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a comparison of four setups, one of them leaky."""
    place = tmp_path_factory.mktemp("comparison")
    store = Store(place / "mlruns")
    write_sweep(store)
    compared(store, place, "--sweep", SWEEP)
    return place / "comparison.html"


@pytest.fixture(scope="session")
def worklist(finished: Any, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a prediction, with a file that cannot be read."""
    place = tmp_path_factory.mktemp("worklist")
    for k in range(3):
        shutil.copy(images / "melanoma" / f"melanoma{k}.png", place)
    (place / "empty.png").touch()
    page = place / "worklist.html"
    store = f"tracking.folder={finished[0] / 'mlruns'}"
    with pytest.raises(SystemExit):  # with the code of files that could not be read
        COMMANDS["predict"]([finished[1].info.run_id, store, str(place), "--html", str(page)])
    return page


@pytest.fixture(scope="session")
def audit(finished: Any) -> Path:
    """The page of an audit, as a run leaves it."""
    return finished[2] / "audit.html"


@pytest.fixture(scope="session")
def markers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of an audit that has found rulers on one class."""
    place = tmp_path_factory.mktemp("markers")
    for k in range(16):
        image = drawn_markers.lesion(k, 128)
        name = f"{'melanoma' if k < 8 else 'pigmented benign keratosis'}/{k}.png"
        save(drawn_markers.with_ruler(image) if k < 8 else image, place / "data" / name)
    given = ["dataset=folder", f"dataset.root={place / 'data'}", f"cache.dir={place / 'cache'}"]
    COMMANDS["audit"]([*given, "tracking=off", "--quick", "--out", str(place)])
    found = place / "audit.html"
    assert "Shortcut?" in found.read_text()
    return found


@pytest.fixture(scope="session")
def search(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a search of twenty jobs, one of which diverged and some were pruned."""
    place = tmp_path_factory.mktemp("search")
    drawn_search.write(place)
    return place / "search.html"


@pytest.fixture(scope="session")
def report(finished: Any) -> Path:
    """The page of a run, as it leaves it."""
    return finished[2] / "report.html"


@pytest.fixture(scope="session")
def external(finished: Any, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run that was judged on another set, one class of which it does not know."""
    place = tmp_path_factory.mktemp("external")
    shutil.copytree(finished[0] / "mlruns", place / "mlruns")
    random = np.random.default_rng(7)
    for name in ("mel", "naevus", "wart"):
        (place / "set" / name).mkdir(parents=True)
        for k in range(9):
            pixels = random.integers(0, 180, (20, 24, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(place / "set" / name / f"{k}.png")
    words = f"dataset.root={place / 'set'}", f"tracking.folder={place / 'mlruns'}"
    words += "dataset=folder", f"cache.dir={place / 'cache'}", "--classes=wart=-"
    COMMANDS["evaluate"]([finished[1].info.run_id, *words])
    (page,) = (place / "mlruns" / "artifacts").glob("*/artifacts/external.html")
    return page


KINDS = ("comparison", "worklist", "audit", "markers", "search", "report", "external")


@pytest.fixture(params=KINDS)
def page(request: pytest.FixtureRequest) -> Path:
    """Each page in turn."""
    path: Path = request.getfixturevalue(request.param)
    return path
