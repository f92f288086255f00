"""What people save as a CSV: separators, encodings, empty rows; and what is none."""

import zipfile

import pytest

from melanoma_exp.data.layouts.csv_text import CsvRow, read
from melanoma_exp.spec import UserError

ROWS = [("image_id", "patient_id"), ("img1", "P1"), ("img2", "P2")]
WANTED = [
    CsvRow(2, {"image_id": "img1", "patient_id": "P1"}),
    CsvRow(3, {"image_id": "img2", "patient_id": "P2"}),
]


def text(separator=",", end="\n", rows=ROWS) -> str:
    return "".join(separator.join(row) + end for row in rows)


FORMS = {
    "comma": text().encode(),
    "semicolon of Excel": text(";", "\r\n").encode("utf-8-sig"),
    "tab": text("\t").encode(),
    "bar": text("|").encode(),
    "spaces": text(", ").encode(),
    "UTF-16": text("\t", "\r\n").encode("utf-16"),
    "no last line end": text().strip().encode(),
    "quotes": text('", "').replace("\n", '"\n"').strip('"').join('"' * 2).encode()[:-1],
    "columns and rows without text": text(",", ",,\n").encode() + b",,,\n\n , \n",
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_rows(tmp_path, form):
    (tmp_path / "a.csv").write_bytes(FORMS[form])
    found = read(tmp_path / "a.csv", ["image_id", "patient_id"])
    assert [{k: v for k, v in row.cells.items() if k} for row in found] == [r.cells for r in WANTED]
    assert [row.line for row in found] == [2, 3]


def test_the_line_that_names_the_separator_is_obeyed_and_counted(tmp_path):
    (tmp_path / "a.csv").write_text("sep=|\n" + text("|"))
    rows = read(tmp_path / "a.csv", ["image_id"])
    assert [(row.line, row.cells["image_id"]) for row in rows] == [(3, "img1"), (4, "img2")]


def test_a_separator_within_a_cell_separates_nothing(tmp_path):
    (tmp_path / "a.csv").write_text('image_id;note\nimg1;"a; b, c"\nimg2;x,y\n')
    rows = read(tmp_path / "a.csv", ["image_id"])
    assert [row.cells["note"] for row in rows] == ["a; b, c", "x,y"]


def book(path, inner):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(inner, "x")
    return path.read_bytes()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
            "is an old Excel workbook (.xls), not a CSV: save it as .xlsx",
        ),
        (b"\x1f\x8b\x08\x00", "is compressed"),
        (b"PAR1\x15\x04", "is a Parquet file"),
        (b"SQLite format 3\0", "is a SQLite database"),
        (text().encode("utf-16")[2:], "is not text in UTF-8"),
        (text(rows=[("Image_ID", "patient"), ROWS[1]]).encode(), "did you mean Image_ID?"),
        (b"image_id,image_id\na,b\n", "has the column image_id twice"),
        (
            b'image_id,x\nimg1,"a\nimg2,b\nimg3,c\n',
            "line 2: has a quotation mark that is never closed",
        ),
        (b"[{}]", "lacks the column image_id; it has [{}]"),
        (b"", "lacks the column image_id; it has none"),
    ],
)
def test_what_is_no_such_csv_is_named_in_one_line(tmp_path, content, said):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(UserError) as refused:
        read(tmp_path / "a.csv", ["image_id"])
    (line,) = refused.value.lines
    assert said in line and str(tmp_path / "a.csv") in line


def test_archives_are_named_by_what_they_hold(tmp_path):
    for inner, said in (("xl/workbook.xml", "an Excel workbook"), ("a.csv", "a zip archive")):
        book(tmp_path / "a.csv", inner)
        with pytest.raises(UserError, match=said):
            read(tmp_path / "a.csv", ["image_id"])
