"""Running headers, footers and page numbers: what comes back at the edges of many pages.

Furniture enters no chunk, so a row that might be content stays in the body: it must stand apart from the body
and come back letter by letter. Only page numbers may differ.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from ragwright.ingest.pdf_layout import Line, Page, box_of, join_row, rows_of

_Key = tuple[str, bool, int]  # text without page numbers, whether at the top, height on the page

_BAND = 0.17  # share of the page height in which running headers and footers stand
_BLOCK_ROWS = 3  # rows from an edge among which the gap to the body is looked for
_EDGE_ROWS = 2  # no more rows than these become furniture at an edge
_WIDE_STEP = 1.45  # usual line distances from an edge row to the body
_SMALL = 0.9  # of the body's font size
_WINDOW = 4  # pages on either side among which a running head comes back
_FAR = 100  # more pages than these never stand before page 1 of a numbering with words beside the numbers
_NUMBER = r"(?P<number>\d{1,4})(?:\s*(?:of|/|von|sur|de)\s*\d{1,4})?"
_PAGE_NUMBER = re.compile(
    rf"[-–—|\s]*(?:(?P<word>page|seite|p\.)\s*)?(?:{_NUMBER}|[ivxl]{{1,7}})[-–—|\s]*", re.IGNORECASE
)
_PAGE_PHRASE = re.compile(rf"\b(?:page|seite|p\.)\s*{_NUMBER}", re.IGNORECASE)
_BESIDE = re.compile(r"^(\d{1,4})\s+\D|[|–—·•]\s*(\d{1,4})$")


@dataclass(frozen=True, slots=True)
class _Row:
    """A row at an edge: its runs, and whether it is at the top, apart from the body, and the outermost."""

    runs: Sequence[Line]
    line: Line
    top: bool
    apart: bool
    outermost: bool


def split_furniture(pages: Sequence[Page]) -> list[tuple[list[Line], list[Line], list[Line]]]:
    """Take running headers, footers and page numbers out of every page.

    Returns:
        For each page: rows of the head, the lines of the body, and rows of the foot. A row counts when it
        stands apart from the body and its text, but for page numbers, comes back at the same height on pages
        nearby; when it holds a number that counts along with the pages; or when it is nothing but a page
        number at the very edge. At most two rows at either edge count.
    """
    candidates = list(zip(pages, _edge_rows(pages), strict=True))
    needed = 2 if len(pages) < 5 else 3
    places: defaultdict[_Key, set[int]] = defaultdict(set)
    offsets: Counter[tuple[int, bool]] = Counter()
    for page, rows in candidates:
        for row in rows:
            places[_key(row)].add(page.number)
        offsets.update({(number - page.number, row.top) for row in rows for number in _numbers(row, page)})
    counting = {key for key, count in offsets.items() if count >= max(needed, 0.3 * len(pages))}
    result = []
    for page, rows in candidates:
        counted = [
            any((number - page.number, row.top) in counting for number in _numbers(row, page)) for row in rows
        ]
        back = [_nearby(places[_key(row)], page.number) >= needed for row in rows]
        result.append(_split(page, [
            row for row, counts, comes_back in zip(rows, counted, back, strict=True)
            if _is_furniture(row, counts=counts, comes_back=comes_back)
        ]))  # fmt: skip
    return result


def _is_furniture(row: _Row, *, counts: bool, comes_back: bool) -> bool:
    """Whether a row whose number counts along, or whose text comes back, is no content."""
    alone = _PAGE_NUMBER.fullmatch(row.line.text)
    if not row.apart:
        return alone is not None and counts
    if counts or comes_back:
        return True
    # Without other pages to compare with, a year or a part's number could stand alone as well.
    return alone is not None and row.outermost and (bool(alone["word"]) or len(alone["number"] or "") <= 3)


def _nearby(numbers: set[int], number: int) -> int:
    """How many of the pages around one have the row; a head may stand on every other page only."""
    return sum(number + step in numbers for step in range(-_WINDOW, _WINDOW + 1))


def _edge_rows(pages: Sequence[Page]) -> list[list[_Row]]:
    """For every page the rows near its top, then those near its bottom, each from the edge inwards."""
    rows_by_page = [rows_of(page.lines) for page in pages]
    joined = [[join_row(row) for row in rows] for rows in rows_by_page]
    small = _SMALL * _body_size(line for rows in joined for line in rows)
    step = _usual_step(joined)
    result = []
    for page, rows, lines in zip(pages, rows_by_page, joined, strict=True):
        _, bottom, _, top = page.bounds
        reach = _BAND * (top - bottom)
        high = [at for at, line in enumerate(lines) if line.top > top - reach]
        low = [at for at, line in enumerate(lines) if line.bottom < bottom + reach and at not in high]
        apart = {True: _apart(lines, step), False: _apart(lines[::-1], step)}
        result.append([
            _Row(rows[at], lines[at], edge, place < apart[edge] or lines[at].size < small, place == 0)
            for indices, edge in ((high, True), (low[::-1], False))
            for place, at in enumerate(indices[:_EDGE_ROWS])
        ])  # fmt: skip
    return result


def _apart(lines: Sequence[Line], step: float) -> int:
    """How many rows, from the edge inwards, a gap wider than between lines parts from the body."""
    for count, (outer, inner) in enumerate(pairwise(lines[: _BLOCK_ROWS + 1]), start=1):
        if abs(outer.baseline - inner.baseline) > _WIDE_STEP * step * max(outer.size, inner.size):
            return count
    return len(lines) if len(lines) <= _EDGE_ROWS else 0


def _body_size(lines: Iterable[Line]) -> float:
    """The font size in which most characters are set."""
    counts: Counter[float] = Counter()
    for line in lines:
        counts[line.size] += len(line.text)
    return counts.most_common(1)[0][0] if counts else 10.0


def _usual_step(pages: Sequence[Sequence[Line]]) -> float:
    """The usual distance between baselines, in font sizes; 1.2 when nothing can be seen."""
    steps = [
        (upper.baseline - lower.baseline) / max(upper.size, lower.size)
        for lines in pages
        for upper, lower in pairwise(lines)
    ]
    usual = [step for step in steps if 0.8 < step < 2.2]
    return median(usual) if usual else 1.2


def _key(row: _Row) -> _Key:
    text = " ".join("#" if _PAGE_NUMBER.fullmatch(run.text) else run.text for run in row.runs)
    return text, row.top, round(row.line.baseline / 4)


def _numbers(row: _Row, page: Page) -> set[int]:
    """The numbers in a row that may be the page's: alone, after a word for page, at an outer end."""
    found = [int(match["number"]) for match in _PAGE_PHRASE.finditer(row.line.text)]
    near = {int(match[1] or match[2]) for match in _BESIDE.finditer(row.line.text)}
    alone = _PAGE_NUMBER.fullmatch(row.line.text)
    if alone is not None:
        return {int(alone["number"])} if alone["number"] else set()
    left, _, right, _ = box_of(page.lines)
    for run in row.runs:
        outer = run.left < left + run.size or run.right > right - run.size
        match = _PAGE_NUMBER.fullmatch(run.text)
        if outer and match is not None and match["number"]:
            near.add(int(match["number"]))
    return {*found, *(number for number in near if number - page.number <= _FAR)}


def _split(page: Page, rows: Sequence[_Row]) -> tuple[list[Line], list[Line], list[Line]]:
    spans = [(row.line.bottom, row.line.top) for row in rows]
    body = [line for line in page.lines if not any(low < line.baseline < high for low, high in spans)]
    head = [row.line for row in rows if row.top]
    foot = [row.line for row in rows if not row.top]
    return head, body, foot[::-1]
