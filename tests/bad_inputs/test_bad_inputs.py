"""Whatever is given, the answer is the line that docs/bad-inputs.md has, and nothing is raised."""

from pathlib import Path

import bad_images
import bad_requests
import bad_runs
import bad_tables
import bad_words
import pytest
from bad_inputs import Cases, refusal
from bad_page import SECTIONS, agrees

TRIED: dict[str, Cases] = {
    "Images": bad_images.CASES,
    "CSVs of a dataset": bad_tables.TABLES,
    "Folders of images": bad_tables.FOLDERS,
    "CSVs of a split": bad_tables.SPLITS,
    "Words of the command line": bad_words.CASES,
    "experiment.json": bad_runs.EXPERIMENTS,
    "Other files of a run": bad_runs.MODELS,
    "sweep.json": bad_runs.SWEEPS,
    "Extensions": bad_runs.EXTENSIONS,
    "Requests to the served model": bad_requests.CASES,
}


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("section", "name"),
    [
        pytest.param(section, name, marks=[pytest.mark.slow] * (name in bad_words.COMPOSED))
        for section, cases in TRIED.items()
        for name in cases
    ],
)
def test_the_answer_is_the_one_that_the_page_has(
    section: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    agrees(SECTIONS[section], name, refusal(TRIED[section][name], tmp_path))


def test_the_page_has_what_is_tried_and_nothing_else() -> None:
    assert {section: list(rows) for section, rows in SECTIONS.items()} == {
        section: list(cases) for section, cases in TRIED.items()
    }
    assert sum(map(len, TRIED.values())) >= 120
