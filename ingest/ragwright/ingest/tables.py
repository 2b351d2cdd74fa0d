"""Tables as grids of cell texts: from HTML elements, and which of their rows are column headings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MAX_COLUMNS = 2_000  # a span attribute may claim millions
MAX_HEADER_ROWS = 4
_NUMBER = re.compile(r"[(\[+\-–−$€£¥~≈<>≤≥]*\s*\d[\d\s.,'’]*\s*[)\]%‰$€£¥]*")
_YEAR = re.compile(r"(19|20)\d\d")
_OPENING = frozenset("$€£¥")
_CLOSING = re.compile(r"[)\]%]+")
_BLANK = re.compile(r"[-–—\s]*")


@dataclass(frozen=True, slots=True)
class Grid:
    """A table.

    Attributes:
        rows: Cell texts, all rows of one length.
        header_rows: How many of the first rows are column headings.
        caption: Its caption, or "".
    """

    rows: list[list[str]]
    header_rows: int
    caption: str = ""


def is_number(cell: str) -> bool:
    """Whether a cell holds an amount; a bare year is a heading as often, so it does not count.

    >>> [is_number(cell) for cell in ("1,234", "(5.2)%", "$ 12", "2021", "Revenue", "")]
    [True, True, True, False, False, False]
    """
    cell = cell.strip()
    return _NUMBER.fullmatch(cell) is not None and _YEAR.fullmatch(cell) is None


def header_rows(rows: Sequence[Sequence[str]]) -> int:
    """How many of the first rows are column headings, for a table that does not say so.

    The rows before the first amount are headings if there are few of them; without any amount the first
    row is, when it fills its columns.
    """
    if len(rows) < 2:
        return 0
    with_numbers = [any(is_number(cell) for cell in row) for row in rows]
    if True in with_numbers:
        first = with_numbers.index(True)
        return first if first <= MAX_HEADER_ROWS else 1
    width = max(len(row) for row in rows)
    filled = sum(bool(cell.strip()) for cell in rows[0])
    return 1 if width > 1 and filled >= width - 1 and max(map(len, rows[0])) <= 80 else 0


def first_row_is_header(rows: Sequence[Sequence[str]]) -> int:
    """1 when the first row of a data file names its columns, else 0: half of it are amounts."""
    if len(rows) < 2:
        return 0
    filled = [cell for cell in rows[0] if cell.strip()]
    return int(2 * sum(map(is_number, filled)) < max(1, len(filled)))


def grid_of(table: Any) -> Grid:
    """The grid of an HTML table: spans resolved, spacer columns dropped, currency signs with their amounts.

    A cell that spans rows is repeated in each, so that every row reads alone; one that spans columns is not.
    """
    elements = [row for row in table.iter("tr") if _owner(row) is table]
    marked = _marked_headers(elements)
    rows = _spread(elements)
    kept = [number for number, row in enumerate(rows) if any(row)]
    rows = tidy([rows[number] for number in kept])
    heading = sum(1 for number in kept if number < marked) if marked else header_rows(rows)
    caption = next((cell_text(child) for child in table if child.tag == "caption"), "")
    return Grid(align_headings(rows, heading), heading, caption)


def align_headings(rows: Sequence[Sequence[str]], heading: int) -> list[list[str]]:
    """Move a heading over its amounts, where a spanning cell left it in a spacer column before them.

    >>> align_headings([["", "2021", ""], ["Cash", "", "$5"]], 1)
    [['', '2021'], ['Cash', '$5']]
    """
    aligned = [list(row) for row in rows]
    for column in range(len(aligned[0]) - 2 if aligned else -1, -1, -1):
        above = any(row[column] for row in aligned[:heading]) and not any(
            row[column] for row in aligned[heading:]
        )
        below = any(row[column + 1] for row in aligned[heading:]) and not any(
            row[column + 1] for row in aligned[:heading]
        )
        if above and below:
            for row in aligned:
                row[column : column + 2] = [row[column] or row[column + 1]]
    return aligned


def tidy(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Join currency signs and closing brackets to their amounts and drop columns without any text.

    >>> tidy([["Cash", "", "$", "1,234", ")"], ["Debt", "", "", "(5", ")"]])
    [['Cash', '$1,234)'], ['Debt', '(5)']]
    """
    joined = [_join_signs(row) for row in rows]
    width = max(map(len, joined), default=0)
    padded = [row + [""] * (width - len(row)) for row in joined]
    used = [column for column in range(width) if any(row[column] for row in padded)]
    return [[row[column] for column in used] for row in padded]


def cell_text(cell: Any) -> str:
    """A cell's text with single spaces; line breaks and inner blocks part words."""
    parts: list[str] = []
    for event, element in _walk(cell):
        if event == "start":
            if element.tag in _BREAKING:
                parts.append(" ")
            parts.append(element.text or "")
        else:
            if element.tag in _BREAKING:
                parts.append(" ")
            if element is not cell:
                parts.append(element.tail or "")
    return " ".join("".join(parts).split())


_BREAKING = frozenset(
    [
        "br",
        "p",
        "div",
        "li",
        "ul",
        "ol",
        "td",
        "th",
        "tr",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "dd",
        "dt",
    ]
)


def _walk(element: Any) -> Any:
    """Yield ("start" | "end", element) in document order without recursion."""
    stack = [(element, iter(element))]
    yield "start", element
    while stack:
        current, children = stack[-1]
        child = next(children, None)
        if child is None:
            stack.pop()
            yield "end", current
        else:
            yield "start", child
            stack.append((child, iter(child)))


def _owner(element: Any) -> Any:
    """The nearest table around an element."""
    return next(element.iterancestors("table"), None)


def _marked_headers(rows: Sequence[Any]) -> int:
    """How many leading rows stand in <thead> or consist of <th> only."""
    count = 0
    for row in rows:
        cells = [cell for cell in row if cell.tag in ("td", "th")]
        in_head = row.getparent().tag == "thead"
        if not in_head and not (cells and all(cell.tag == "th" for cell in cells)):
            break
        count += 1
    return count


def _spread(elements: Sequence[Any]) -> list[list[str]]:
    """Cell texts by row and column, spans resolved."""
    pending: dict[int, tuple[str, int]] = {}  # column -> text and how many rows it still covers
    rows: list[list[str]] = []
    for element in elements:
        row: list[str] = []
        for cell in (child for child in element if child.tag in ("td", "th")):
            _fill(row, pending)
            text, down = cell_text(cell), _span(cell, "rowspan", len(elements))
            for offset in range(_span(cell, "colspan", MAX_COLUMNS - len(row))):
                if down > 1:
                    pending[len(row)] = (text if not offset else "", down - 1)
                row.append(text if not offset else "")
        _fill(row, pending)
        rows.append(row)
    return rows


def _fill(row: list[str], pending: dict[int, tuple[str, int]]) -> None:
    """Append the cells that rows above span into the next columns."""
    while (column := len(row)) in pending:
        text, left = pending.pop(column)
        if left > 1:
            pending[column] = (text, left - 1)
        row.append(text)


def _span(cell: Any, attribute: str, limit: int) -> int:
    value = (cell.get(attribute) or "1").strip()
    return max(1, min(int(value), limit)) if value.isascii() and value.isdigit() and len(value) < 9 else 1


def _join_signs(row: Sequence[str]) -> list[str]:
    """Move "$" to the amount after it and ")" or "%" to the one before it."""
    cells = list(row)
    for column, cell in enumerate(cells):
        if cell in _OPENING:
            after = next((later for later in range(column + 1, len(cells)) if cells[later]), None)
            if after is not None and (is_number(cells[after]) or _BLANK.fullmatch(cells[after])):
                cells[after], cells[column] = cell + cells[after], ""
        elif cell and _CLOSING.fullmatch(cell):
            before = next((earlier for earlier in range(column - 1, -1, -1) if cells[earlier]), None)
            if before is not None and cells[before][-1].isdigit():
                cells[before], cells[column] = cells[before] + cell, ""
    return cells
