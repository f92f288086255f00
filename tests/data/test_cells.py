"""What cells say: words for unknown are unknown in every column, everything else is kept."""

import pytest

from melanoma_exp.data.cells import is_unknown, known
from melanoma_exp.data.listing import Row, from_rows

UNKNOWN = ["", " ", "NA", "n/a", "NaN", " nan ", "None", "NULL", "unknown", "Unknown ", "UNKNOWN"]
UNKNOWN += ["-", "--", "\N{EM DASH}", "?", "???", ".", "\N{HORIZONTAL ELLIPSIS}", "<NA>", "#N/A"]
UNKNOWN += ["\N{FULLWIDTH QUESTION MARK}", "\N{NO-BREAK SPACE}", "not available", "#REF!", None]
KNOWN = [
    "0",
    "-1",
    "L1",
    "UNK",
    "nano",
    "nevus",
    "no",
    "none seen",
    "+",
    "N/A-7",
    "Nan Madol",
    "A?",
]


@pytest.mark.parametrize("cell", UNKNOWN)
def test_a_word_for_unknown_is_unknown(cell):
    assert known(cell) == "" and is_unknown(cell)


@pytest.mark.parametrize("cell", KNOWN)
def test_other_words_are_kept_without_margins(cell):
    assert known(f" {cell}\t") == cell and not is_unknown(cell)


def test_unknown_lesions_join_nothing_and_unknown_metadata_are_empty(tmp_path):
    words = ["NA", "nan", "None", "?", "-", "unknown", "L1", "L1"]
    listing = from_rows(
        [
            Row(tmp_path / f"{k}.png", f"{k}.png", "nevus", word, metadata={"sex": word})
            for k, word in enumerate(words)
        ]
    )
    assert len(set(listing.samples.group)) == 7
    assert listing.samples.group[6] == listing.samples.group[7]
    assert listing.lesions == ("",) * 6 + ("L1", "L1")
    assert [row["sex"] for row in listing.metadata.values()] == list(listing.lesions)
