"""The audit as one HTML file: no network, images inside, light and dark, for screen and paper."""

import base64
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from melanoma_exp.data.audit.findings import LABEL, Finding
from melanoma_exp.data.audit.markers.found import Markers
from melanoma_exp.data.audit.markers.per_class import Count, shortcuts
from melanoma_exp.data.duplicates.survey import Survey
from melanoma_exp.data.image_file import open_rgb, read_unchanged
from melanoma_exp.system.html import data_uri, templates

SHOWN = 40  # findings of a kind that are shown; the CSV has all
SUSPECTS = 100  # of likely wrong labels, whose order says something
IMAGES = 6  # images of one finding that are shown
SIDE = 160  # longest side of an image in pixels


def write(
    survey: Survey,
    kinds: Mapping[str, str],
    findings: Sequence[Finding],
    path: Path,
    markers: Markers | None = None,
) -> None:
    """Writes the page.

    Of each kind at most `SHOWN` findings are shown, the first ones of every detail and labels; of
    labels that are likely wrong the first `SUSPECTS`.

    Args:
        survey: The files the findings are about.
        kinds: What was looked for, and what a finding of each kind means.
        findings: All of them.
        path: Of the page.
        markers: Counted per class; None where nobody looked.
    """
    sections = [_section(survey, kind, meaning, findings) for kind, meaning in kinds.items()]
    script = Path(__file__).with_name("decide.js").read_text(encoding="utf-8")
    text = (
        templates(Path(__file__).parent)
        .get_template("audit.html.j2")
        .render(
            images=len(survey.listing.paths),
            names=survey.listing.samples.classes,
            script=script,
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            digest=survey.digest,
            notes=survey.listing.notes,
            sections=sections,
            total=len(findings),
            counts={} if markers is None else _by_class(markers),
            shortcuts=[] if markers is None else shortcuts(markers.counts),
            markers=() if markers is None else markers.names,
        )
    )
    path.write_text(text, encoding="utf-8")


def _section(
    survey: Survey, kind: str, meaning: str, findings: Sequence[Finding]
) -> dict[str, Any]:
    of_kind = [finding for finding in findings if finding.kind == kind]
    shown = of_kind[:SUSPECTS] if kind == LABEL else _spread(of_kind)
    return {
        "kind": kind,
        "meaning": meaning,
        "total": len(of_kind),
        "details": Counter(finding.detail for finding in of_kind).most_common(),
        "shown": [
            {"finding": f, "images": _images(survey, f), "beside": _beside(survey, f)}
            for f in shown
        ],
        "capped": len(of_kind) > len(shown),
    }


def _by_class(markers: Markers) -> dict[str, dict[str, Count]]:
    """Returns the counts by class, then by marker."""
    found: dict[str, dict[str, Count]] = {}
    for one in markers.counts:
        found.setdefault(one.label, {})[one.marker] = one
    return found


def _spread(findings: Sequence[Finding]) -> list[Finding]:
    """Returns at most `SHOWN` findings, as many of each detail and labels as there is room for."""
    seen: Counter[tuple[str, frozenset[str]]] = Counter()
    ranked = []
    for finding in findings:
        sort = (finding.detail, frozenset(finding.labels))
        ranked.append((seen[sort], finding))
        seen[sort] += 1
    shown = {id(f) for _, f in sorted(ranked, key=lambda entry: entry[0])[:SHOWN]}
    return [finding for finding in findings if id(finding) in shown]


def _images(survey: Survey, finding: Finding) -> list[dict[str, str]]:
    listing = survey.listing
    return [
        {
            "id": finding.ids[k],
            "label": finding.labels[k],
            "part": str(listing.samples.official[row]),
            "data": _data(listing.paths[row], survey.file_digests[row]),
        }
        for k, row in enumerate(finding.rows[:IMAGES])
    ]


def _beside(survey: Survey, finding: Finding) -> list[dict[str, str]]:
    """Returns images of known look, with the class that each stands for."""
    samples = survey.listing.samples
    return [
        {
            "label": samples.classes[samples.label[row]],
            "data": _data(survey.listing.paths[row], survey.file_digests[row]),
        }
        for row in finding.beside
    ]


def _data(path: Path, sha256: str) -> str:
    # The survey has opened this file under the set's own pixel limit.
    content = read_unchanged(path, sha256, max_pixels=10**9)
    return data_uri(open_rgb(content, max_pixels=10**9, draft=(SIDE, SIDE)), SIDE)
