"""Decisions of the audit's page are applied whenever the dataset is read; files stay."""

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import picture, save

from melanoma_exp.data.audit import audit_html, decisions, findings
from melanoma_exp.spec import UserError

HEAD = "source,decision,value\n"


@pytest.fixture
def spec(folder, tmp_path) -> Any:
    """Builds the spec of eight images with a table of decisions."""
    for k in range(8):
        save(picture(k, 32), tmp_path / f"data/{'ab'[k % 2]}/{k}.png")

    def build(rows: str) -> Any:
        (tmp_path / "decisions.csv").write_text(HEAD + rows)
        return folder(decisions=tmp_path / "decisions.csv")

    return build


def test_labels_change_images_go_and_lesions_are_tied(spec, folder, tmp_path) -> None:
    before = folder().load(tmp_path / "cache")
    files = {p: p.read_bytes() for p in (tmp_path / "data").rglob("*.png")}
    rows = "a/0.png,relabel,b\na/2.png,drop,\nb/1.png,same lesion,a/4.png\nb/3.png,keep,\n"
    loaded = spec(rows).load(tmp_path / "cache")
    samples, was = loaded.samples, before.samples
    assert sorted(samples.source) == sorted(set(was.source.tolist()) - {"a/2.png"})
    names = dict(zip(samples.source, np.array(samples.classes)[samples.label], strict=True))
    assert names.pop("a/0.png") == "b"
    assert all(name == source[0] for source, name in names.items())
    group = dict(zip(samples.source, samples.group, strict=True))
    assert group["b/1.png"] == group["a/4.png"] and len(set(group.values())) == 6
    lesion = dict(
        zip(loaded.survey.listing.samples.source, loaded.survey.listing.lesions, strict=True)
    )
    assert lesion.pop("b/1.png") == lesion.pop("a/4.png") != "" and set(lesion.values()) == {""}
    assert loaded.digest != before.digest
    assert {p: p.read_bytes() for p in (tmp_path / "data").rglob("*.png")} == files
    sha256 = hashlib.sha256((HEAD + rows).encode()).hexdigest()
    (note,) = [note for note in loaded.notes if "dataset.decisions" in note]
    assert "1 images left out, 1 relabelled, 1 pairs tied" in note and sha256[:12] in note
    row = samples.source.tolist().index("a/4.png")
    alike = was.source.tolist().index("a/4.png")
    np.testing.assert_array_equal(
        loaded.pixels[samples.image[row]], before.pixels[was.image[alike]]
    )


def test_images_that_were_only_kept_change_nothing(spec, folder, tmp_path) -> None:
    kept = spec("a/0.png,keep,\n").load(tmp_path / "cache")
    assert kept.digest == folder().load(tmp_path / "cache").digest


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ("a/0.png,remove,\n", "line 2: 'remove' is none of keep, drop, relabel, same lesion"),
        ("a/0.png,drop\n", "line 2: has 2 cells, not 3"),
        ("a/0.png,relabel,\n", "line 2: relabel needs a class"),
        ("a/0.png,drop,b\n", "line 2: drop takes no value"),
        ("a/0.png,drop,\na/0.png,keep,\n", "line 3: a/0.png is decided twice, as drop before"),
        ("a/9.png,drop,\n", "1 images are not in this dataset .first: a/9.png; did you mean a/"),
        ("a/0.png,relabel,c\n", "a/0.png: the dataset has no class c"),
        ("".join(f"{'ab'[k % 2]}/{k}.png,drop,\n" for k in range(8)), "leaves out every image"),
    ],
)
def test_a_wrong_table_is_refused_in_one_line(spec, tmp_path, rows, line) -> None:
    with pytest.raises(UserError, match=rf"^dataset.decisions: .*{line}") as refused:
        spec(rows).survey(tmp_path / "cache")
    assert len(refused.value.lines) == 1


def test_a_table_that_is_none_is_refused(folder, tmp_path) -> None:
    (tmp_path / "other.csv").write_text("id,label\n")
    with pytest.raises(UserError, match="should have the columns source, decision, value"):
        decisions.read(tmp_path / "other.csv")
    with pytest.raises(UserError, match="no.csv: cannot be read"):
        decisions.read(tmp_path / "no.csv")


def test_the_page_runs_its_own_script_alone_and_names_every_image(spec, tmp_path) -> None:
    save(picture(0, 32), tmp_path / "data/b/again.png")
    survey = spec("").survey(tmp_path / "cache")
    found = findings.find(survey)
    audit_html.write(survey, findings.KINDS, found, tmp_path / "audit.html")
    page = (tmp_path / "audit.html").read_text()
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.S)
    hashed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{hashed}'" in page and page.count("<script") == 1
    assert not re.search(r"\son\w+=", page.replace(script, ""))  # a handler would not run
    assert set(re.findall(r'data-source="([^"]+)"', page)) >= {"a/0.png", "b/again.png"}
    assert re.findall(r"<option>(\w)</option>", page) == ["a", "b"]
    assert Path(audit_html.__file__).with_name("decide.js").read_text() == script
