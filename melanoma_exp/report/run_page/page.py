"""The page of a run as HTML, from its record alone."""

import base64
import hashlib
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from PIL import Image

from melanoma_exp import __version__
from melanoma_exp.data.class_names import short_names
from melanoma_exp.report import figures
from melanoma_exp.report.console import DISCLAIMER
from melanoma_exp.report.metric_text import format_estimate, words
from melanoma_exp.report.run_page import flow, gallery
from melanoma_exp.report.run_page.gallery import Thumbnails
from melanoma_exp.report.run_page.record import PARTS, RunRecord, grouped
from melanoma_exp.system.html import data_uri, templates

WIDTH = 1400  # pixels of the Grad-CAM figure
IMAGES = 240  # shown by default
# What is said of a run before everything else that is in its config.
PLAN = {
    "dataset": {"dataset.kind": "{}", "dataset.image_size": "{} pixels"},
    "split": {"split.kind": "{}", "split.fold": "fold {}", "split.seed": "seed {}"},
    "network": {"model.name": "{}", "model.kind": "{}"},
    "augmentation": {"augment.kind": "{}"},
    "balance": {"balance.kind": "{}"},
    "loss": {"train.loss.kind": "{}"},
    "optimizer": {"train.optimizer": "{}", "train.learning_rate": "learning rate {}"},
    "schedule": {"train.schedule": "{}"},
    "training": {"train.epochs": "{} epochs", "train.batch_size": "batch {}"},
    "weights kept": {"train.keep": "{}"},
    "precision": {"train.precision": "{}"},
    "seed": {"seed": "{}"},
}
COST = {
    "seconds/fit": ("training, s", 0),
    "seconds/fit_cpu": ("training, CPU s", 0),
    "seconds/outside_fit": ("all the rest, s", 0),
    "train/images_per_second": ("images/s", 0),
    "parameters": ("parameters", 0),
    "flops_per_image": ("FLOPs per image", 0),
}


def render(
    record: RunRecord, thumbnails: Thumbnails | None, reason: str, images: int, again: str
) -> str:
    """Returns the page of a run.

    Args:
        record: What it recorded.
        thumbnails: Of its dataset; None where there are none.
        reason: Why there are none, "" where that needs no word.
        images: To show at most, over all parts.
        again: The words that say where the run is recorded, for commands.
    """
    evaluations = record.evaluations()
    galleries = _galleries(record, evaluations, images)
    wanted = [one.source for found in galleries.values() for one in found.images]
    pictures = thumbnails(wanted) if thumbnails and wanted else {}
    decision = record.decision()
    script = Path(__file__).with_name("page.js").read_text(encoding="utf-8")
    environment = templates(Path(__file__).parent)
    environment.filters |= {"estimate": format_estimate, "number": _number, "words": words}
    stored, params = record.stored, record.stored.params
    content = {
        "run": stored,
        "decision": decision,
        "leaky": stored.tags.get("leaky") == "true",
        "started": datetime.fromtimestamp(stored.started / 1000, UTC).strftime("%Y-%m-%d %H:%M"),
        "part_name": PARTS,
        "evaluations": evaluations,
        "overall": _rows(evaluations, lambda one: one["overall"]),
        "alerts": _alerts(evaluations),
        "plan": {
            name: text
            for name, keys in PLAN.items()
            if (
                text := ", ".join(
                    form.format(_size(params[k])) for k, form in keys.items() if k in params
                )
            )
        },
        "flow": flow.read(record),
        "flow_names": flow.NAMES,
        "curves": figures.comparison_charts([figures.SetupCurves("", "", _curves(record))]),
        "charts": _charts(evaluations),
        "galleries": galleries,
        "cells": {
            part: gallery.options(found, evaluations[part]["classes"])
            for part, found in galleries.items()
        },
        "short": {part: short_names(one["classes"]) for part, one in evaluations.items()},
        "pictures": pictures,
        "without": len({*wanted} - pictures.keys()),
        "most": gallery.WORST,
        "reason": reason,
        "explained": _explained(record, evaluations),
        "cost": [
            (text, f"{value:,.{digits}f}")
            for key, (text, digits) in COST.items()
            if (value := record.metric(key)) is not None
        ],
        "epochs": len(record.archive.series(stored.id, "train/loss")),
        "config": grouped(params),
        "again": again,
        "missing": record.missing,
        "script": script,
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "made": date.today().isoformat(),
        "version": __version__,
        "disclaimer": DISCLAIMER,
    }
    return environment.get_template("page.html.j2").render(content)


def _galleries(
    record: RunRecord, evaluations: Mapping[str, Any], images: int
) -> dict[str, gallery.Gallery]:
    found = {}
    for part, one in evaluations.items():
        name = f"predictions_{part}.csv"
        if (text := record.text(name)) is None:
            continue
        try:
            found[part] = gallery.read(text, one["classes"], images // len(evaluations))
        except (ValueError, KeyError, IndexError) as error:
            record.missing.append(f"{name}: is damaged: {error}")
    return found


def _curves(record: RunRecord) -> dict[str, list[list[tuple[int, float]]]]:
    return {key: [points] if points else [] for key, points in record.curves().items()}


def _rows(evaluations: Mapping[str, Any], of: Any) -> list[tuple[str, list[Any]]]:
    """Returns for each metric its estimate in each part, None where one has none."""
    names = dict.fromkeys(name for one in evaluations.values() for name in of(one))
    return [(name, [of(one).get(name) for one in evaluations.values()]) for name in names]


def _alerts(evaluations: Mapping[str, Any]) -> dict[str, Any]:
    names = dict.fromkeys(name for one in evaluations.values() for name in one["alerts"])
    return {
        name: _rows(
            evaluations, lambda one, name=name: one["alerts"].get(name, {"figures": {}})["figures"]
        )
        for name in names
    }


def _charts(evaluations: Mapping[str, Any]) -> dict[str, list[figures.Chart]]:
    """Returns the charts of the first part, which is test where there is one."""
    if not evaluations:
        return {"alert": [], "calibration": []}
    one = next(iter(evaluations.values()))
    first = next(iter(one["alerts"].items()), None)
    alert = [figures.roc_chart(*first), figures.benefit_chart(*first)] if first else []
    pairs = {key: pair for key, pair in one["calibration"].items() if isinstance(pair, dict)}
    del pairs["log_loss"]
    names = {"classes": "the most probable class"}
    return {
        "alert": [chart for chart in alert if chart is not None],
        "calibration": [
            figures.reliability_chart(names.get(key, key), pair) for key, pair in pairs.items()
        ][:2],
    }


def _explained(record: RunRecord, evaluations: Mapping[str, Any]) -> str:
    """Returns the recorded Grad-CAM figure, "" where there is none or none was asked for."""
    if not evaluations or record.stored.params.get("evaluation.explained") == "0":
        return ""
    if record.stored.params.get("evaluation.figures") == "False":
        return ""
    path = record.file(f"figures/explanations_{next(iter(evaluations))}.png")
    if path is None:
        return ""
    with Image.open(path) as image:
        return data_uri(image.convert("RGB"), WIDTH)


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")


def _size(value: str) -> str:
    """Returns height and width as they are written by hand, other values as they are."""
    return value.strip("[]").replace(", ", "x") if value.startswith("[") else value
