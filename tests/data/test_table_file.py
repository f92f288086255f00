"""Workbooks and Parquet files give the rows that a CSV of the same table gives."""

import datetime

import pytest

from melanoma_exp.data.layouts.table_file import headings, read
from melanoma_exp.spec import UserError

HEADING = ["image_id", "age", "bled", "seen", "note"]
CELLS = [
    ["img1", 50.0, True, datetime.datetime(2020, 1, 2), "a\n b"],
    ["img2", None, False, datetime.date(2021, 3, 4), None],
    ["img3", 1.5, None, None, "c"],
]
WANTED = [
    ["img1", "50", "True", "2020-01-02", "a b"],
    ["img2", "", "False", "2021-03-04", ""],
    ["img3", "1.5", "", "", "c"],
]


def workbook(path, *above):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["another sheet"])
    sheet = book.create_sheet()
    for row in (*above, HEADING, *CELLS, [None] * 5):
        sheet.append(row)
    book.save(path)


def parquet(path, *above):
    pyarrow = pytest.importorskip("pyarrow")
    writer = pytest.importorskip("pyarrow.parquet")
    dates = [[*row[:3], row[3] and row[3].isoformat()[:10], row[4]] for row in CELLS]
    columns = dict(zip(HEADING, map(list, zip(*dates, strict=True)), strict=True))
    writer.write_table(pyarrow.table(columns), path)


@pytest.mark.parametrize(
    ("save", "above"),
    [(workbook, []), (workbook, [["A title"], [None], ["image_id", "legend"]]), (parquet, [])],
)
def test_the_rows_are_those_of_a_csv(tmp_path, save, above):
    path = tmp_path / "table"  # the content decides what it is
    save(path, *above)
    rows = read(path, ["image_id", "age"])
    assert [[row.cells[name] for name in HEADING] for row in rows] == WANTED
    assert [row.line for row in rows] == [2 + len(above), 3 + len(above), 4 + len(above)]
    if not above and save is parquet:
        assert headings(path) == HEADING


def test_a_missing_column_is_named_with_those_that_there_are(tmp_path):
    parquet(tmp_path / "t.parquet")
    with pytest.raises(UserError, match=r"lacks the column imag_id; it has image_id, age.*mean"):
        read(tmp_path / "t.parquet", ["imag_id"])


@pytest.mark.parametrize("save", [workbook, parquet])
def test_a_damaged_file_is_one_line(tmp_path, save):
    save(tmp_path / "t")
    content = (tmp_path / "t").read_bytes()
    middle = len(content) // 3
    (tmp_path / "t").write_bytes(content[:middle] + bytes(200) + content[middle + 200 :])
    with pytest.raises(UserError) as refused:
        read(tmp_path / "t", ["image_id"])
    (line,) = refused.value.lines
    assert str(tmp_path / "t") in line and "\n" not in line


def test_without_its_library_a_file_says_what_to_install(tmp_path, monkeypatch):
    parquet(tmp_path / "t.parquet")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(UserError, match=r"not installed: pip install 'melanoma_exp\[tables\]'"):
        read(tmp_path / "t.parquet", ["image_id"])
