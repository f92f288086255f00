"""The audit of a dataset, made once and kept for every further run."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from melanoma_exp.audit import page
from melanoma_exp.audit.findings import Finding, find, write_csv
from melanoma_exp.dataset.data import Survey
from melanoma_exp.spec import UserError, digest

VERSION = 1  # raise it when the same survey would give other findings or another page


@dataclass(frozen=True)
class Audit:
    """All findings, and where `audit.csv` and `audit.html` lie."""

    findings: list[Finding]
    folder: Path

    @property
    def files(self) -> tuple[Path, Path]:
        """The table and the page."""
        return self.folder / "audit.csv", self.folder / "audit.html"


def audit(survey: Survey, cache: Path) -> Audit:
    """Returns the audit of a surveyed dataset; its files come from the cache where it has them.

    Raises:
        UserError: The cache cannot be written.
    """
    findings = find(survey)
    place = cache / "audits" / digest([VERSION, survey.digest, survey.unreadable])
    if not place.is_dir():
        aside = place.with_name(f"{place.name}.{os.getpid()}.tmp")
        try:
            aside.mkdir(parents=True, exist_ok=True)
            write_csv(findings, aside / "audit.csv")
            page.write(survey, findings, aside / "audit.html")
            os.rename(aside, place)
        except OSError as error:
            if not place.is_dir():  # otherwise another process was first
                raise UserError(f"cache.dir: cannot write {place.parent}: {error}") from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return Audit(findings, place)
