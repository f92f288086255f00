"""The page of a run that was judged on another set, beside what it was on its own."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from PIL import Image

from melanoma_exp import __version__
from melanoma_exp.evaluation.metrics.decision import Decision
from melanoma_exp.report.console import DISCLAIMER
from melanoma_exp.report.metric_text import format_estimate, words
from melanoma_exp.system.html import data_uri, templates

NAMES = {"val": "own validation", "test": "own test", "external": "this set"}
# Drawn where the run draws figures; none of them shows an image of the set.
FIGURES = {
    "alerts_external": "Alerts: ROC and precision-recall curves on this set.",
    "calibration_external": "Calibration on this set, before and after the run's temperature.",
    "confusion_external": "Confusion on this set, by the run's classes.",
}
WIDTH = 1400  # pixels of a figure


def render(
    run: tuple[str, str],
    dataset: tuple[str, str],
    mapped: Sequence[tuple[str, str, str, int]],
    counts: Mapping[str, int],
    reasons: Mapping[str, str],
    kept: bool,
    by_pixels: bool,
    own: Mapping[str, Mapping[str, Any]],
    here: Mapping[str, Any],
    unusual: float | None,
    decision: Decision,
    figures: Path,
) -> str:
    """Returns the page, self-contained HTML.

    Args:
        run: Id and name.
        dataset: Kind and digest of the set.
        mapped: Class of the set, class of the run, how that is known, images.
        counts: Images by the names of metrics.
        reasons: What each reason of an overlap means.
        kept: Whether images that the run has seen are judged too.
        by_pixels: Whether pixels were compared.
        own: The run's own evaluations by part, as in `evaluation_<part>.json`.
        here: That of the set, in the same form.
        unusual: Share of images unlike those of training, None where unknown.
        decision: The run's, for its first alert.
        figures: The folder of drawn figures.
    """
    environment = templates(Path(__file__).parent)
    environment.filters |= {"estimate": format_estimate, "words": words}
    parts = {**own, "external": here}
    drawn = [(text, figures / f"{name}.png") for name, text in FIGURES.items()]
    return environment.get_template("external.html.j2").render(
        run_id=run[0],
        run_name=run[1],
        kind=dataset[0],
        digest=dataset[1],
        mapped=mapped,
        counts=counts,
        reasons=reasons,
        kept=kept,
        by_pixels=by_pixels,
        names=NAMES,
        parts=parts,
        here=here,
        absent=[c for c, found in here["by_class"].items() if not found["images"]],
        overall=[(key, _across(parts, "overall", key)) for key in here["overall"]],
        classes=[
            (
                name,
                [one["by_class"].get(name, {}).get("images", 0) for one in parts.values()],
                {
                    key: [one["by_class"].get(name, {}).get(key) for one in parts.values()]
                    for key in ("recall", "precision", "auc")
                },
            )
            for name in here["classes"]
        ],
        alerts=[
            (
                name,
                found,
                [
                    (key, [_alert(one, name).get("figures", {}).get(key) for one in parts.values()])
                    for key in found["figures"]
                ],
            )
            for name, found in here["alerts"].items()
        ],
        unusual=unusual,
        decision=decision,
        figures=[(text, _picture(path)) for text, path in drawn if path.exists()],
        made=date.today().isoformat(),
        version=__version__,
        disclaimer=DISCLAIMER,
    )


def _across(parts: Mapping[str, Mapping[str, Any]], table: str, key: str) -> list[Any]:
    return [one[table].get(key) for one in parts.values()]


def _alert(part: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = part["alerts"].get(name, {})
    return found


def _picture(path: Path) -> str:
    with Image.open(path) as image:
        return data_uri(image.convert("RGB"), WIDTH)
