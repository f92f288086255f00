"""The audit of a dataset, made once and cached for every later run."""

import os.path
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from melanoma_exp.data.audit import audit_html
from melanoma_exp.data.audit.findings import AGAIN, KINDS, LABEL, Finding, find, write_csv
from melanoma_exp.data.duplicates.survey import Survey
from melanoma_exp.spec import digest
from melanoma_exp.system.cache.entry import About, Entry, obtain

VERSION = 2  # raise it when the same survey would give other findings or another page


@dataclass(frozen=True)
class Audit:
    """All findings, and the entry of the cache that holds `audit.csv` and `audit.html`.

    Attributes:
        kinds: What was looked for, and what a finding of each kind means; gravest first.
    """

    kinds: Mapping[str, str]
    findings: list[Finding]
    entry: Entry

    @property
    def files(self) -> tuple[Path, Path]:
        """The table and the page."""
        return self.entry.folder / "audit.csv", self.entry.folder / "audit.html"


def audit(survey: Survey, cache: Path, labels: Sequence[Finding] | None = None) -> Audit:
    """Returns the audit of a surveyed dataset; its files come from the cache where it has them.

    Args:
        survey: Of the dataset.
        cache: The folder of cached data.
        labels: Labels that are likely wrong, the most suspect first; None where nobody looked.

    Raises:
        UserError: The cache cannot be written.
    """
    order = list(KINDS)
    findings = sorted([*find(survey), *(labels or ())], key=lambda f: order.index(f.kind))
    skipped = {AGAIN: survey.same_lesions is None, LABEL: labels is None}
    kinds = {kind: meaning for kind, meaning in KINDS.items() if not skipped.get(kind)}
    paths = [path.absolute() for path in survey.listing.paths]

    def make(folder: Path) -> None:
        write_csv(findings, folder / "audit.csv")
        audit_html.write(survey, kinds, findings, folder / "audit.html")

    again = survey.same_lesions
    pairs = None if again is None else [again.first.tolist(), again.second.tolist()]
    suspects = None if labels is None else [[f.ids, f.detail, f.note, f.beside] for f in labels]
    key = digest([VERSION, survey.digest, survey.unreadable, pairs, suspects])
    about = About(os.path.commonpath(paths), len(paths))
    return Audit(kinds, findings, obtain(cache, "audits", key, about, make))
