"""Reads the text table of PH2 (Mendonca et al., EMBC 2013) as the columns of its workbook.

PH2_dataset.txt has one case a line, `|| IMD003 || || 0 || 0 | T | ... || 4 ||`: cells between bars,
the diagnosis and the colours as numbers that a legend below the table explains. The workbook says
the same of a case, so a run on either has the same labels, metadata and digest.
"""

import re
from pathlib import Path

from melanoma_exp.data.layouts import csv_text
from melanoma_exp.data.layouts.csv_text import MOST, CsvRow
from melanoma_exp.system import files

START = b"||"
IMAGE = "Image Name"
DIAGNOSES = ("Common Nevus", "Atypical Nevus", "Melanoma")  # Clinical Diagnosis 0, 1, 2
CRITERIA = (
    *("Asymmetry (0/1/2)", "Pigment Network (AT/T)", "Dots/Globules (A/AT/T)"),
    *("Streaks (A/P)", "Regression Areas (A/P)", "Blue-Whitish Veil (A/P)"),
)
COLOURS = ("White", "Red", "Light-Brown", "Dark-Brown", "Blue-Gray", "Black")  # Colors 1 to 6
COLUMNS = (IMAGE, "Histological Diagnosis", *DIAGNOSES, *CRITERIA, *COLOURS)


def read(path: Path) -> list[CsvRow]:
    """Returns a row for each case.

    Raises:
        UserError: It cannot be read, or a row has other cells than a case has; a line each.
    """
    text = files.read_named(path, MOST).decode(errors="replace")
    rows, problems = [], []
    for number, line in enumerate(text.splitlines()[1:], 2):
        if not line.startswith("||"):  # the legend
            continue
        cells = [cell.strip() for cell in re.split(r"\|\|?", line)[1:-1]]
        codes = range(len(DIAGNOSES)), range(1, len(COLOURS) + 1)
        diagnosis, colours = (
            cells[2:3],
            set(cells[-1].replace(",", " ").split()) if cells else set(),
        )
        if (
            len(cells) != 4 + len(CRITERIA)
            or not set(diagnosis) <= set(map(str, codes[0]))
            or not colours <= set(map(str, codes[1]))
        ):
            problems.append(
                f"{path}, line {number}: is no case of PH2: expected a name, the histological "
                f"diagnosis, the clinical one (0 to 2), {len(CRITERIA)} criteria and colours "
                "(1 to 6) between bars"
            )
            continue
        given = ["X" if str(code) in diagnosis else "" for code in codes[0]]
        seen = ["X" if str(code) in colours else "" for code in codes[1]]
        told = [*cells[:2], *given, *cells[3:-1], *seen]
        rows.append(CsvRow(number, dict(zip(COLUMNS, told, strict=True))))
    csv_text.refuse(problems, path)
    return rows
