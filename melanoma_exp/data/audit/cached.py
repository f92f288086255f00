"""The audit of a dataset, made once and cached for every later run."""

import os.path
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from melanoma_exp.data.audit import audit_html
from melanoma_exp.data.audit.findings import AGAIN, KINDS, LABEL, Finding, find, write_csv
from melanoma_exp.data.audit.markers import per_class
from melanoma_exp.data.audit.markers.decide import MARKERS
from melanoma_exp.data.audit.markers.found import Markers
from melanoma_exp.data.duplicates.survey import Survey
from melanoma_exp.spec import digest
from melanoma_exp.system.cache.entry import About, Entry, obtain

VERSION = 3  # raise it when the same survey would give other findings or another page
FILES = ("audit.csv", "audit.html", "audit_markers.csv")


@dataclass(frozen=True)
class Audit:
    """All findings, and the entry of the cache that holds the files.

    Attributes:
        kinds: What was looked for, and what a finding of each kind means; gravest first.
        findings: All of them.
        markers: Rulers, ink, text and so on, counted per class; None where nobody looked.
        entry: Of the cache.
    """

    kinds: Mapping[str, str]
    findings: list[Finding]
    markers: Markers | None
    entry: Entry

    @property
    def files(self) -> list[Path]:
        """The table, the page and, where markers were looked for, the table of their counts."""
        names = FILES if self.markers is not None else FILES[:2]
        return [self.entry.folder / name for name in names]


def audit(
    survey: Survey,
    cache: Path,
    labels: Sequence[Finding] | None = None,
    markers: Markers | None = None,
) -> Audit:
    """Returns the audit of a surveyed dataset; its files come from the cache where it has them.

    Args:
        survey: Of the dataset.
        cache: The folder of cached data.
        labels: Labels that are likely wrong, the most suspect first; None where nobody looked.
        markers: What is in the pictures beside the lesion; None where nobody looked.

    Raises:
        UserError: The cache cannot be written.
    """
    order = list(KINDS)
    marked = [] if markers is None else markers.findings
    found = [*find(survey), *(labels or ()), *marked]
    findings = sorted(found, key=lambda f: order.index(f.kind))
    sought = () if markers is None else markers.names
    skipped = {AGAIN: survey.same_lesions is None, LABEL: labels is None}
    skipped |= {name: name not in sought for name in MARKERS}
    kinds = {kind: meaning for kind, meaning in KINDS.items() if not skipped.get(kind)}
    paths = [path.absolute() for path in survey.listing.paths]

    def make(folder: Path) -> None:
        table, page, counts = (folder / name for name in FILES)
        write_csv(findings, table)
        audit_html.write(survey, kinds, findings, page, markers)
        if markers is not None:
            per_class.write_csv(markers.counts, counts)

    again = survey.same_lesions
    pairs = None if again is None else [again.first.tolist(), again.second.tolist()]
    suspects = None if labels is None else [[f.ids, f.detail, f.note, f.beside] for f in labels]
    hits = [[f.kind, f.ids, f.detail, f.note] for f in marked]
    known = [VERSION, survey.digest, survey.unreadable, pairs, suspects, list(sought), hits]
    about = About(os.path.commonpath(paths), len(paths))
    return Audit(kinds, findings, markers, obtain(cache, "audits", digest(known), about, make))
