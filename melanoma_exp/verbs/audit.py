"""The verb `audit`."""

from pathlib import Path

from melanoma_exp.spec import UserError
from melanoma_exp.verbs.arguments import Parser, compose


def audit(words: list[str]) -> None:
    """dataset=...: looks for doubled, contradictory and unreadable images; writes audit.csv."""
    parser = Parser("audit", audit.__doc__, "melanoma-exp audit dataset=isic9 dataset.root=DIR")
    _, overrides = parser.split(words)
    from melanoma_exp import audit as auditing
    from melanoma_exp import report

    experiment = compose(overrides)
    lenient = experiment.dataset.model_copy(update={"on_bad_file": "skip"})
    data = lenient.load(experiment.cache.root())
    findings = auditing.find(data.samples, data.file_digests, data.skipped)
    path = Path("audit.csv")
    try:
        auditing.write_csv(findings, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from error
    report.print_audit(report.console(), auditing.KINDS, findings, len(data.samples), data.notes)
    print(f"every finding: {path}")
