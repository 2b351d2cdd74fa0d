"""Finding tables among the rows of a PDF page: cautious, because prose must never become a table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ragwright.ingest.pdf_layout import Box, Line, box_of

_MIN_COLUMNS = 3
_MIN_ROWS = 3
_MAX_MEAN_CELL = 28  # characters; longer "cells" are lines of text columns
_NUMBER = re.compile(r"\W*\d[\d.,:/ –-]*\s?\S{0,4}")  # with a unit, such as `85 Nm`

Column = tuple[float, float]  # left, right


@dataclass(frozen=True, slots=True)
class Table:
    """Cells in rows of equal length.

    Attributes:
        rows: Cell texts, "" where a cell is empty.
        header_rows: How many of the first rows look like column headings, 0 or 1.
        box: Around all cells.
    """

    rows: tuple[tuple[str, ...], ...]
    header_rows: int
    box: Box


def split_tables(rows: Sequence[Sequence[Line]]) -> list[Sequence[Line] | Table]:
    """Replace the rows that form a table by that table; the others stay as they are.

    Args:
        rows: Of one region, from top to bottom.

    Returns:
        In the same order.
    """
    result: list[Sequence[Line] | Table] = []
    index = 0
    while index < len(rows):
        end = _grid_end(rows, index)
        table = _table(rows[index:end]) if end - index >= _MIN_ROWS else None
        if table is None:
            result.append(rows[index])
            index += 1
        else:
            result.append(table)
            index = end
    return result


def _grid_end(rows: Sequence[Sequence[Line]], start: int) -> int:
    """One past the last row that can belong to a table beginning at `start`."""
    if len(rows[start]) < _MIN_COLUMNS:
        return start
    end, full = start + 1, start + 1
    columns = _columns([rows[start]])
    while end < len(rows) and _near(rows[end - 1], rows[end]):
        if len(rows[end]) >= _MIN_COLUMNS:
            merged = _columns([*rows[start:end], rows[end]])
            if len(merged) < _MIN_COLUMNS:
                break
            columns, full = merged, end + 1
        elif not _continues(rows[end], columns):
            break
        end += 1
    return full + _trailing(rows[full:end], columns)


def _near(upper: Sequence[Line], lower: Sequence[Line]) -> bool:
    return box_of(upper)[1] - box_of(lower)[3] < 1.6 * lower[0].size


def _continues(row: Sequence[Line], columns: Sequence[Column]) -> bool:
    """Whether every run of a short row stands inside one column, as a wrapped or a lonely cell does."""
    return all(
        sum(line.left < right and left < line.right for left, right in columns) == 1
        and line.right <= columns[-1][1] + line.size
        and line.left >= columns[0][0] - line.size
        for line in row
    )


def _trailing(rows: Sequence[Sequence[Line]], columns: Sequence[Column]) -> int:
    """How many rows below the last full one are the rest of its wrapped cells."""
    count = 0
    for row in rows if len(columns) > 1 else ():
        if row[0].left < columns[1][0] - row[0].size:
            break
        count += 1
    return count


def _columns(rows: Sequence[Sequence[Line]]) -> list[Column]:
    """Horizontal extents covered by the runs of all rows, merged where they overlap."""
    extents = sorted((line.left, line.right) for row in rows if len(row) >= _MIN_COLUMNS for line in row)
    merged: list[Column] = []
    for left, right in extents:
        if merged and left <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(right, merged[-1][1]))
        else:
            merged.append((left, right))
    return merged


def _table(rows: Sequence[Sequence[Line]]) -> Table | None:
    """The table that the rows form, or None when they are too few or read like columns of text."""
    columns = _columns(rows)
    cells = [_cells(row, columns) for row in rows]
    full = [row for row in cells if sum(map(bool, row)) >= _MIN_COLUMNS]
    texts = [cell for row in cells for cell in row if cell]
    if len(columns) < _MIN_COLUMNS or len(full) < _MIN_ROWS:
        return None
    if sum(map(len, texts)) > _MAX_MEAN_CELL * len(texts) or _is_leader_list(texts):
        return None
    header = _looks_like_header(rows, cells)
    merged = _merge_wrapped(cells, first_body=int(header))
    lines = [line for row in rows for line in row]
    return Table(tuple(tuple(row) for row in merged), int(header), box_of(lines))


def _is_leader_list(texts: Sequence[str]) -> bool:
    """Whether dots lead from an entry to its page number, as in a table of contents."""
    return sum(text.count("...") + text.count(". .") > 0 for text in texts) > 0.2 * len(texts)


def _cells(row: Sequence[Line], columns: Sequence[Column]) -> list[str]:
    cells = [""] * len(columns)
    for line in row:
        overlaps = [min(line.right, right) - max(line.left, left) for left, right in columns]
        index = overlaps.index(max(overlaps))
        cells[index] = f"{cells[index]} {line.text}".strip()
    return cells


def _looks_like_header(rows: Sequence[Sequence[Line]], cells: Sequence[Sequence[str]]) -> bool:
    """A first row in bold above plain ones, or words above numbers."""
    rest = [line for row in rows[1:] for line in row]
    if all(line.bold for line in rows[0]):
        return sum(line.bold for line in rest) < 0.5 * len(rest)
    numbers = [sum(bool(_NUMBER.fullmatch(cell)) for cell in row) for row in cells]
    return numbers[0] == 0 and sum(count > 0 for count in numbers[1:]) > 0.5 * (len(cells) - 1)


def _merge_wrapped(cells: Sequence[list[str]], *, first_body: int) -> list[list[str]]:
    """Append rows that have no first cell, and fewer cells than a full row, to the row above."""
    merged: list[list[str]] = []
    for row in cells:
        filled = sum(map(bool, row))
        if len(merged) > first_body and not row[0] and filled < _MIN_COLUMNS:
            merged[-1] = [f"{above} {cell}".strip() for above, cell in zip(merged[-1], row, strict=True)]
        else:
            merged.append(list(row))
    return merged
