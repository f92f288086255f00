"""The page of a search: what was best, every job, and charts that one bad job does not flatten."""

import re
from pathlib import Path

import drawn_search
import pytest

pytest.importorskip("optuna", reason="needs the extra `sweep`")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    place = tmp_path_factory.mktemp("search")
    drawn_search.write(place)
    return (place / "search.html").read_text()


def test_the_page_is_small_and_needs_nothing_but_itself(page: str) -> None:
    assert len(page) < 100_000 and "<script" not in page and "not a medical device" in page
    assert not re.search(r"https?://|url\(|@import", page)


def test_the_best_job_leads_and_every_job_has_a_row(page: str) -> None:
    scores = re.findall(r'data-name="Score">([^<]*)<', page)
    measured = [float(score) for score in scores if score != "–"]
    assert len(scores) == 20 and measured == sorted(measured, reverse=True)
    assert re.search(r'"headline">[^<]* ([\d.]+), job', page)[1] == scores[0]
    assert set(scores[len(measured) :]) == {"–"}  # those that were pruned come last


def test_one_job_that_diverged_is_drawn_at_the_edge(page: str) -> None:
    jobs = page[page.index("<b>Jobs</b>") : page.index("</svg>")]
    ticks = [float(text) for text in re.findall(r">([\d.]+)</text>", jobs) if "." in text]
    assert "job 2: 0.05" in jobs and min(ticks) > 0.3


def test_few_jobs_say_nothing_about_what_matters(page: str, tmp_path: Path) -> None:
    assert "Which setting matters" in page
    drawn_search.write(tmp_path, jobs=6)
    few = (tmp_path / "search.html").read_text()
    assert "Which setting matters" not in few and "from 10 finished jobs on" in few
