"""Records an evaluated part: predictions, tables, figures."""

from pathlib import Path

import numpy as np

from melanoma_exp.data.datamodule import DataModule
from melanoma_exp.evaluation.config import Evaluation
from melanoma_exp.evaluation.evaluate import PartEvaluation
from melanoma_exp.evaluation.gradcam_examples import GradCamExamples
from melanoma_exp.evaluation.metrics import summary
from melanoma_exp.report import figures
from melanoma_exp.report.artifacts import Artifacts

TITLES = {"val": "Validation", "test": "Test", "external": "Another set"}


def record(
    files: Artifacts,
    name: str,
    part: PartEvaluation,
    datamodule: DataModule,
    spec: Evaluation,
    mark: str,
) -> None:
    """Saves all tables and figures of a part.

    Args:
        files: Where to.
        name: A key of `TITLES`.
        part: The part.
        datamodule: Its data.
        spec: How it was evaluated.
        mark: A warning in every title, or "".
    """
    _predictions(files, name, part, datamodule)
    found = part.metrics
    heads = summary.class_heads()
    files.table(f"classes_{name}.csv", heads, summary.class_rows(found))
    files.table(f"subgroups_{name}.csv", summary.subgroup_heads(), summary.subgroup_rows(found))
    files.text(
        f"evaluation_{name}.json", summary.to_json(found, name, spec, leaky=datamodule.leaky)
    )
    title, spread = _title(name, mark), _title(name, mark, spec)
    table = found.table
    columns = {
        "recall": table.recall,
        "precision": table.precision,
        "AUC (plain probability)": table.auc,
    }
    files.figure(
        f"confusion_{name}", lambda: figures.confusion(table.confusion, found.classes, title)
    )
    files.figure(
        f"classes_{name}",
        lambda: figures.class_scores(found.classes, table.support, columns, spread),
    )
    if found.alerts:
        files.figure(f"alerts_{name}", lambda: figures.alert_curves(found.alerts, spread))
    _mistakes(files, name, part, datamodule, title)


def record_worth(
    files: Artifacts, name: str, part: PartEvaluation, spec: Evaluation, mark: str
) -> None:
    """Saves the figures about probabilities: calibration and decision curves.

    Arguments as of `record`. On validation, where the temperature was fitted, they are optimistic.
    """
    found, title = part.metrics, _title(name, mark, spec)
    if found.alerts:
        files.figure(f"decision_curve_{name}", lambda: figures.decision_curves(found.alerts, title))
    pairs = {
        "most probable class" if key == "classes" else key: pair
        for key, pair in found.calibration.items()
    }
    files.figure(
        f"calibration_{name}", lambda: figures.reliability(pairs, found.temperature, title)
    )


def record_explained(
    files: Artifacts,
    name: str,
    part: PartEvaluation,
    seen: GradCamExamples,
    datamodule: DataModule,
    mark: str,
) -> None:
    """Saves the Grad-CAM figure for images of a part."""
    chosen, classes = part.samples.take(seen.rows), part.samples.classes
    heads = [
        f"{outcome}: {classes[label]} {chance:.2f}"
        for outcome, label, chance in zip(seen.outcomes, chosen.label, seen.chance, strict=True)
    ]
    explained = ", ".join(sorted({classes[k] for k in seen.target}))
    title = (
        f"{_title(name, mark)}: evidence for {explained} (true class, calibrated probability); "
        f"rank correlation with random weights {seen.mean_correlation:.2f} (0: depends on the "
        "weights, 1: on the image alone)"
    )
    images, ids = datamodule.reader.read(chosen), [Path(i).stem for i in chosen.id]
    files.figure(
        f"explanations_{name}",
        lambda: figures.explanations(images, seen.maps, seen.randomised, heads, ids, title),
    )


def _title(name: str, mark: str, spec: Evaluation | None = None) -> str:
    title = TITLES[name] + (f" ({mark})" if mark else "")
    return f"{title}, {100 * spec.confidence:g} % intervals" if spec else title


def _predictions(files: Artifacts, name: str, part: PartEvaluation, datamodule: DataModule) -> None:
    samples, probability = part.samples, part.probability
    classes = np.array(samples.classes)
    metadata = datamodule.data.metadata
    extra = sorted({key for s in samples.source for key in metadata.get(str(s), {})})
    heads = ["id", "source", "group", "label", "predicted", *samples.classes]
    heads += [f"calibrated {name}" for name in samples.classes]
    heads += ["alert_probability", "alert", "unsure"]
    # A column of the metadata must not be taken for a prediction.
    extra = [key for key in extra if key not in heads]
    columns = [metadata.get(str(source), {}) for source in samples.source]
    if part.members is not None:
        extra = ["members", *(key for key in extra if key != "members")]
        columns = [
            {**row, "members": str(count)} for row, count in zip(columns, part.members, strict=True)
        ]
    decision, chance = part.decision, part.alert_probability
    decided = (
        [repr(p), *(_word(x, decision.threshold) for x in (alert, unsure))]
        if decision.positive
        else ["", "", ""]
        for p, alert, unsure in zip(
            chance.tolist(), decision.alerts(chance), decision.is_unsure(chance), strict=True
        )
    )
    # Every digit: who computes a figure from the table gets ours.
    rows = (
        [
            ids,
            source,
            group,
            classes[label],
            classes[guess],
            *map(repr, plain),
            *map(repr, calibrated),
            *last,
            *(row.get(key, "") for key in extra),
        ]
        for ids, source, group, label, guess, plain, calibrated, last, row in zip(
            samples.id,
            samples.source,
            samples.group,
            samples.label,
            part.predicted,
            probability.tolist(),
            part.calibrated.tolist(),
            decided,
            columns,
            strict=True,
        )
    )
    files.table(f"predictions_{name}.csv", [*heads, *extra], rows)


def _word(value: bool, threshold: float | None) -> str:
    return "" if threshold is None else str(bool(value)).lower()


def _mistakes(
    files: Artifacts, name: str, part: PartEvaluation, datamodule: DataModule, title: str
) -> None:
    samples, probability = part.samples, part.probability
    files.figure(
        f"mistakes_{name}",
        lambda: figures.mistakes(
            datamodule.reader.read(samples),
            [Path(i).name for i in samples.id],
            samples.label,
            part.predicted,
            probability,
            samples.classes,
            f"{title}, plain probability",
        ),
    )
