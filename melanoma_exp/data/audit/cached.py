"""The audit of a dataset, made once and cached for every later run."""

import os.path
from dataclasses import dataclass
from pathlib import Path

from melanoma_exp.data.audit import audit_html
from melanoma_exp.data.audit.findings import Finding, find, write_csv
from melanoma_exp.data.duplicates.survey import Survey
from melanoma_exp.spec import digest
from melanoma_exp.system.cache.entry import About, Entry, obtain

VERSION = 1  # raise it when the same survey would give other findings or another page


@dataclass(frozen=True)
class Audit:
    """All findings, and the entry of the cache that holds `audit.csv` and `audit.html`."""

    findings: list[Finding]
    entry: Entry

    @property
    def files(self) -> tuple[Path, Path]:
        """The table and the page."""
        return self.entry.folder / "audit.csv", self.entry.folder / "audit.html"


def audit(survey: Survey, cache: Path) -> Audit:
    """Returns the audit of a surveyed dataset; its files come from the cache where it has them.

    Raises:
        UserError: The cache cannot be written.
    """
    findings = find(survey)
    paths = [path.absolute() for path in survey.listing.paths]

    def make(folder: Path) -> None:
        write_csv(findings, folder / "audit.csv")
        audit_html.write(survey, findings, folder / "audit.html")

    key = digest([VERSION, survey.digest, survey.unreadable])
    about = About(os.path.commonpath(paths), len(paths))
    return Audit(findings, obtain(cache, "audits", key, about, make))
