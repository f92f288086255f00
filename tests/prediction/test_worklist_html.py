"""The worklist as a page: self-contained, escaped, with maps where the network has them."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.prediction import saved_model, worklist_html
from melanoma_exp.prediction.predict import predict
from melanoma_exp.prediction.saved_model import SavedModel
from melanoma_exp.prediction.worklist import Worklist
from melanoma_exp.report.console import DISCLAIMER, console
from melanoma_exp.spec import UserError


@pytest.fixture(scope="module")
def saved(finished: Any) -> SavedModel:
    return saved_model.load("small", _files(finished))


def _files(finished: Any) -> dict[str, Path]:
    return {name: finished[2] / name for name in saved_model.FILES}


def test_the_page_is_self_contained_and_escaped(
    finished: Any, images: Path, tmp_path: Path
) -> None:
    evil = tmp_path / "<script>alert(1)<" / "b>&.png"
    evil.parent.mkdir()
    shutil.copy(images / "naevus" / "naevus0.png", evil)
    page = tmp_path / "page.html"
    folder = f"tracking.folder={finished[0] / 'mlruns'}"
    paths = [tmp_path, images / "melanoma", "--html", page]
    COMMANDS["predict"]([finished[1].info.run_id, folder, *map(str, paths)])
    text = page.read_text()
    assert "<script" not in text and "&lt;script&gt;alert(1)&lt;/b&gt;&amp;.png" in text
    assert not re.findall(r"(?:src|href)=\"(?!data:)|url\(|@import|https?://", text)
    assert text.count("data:image/jpeg;base64,") == 2 * 15
    decision = saved_model.load("one", _files(finished)).decision
    assert text.index(decision.sentence) < text.index("data:image")
    assert text.count('class="notice doubt"') == len(decision.doubts) + bool(decision.doubts)
    assert "prefers-color-scheme: dark" in text and text.count(DISCLAIMER) == 2


def test_a_network_without_feature_maps_has_a_page_without_maps(
    images: Path, tmp_path: Path, saved: SavedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: Any) -> str:
        raise UserError("no layer with feature maps")

    monkeypatch.setattr(type(saved.experiment.model), "gradcam_layer", none)
    found, _ = predict(saved, sorted((images / "melanoma").iterdir())[:3])
    page = tmp_path / "page.html"
    worklist_html.write(page, Worklist.of("id", saved, found, []), saved, console())
    assert page.read_text().count("data:image/jpeg;base64,") == 3


def test_a_file_that_changed_since_is_not_shown_as_what_was_predicted(
    images: Path, tmp_path: Path, saved: SavedModel
) -> None:
    for k in range(3):
        shutil.copy(images / "melanoma" / f"melanoma{k}.png", tmp_path / f"{k}.png")
    found, _ = predict(saved, sorted(tmp_path.glob("*.png")))
    shutil.copy(images / "other" / "other0.png", tmp_path / "1.png")
    (tmp_path / "2.png").unlink()
    page = tmp_path / "page.html"
    worklist_html.write(page, Worklist.of("id", saved, found, []), saved, console())
    text = page.read_text()
    assert text.count("data:image/jpeg;base64,") == 2
    assert text.count("the file has changed since it was predicted") == 2
    assert all(f"{k}.png" in text for k in range(3))
