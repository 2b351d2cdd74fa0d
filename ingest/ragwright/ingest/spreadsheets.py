"""CSV, TSV and XLSX as grids.

The partitioner reads both through pandas, which turns "007" into 7, drops the text "NA" and rounds columns of
fractions to six digits; so the cells are read directly.
"""

from __future__ import annotations

import csv
import datetime
from collections.abc import Iterator, Sequence
from io import BytesIO, StringIO

from ragwright.core.errors import InputError
from ragwright.ingest.canonical import TextBuilder
from ragwright.ingest.charset import decode_markup
from ragwright.ingest.tables import first_row_is_header, header_rows, is_number, tidy

_DELIMITERS = ",;\t|"
_SAMPLE_ROWS = 50
_MAX_FIELD = 2**31 - 1


def add_delimited(builder: TextBuilder, data: bytes, *, delimiter: str = "") -> None:
    """Append a CSV or TSV file as one table.

    Args:
        builder: Receives the table.
        data: The file.
        delimiter: Between cells; "" finds the one that parts the first rows most evenly.
    """
    text = decode_markup(data).lstrip("\ufeff").replace("\x00", "")
    rows = [row for row in _rows(text, delimiter or _delimiter(text)) if any(cell.strip() for cell in row)]
    builder.add_table(rows, header_rows=first_row_is_header(rows))


def add_workbook(builder: TextBuilder, data: bytes) -> None:
    """Append every visible sheet: its name as a title, its notes as paragraphs, its ranges as tables.

    Raises:
        ValueError, KeyError, BadZipFile: It is not a workbook.
    """
    import openpyxl

    workbook = openpyxl.load_workbook(BytesIO(data), read_only=True, data_only=True)
    try:
        for page, sheet in enumerate(workbook.worksheets, 1):
            if sheet.sheet_state != "visible":
                continue
            sheet.reset_dimensions()  # files claim a million columns
            rows = [_trimmed([_shown(value) for value in row]) for row in sheet.iter_rows(values_only=True)]
            if any(rows):
                builder.add("title", str(sheet.title), level=2, page=page)
            for region in _regions(rows):
                _add_region(builder, region, page)
    finally:
        workbook.close()


def _rows(text: str, delimiter: str) -> Iterator[list[str]]:
    previous = csv.field_size_limit(_MAX_FIELD)
    try:
        yield from csv.reader(StringIO(text, newline=""), delimiter=delimiter)
    except csv.Error as error:
        raise InputError(f"not a readable table of cells: {error}") from error
    finally:
        csv.field_size_limit(previous)


def _delimiter(text: str) -> str:
    """The delimiter that gives most of the first rows one and the same number of cells, above one."""
    best, best_score = ",", 0.0
    for delimiter in _DELIMITERS:
        widths = [
            len(row) for row, _ in zip(_rows(text, delimiter), range(_SAMPLE_ROWS), strict=False) if row
        ]
        common = max(set(widths), key=widths.count, default=1)
        score = widths.count(common) / len(widths) if common > 1 else 0.0
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _shown(value: object) -> str:
    """A cell as a reader sees it, as far as its value tells."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ")
    return " ".join(str(value).split())


def _trimmed(row: list[str]) -> list[str]:
    while row and not row[-1]:
        row.pop()
    return row


def _regions(rows: Sequence[list[str]]) -> Iterator[list[list[str]]]:
    """Runs of rows that belong together: a blank row before a row of headings or a note parts them."""
    region: list[list[str]] = []
    blank = False
    for row in rows:
        if not row:
            blank = True
            continue
        if blank and region and not any(map(is_number, row)):
            yield region
            region = []
        region.append(row)
        blank = False
    if region:
        yield region


def _add_region(builder: TextBuilder, region: list[list[str]], page: int) -> None:
    """Append single-cell rows at both ends as paragraphs and what lies between as a table."""
    wide = [number for number, row in enumerate(region) if sum(map(bool, row)) > 1]
    first, last = (wide[0], wide[-1] + 1) if wide else (len(region), len(region))
    for row in region[:first]:
        builder.add("paragraph", " ".join(filter(None, row)), page=page)
    table = tidy(region[first:last])
    builder.add_table(table, header_rows=header_rows(table) or first_row_is_header(table), page=page)
    for row in region[last:]:
        builder.add("paragraph", " ".join(filter(None, row)), page=page)
