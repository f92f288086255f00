"""The markers of a surveyed dataset: a finding for each image that has one, and their counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from melanoma_exp.data.audit.findings import Finding
from melanoma_exp.data.audit.markers import measured
from melanoma_exp.data.audit.markers.decide import decide
from melanoma_exp.data.audit.markers.per_class import Count, count
from melanoma_exp.data.duplicates.survey import Survey


@dataclass(frozen=True)
class Markers:
    """What was found.

    Attributes:
        names: The markers that were looked for.
        findings: One for each image and marker.
        counts: One for each marker and class.
    """

    names: tuple[str, ...]
    findings: list[Finding]
    counts: list[Count]


def find(survey: Survey, names: Sequence[str], max_pixels: int, cache: Path) -> Markers:
    """Looks for markers in every readable image.

    Args:
        survey: Of the dataset.
        names: Of `decide.MARKERS`.
        max_pixels: The survey has opened the files under this limit.
        cache: The folder of cached data.

    Raises:
        UserError: The cache cannot be written, or a file is no longer what it was.
    """
    samples, files = survey.samples, survey.samples.image.tolist()
    if not files:
        return Markers(tuple(names), [], [])
    seen = measured.load(
        [survey.listing.paths[k] for k in files],
        [survey.file_digests[k] for k in files],
        max_pixels,
        cache,
    )
    findings, marked = [], {}
    for name in names:
        hits = decide(seen, name)
        marked[name] = np.isin(np.arange(len(files)), [hit.row for hit in hits])
        for hit in hits:
            source = str(samples.source[hit.row])
            label = samples.classes[samples.label[hit.row]]
            row = files[hit.row]
            findings.append(Finding(name, hit.detail, (source,), (label,), (row,), hit.note))
    return Markers(tuple(names), findings, count(samples, marked))
