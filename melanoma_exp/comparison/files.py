"""The comparison as files."""

from pathlib import Path

from melanoma_exp.comparison import comparison_html, table
from melanoma_exp.comparison.build import Comparison
from melanoma_exp.spec import UserError
from melanoma_exp.tracking.archive import Archive


def write(archive: Archive, found: Comparison, out: Path, images: int, cache: Path) -> None:
    """Writes `comparison.html`, `comparison.csv` and `comparison.md`, replacing earlier ones.

    Args:
        archive: Where curves are read from.
        found: What to show.
        out: The folder, made where there is none.
        images: Pictures on the page at most.
        cache: Holds generated datasets.

    Raises:
        UserError: The folder cannot be written.
    """
    order = found.question.alert, found.question.metric
    texts = {
        "comparison.html": comparison_html.render(archive, found, images, cache),
        "comparison.csv": table.to_csv(found.rows, found.best, *order),
        "comparison.md": table.to_markdown(found.rows, found.best, *order),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (out / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written: {error.strerror}") from error
