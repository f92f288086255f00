"""Refuses columns that give the label away by what training rows show."""

from collections.abc import Sequence

import numpy as np

from melanoma_exp.data.inputs import names
from melanoma_exp.data.inputs.encoding import Row, level, number
from melanoma_exp.data.inputs.spec import Inputs
from melanoma_exp.spec import did_you_mean

# Adjusted mutual information with the class, over the smaller entropy: 1 where one determines the
# other, 0 by chance. On 3,048 lesions of HAM10000 sex has .01, age .13 and the site .14 (at most
# .19 on 300 of them); how the diagnosis was made, dx_type, .31; a label with 10 % mistakes .75.
DETERMINED = 0.3
CHANCE = 10.0  # over the number of lesions: how far it may be above that in few of them
BANDS = 10  # of equal size, into which numbers are divided for it
OF_ITS_OWN = 0.5  # words a lesion, above which a column names lesions
FEWEST = 20  # lesions that the last rule needs


def absent(inputs: Inputs, rows: Sequence[Row], where: str) -> list[str]:
    """Returns a line for each column that no row has, or that is unknown in every row.

    Args:
        inputs: The columns.
        rows: By column its text.
        where: What the rows are, for the message.
    """
    there = sorted({column for row in rows for column in row})
    lines = []
    for column in inputs.columns:
        if column not in there:
            known = f"; they have {', '.join(there)}" if there else ""
            hint = did_you_mean(column, there, known)
            lines.append(f"dataset.inputs: the metadata have no column {column}{hint}")
        elif not any(level(row.get(column, "")) for row in rows):
            lines.append(
                f"dataset.inputs: {column} is unknown in every row of {where}; leave it out"
            )
    return lines


def determined(
    inputs: Inputs,
    rows: Sequence[Row],
    label: np.ndarray,
    group: np.ndarray,
    classes: Sequence[str],
) -> list[str]:
    """Returns a line for each column that says too much of the class, or names lesions.

    A lesion counts once, however many images it has.

    Args:
        inputs: The columns; each is there and numbers are numbers.
        rows: Of the n training images.
        label: int64 (n,).
        group: str (n,).
        classes: Their names.
    """
    _, first = np.unique(group, return_index=True)
    rows, label = [rows[k] for k in first], label[first]
    lines = []
    for column in inputs.columns:
        if column.casefold() in {name.casefold() for name in classes}:
            lines.append(_refused(column, "is named as a class"))
            continue
        cells = [row.get(column, "") for row in rows]
        values = _bands(cells) if column in inputs.numeric else np.array([level(c) for c in cells])
        words = len(set(values[values != ""]))
        known = (values != "").astype(int)
        if column in inputs.categorical and _is_name(words, int(known.sum())):
            why = f"has {words} values in {known.sum()} lesions: it names lesions"
            lines.append(_refused(column, why))
            continue
        for what, found in (("", values), ("whether it is known ", known)):
            if (share := _information(found, label)) > DETERMINED + CHANCE / len(rows):
                why = f"{what}tells the class of training images ({share:.2f} of 1; by chance 0)"
                lines.append(_refused(column, why))
                break
    return lines


def _refused(column: str, why: str) -> str:
    return f"dataset.inputs: {names.refused(column, why)}"


def _is_name(words: int, lesions: int) -> bool:
    return lesions >= FEWEST and words > OF_ITS_OWN * lesions


def _bands(cells: Sequence[str]) -> np.ndarray:
    """Returns the band of each number, "" where it is unknown, str (n,)."""
    values = np.array([number(cell) for cell in cells])
    known = ~np.isnan(values)
    if not known.any():
        return np.full(len(values), "")
    borders = np.unique(np.quantile(values[known], np.arange(1, BANDS) / BANDS))
    band = np.searchsorted(borders, values, side="right").astype(str)
    return np.where(known, band, "")


def _information(values: np.ndarray, label: np.ndarray) -> float:
    """Returns the adjusted mutual information over the smaller entropy.

    Vinh, Epps and Bailey, Information theoretic measures for clusterings comparison, JMLR 2010.
    """
    from sklearn.metrics import adjusted_mutual_info_score

    if len(set(values.tolist())) < 2 or len(set(label.tolist())) < 2:
        return 0.0  # scikit-learn calls two constants equal
    return float(adjusted_mutual_info_score(label, values, average_method="min"))
