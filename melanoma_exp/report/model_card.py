"""The model card of a finished run, from what the run recorded.

Headings follow model cards (Mitchell et al., 2019), CLEAR Derm (Daneshjou et al., 2022) and
TRIPOD+AI (Collins et al., 2024), each where this project has something to say. What a run cannot
know is written as "not known", never left out.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from melanoma_exp.config import Experiment
from melanoma_exp.data.audit.findings import FAULTS, KINDS
from melanoma_exp.data.datamodule import DataModule
from melanoma_exp.download.record import describe
from melanoma_exp.evaluation.evaluate import PartEvaluation
from melanoma_exp.evaluation.metrics.decision import Decision
from melanoma_exp.evaluation.metrics.interval import Estimate
from melanoma_exp.report.console import DISCLAIMER
from melanoma_exp.system import provenance
from melanoma_exp.system.html import templates

UNKNOWN = "not known"
FEW = 30  # images of a class below which the card warns
ONE_TRAINING = "One training of one seed on one split: another seed gives other metrics."
PARTS = {"train": "training", "val": "validation", "test": "test"}
ORIGINS = {
    "demo": "drawn by this software, no photographs",
    "isic9": "the 9-class set of ISIC Archive images that is published on Kaggle; clinics, "
    "cameras and dates of the images: not known",
    "ham10000": "HAM10000 (Tschandl et al., 2018): dermatoscopic images from Vienna and Queensland",
    "isic2018": "ISIC 2018 task 3; the training images are HAM10000",
    "isic2019": "ISIC 2019: HAM10000, BCN_20000 and MSK, dermoscopic images",
    "isic2020": "ISIC 2020 (Rotemberg et al., 2021): dermoscopic images of patients of six clinics",
    "isic_archive": "images of the ISIC Archive, as chosen for this run",
    "pad_ufes": "PAD-UFES-20 (Pacheco et al., 2020): photographs of smartphones, Brazil",
    "ph2": "PH2 (Mendonca et al., 2013): dermoscopic images from Hospital Pedro Hispano, Portugal",
    "derm7pt": "Derm7pt (Kawahara et al., 2019): images of an atlas of dermoscopy",
    "dermamnist": "DermaMNIST, shrunken images of HAM10000",
}


def write(
    experiment: Experiment,
    datamodule: DataModule,
    evaluations: Mapping[str, PartEvaluation],
    decision: Decision,
    epochs: int,
    members: Sequence[str] = (),
    limits: Sequence[str] = (ONE_TRAINING,),
) -> str:
    """Returns the card as Markdown.

    Args:
        experiment: What was run.
        datamodule: Its data.
        evaluations: Validation, and test where there is one.
        decision: Chosen on validation.
        epochs: How many were trained.
        members: A line for each network of an ensemble.
        limits: What limits these figures, beside what every run knows of itself.
    """
    # Markdown: `cell` keeps names from breaking tables.
    environment = templates(Path(__file__).parent, escape=False)
    environment.filters |= {"estimate": format_estimate, "cell": _cell}
    text: str = environment.get_template("model_card.md.j2").render(
        experiment=experiment,
        datamodule=datamodule,
        evaluations=evaluations,
        decision=decision,
        epochs=epochs,
        members=members,
        notice=DISCLAIMER,
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        source=provenance.collect(),
        origin=ORIGINS.get(experiment.dataset.kind, UNKNOWN),
        fetched=describe(getattr(experiment.dataset, "root", None)),
        parts=_parts(datamodule),
        columns=sorted({key for row in datamodule.data.metadata.values() for key in row}),
        label_source=_label_source(datamodule),
        faults=_faults(datamodule),
        notes=datamodule.notes(),
        part_names=PARTS,
        limits=_limits(datamodule, evaluations, decision, limits),
    )
    return text.rstrip() + "\n"


def format_estimate(estimate: Estimate) -> str:
    """Returns a value with its interval, as far as both are defined."""
    if np.isnan(estimate.value):
        return UNKNOWN
    if np.isnan(estimate.low) or np.isnan(estimate.high):
        return f"{float(estimate.value):.3f} (no interval)"
    return f"{float(estimate.value):.3f} ({float(estimate.low):.3f} to {float(estimate.high):.3f})"


def _cell(text: Any) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")


def _parts(datamodule: DataModule) -> list[dict[str, Any]]:
    """Returns for each part its images, synthetic images, groups and images by class."""
    return [
        {
            "name": PARTS[name],
            "images": int((part.copy == 0).sum()),
            "synthetic": int((part.copy > 0).sum()),
            "groups": len(np.unique(part.group)),
            "counts": part.take(part.copy == 0).counts().tolist(),
        }
        for name, part in datamodule.parts.items()
    ]


def _label_source(datamodule: DataModule) -> str:
    """Says how diagnoses were confirmed, where the metadata has it (HAM10000's `dx_type`)."""
    sources = Counter(row.get("dx_type", "") for row in datamodule.data.metadata.values())
    sources.pop("", None)
    if not sources:
        return UNKNOWN
    return ", ".join(f"{name} {count}" for name, count in sources.most_common())


def _faults(datamodule: DataModule) -> list[tuple[str, int]]:
    """Returns the kinds of label faults and how many the audit found."""
    count = Counter(finding.kind for finding in datamodule.audit.findings)
    return [(KINDS[kind], count[kind]) for kind in FAULTS]


def _limits(
    datamodule: DataModule,
    evaluations: Mapping[str, PartEvaluation],
    decision: Decision,
    first: Sequence[str],
) -> list[str]:
    found = [
        *first,
        "No external validation: all metrics are on the dataset it was trained on.",
    ]
    if datamodule.metadata is None:
        found.append("Only the image is used; age, sex, site and history are not.")
    else:
        found.append(
            "Predictions depend on who the patient is, as in the training data: compare the "
            "subgroups, and mind where age, sex or site are distributed otherwise."
        )
    if datamodule.leaky:
        found.insert(0, "LEAKY: evaluation images were in training. Its metrics are optimistic.")
    if "test" not in evaluations:
        found.append(
            "No test part: the metrics below are on validation, which was used for model selection."
        )
    if decision.prior_correction is not None and decision.prior_correction.chosen:
        found.append(
            "Prior correction was chosen by balanced accuracy on validation: validation metrics of "
            "the predicted class are optimistic."
        )
    for name, part in evaluations.items():
        table = part.metrics.table
        few = [
            f"{c} {n}" for c, n in zip(part.metrics.classes, table.support, strict=True) if n < FEW
        ]
        if few:
            found.append(f"Fewer than {FEW} {PARTS[name]} images of: {', '.join(few)}.")
    subgroups = list(evaluations.values())[-1].metrics.subgroups
    found += [f"By {s.attribute}: {s.note}." for s in subgroups if s.note]
    if decision.threshold is None:
        found.append(f"No alert: validation gave no threshold for {decision.name}.")
    if decision.out_of_distribution is None:
        found.append("No out-of-distribution score: too few images to fit one.")
    return found
