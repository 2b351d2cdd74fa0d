"""Running headers, footers and page numbers: what comes back at the edges of many pages."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from ragwright.ingest.pdf_layout import Line, Page, join_row, rows_of

_Key = tuple[str, int]  # text with digits made equal, height on the page

_BAND = 0.17  # share of the page height in which running headers and footers stand
_BAND_ROWS = 3  # no more rows than these, from either edge, are looked at
_EDGE_NUMBER = re.compile(r"^(\d{1,4})\b|\b(\d{1,4})$")
_PAGE_NUMBER = re.compile(
    r"[-–—|\s]*((page|seite|p\.)\s*)?(\d{1,4}|[ivxl]{1,7})(\s*(of|/|von|sur|de)\s*\d{1,4})?[-–—|\s]*",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"\d+")


def split_furniture(pages: Sequence[Page]) -> list[tuple[list[Line], list[Line], list[Line]]]:
    """Take running headers, footers and page numbers out of every page.

    Returns:
        For each page: rows of the head, the lines of the body, and rows of the foot. A row counts when its
        text, with digits made equal, stands at the same height on several pages, when it holds a number
        that counts along with the pages, or when it is nothing but a page number at the very edge.
    """
    candidates = [(page, _edge_rows(page)) for page in pages]
    places: defaultdict[_Key, set[int]] = defaultdict(set)
    offsets: Counter[tuple[int, bool]] = Counter()
    for page, rows in candidates:
        for line, _ in rows:
            places[_key(line)].add(page.number)
        offsets.update({(number - page.number, top) for line, top in rows for number in _edge_numbers(line)})
    needed = 2 if len(pages) < 5 else 3
    common = {
        (key, one) for key, on in places.items() if len(on) >= needed for one in on if _has_near(on, one)
    }
    counting = {key for key, count in offsets.items() if count >= max(needed, 0.3 * len(pages))}
    return [_split(page, rows, common, counting) for page, rows in candidates]


def _edge_rows(page: Page) -> list[tuple[Line, bool]]:
    """Joined rows near the top (True) and the bottom (False) edge, from the edge inwards."""
    _, bottom, _, top = page.bounds
    reach = _BAND * (top - bottom)
    high = rows_of(line for line in page.lines if line.top > top - reach)[:_BAND_ROWS]
    low = rows_of(line for line in page.lines if line.bottom < bottom + reach)[-_BAND_ROWS:]
    return [(join_row(row), True) for row in high] + [(join_row(row), False) for row in reversed(low)]


def _has_near(numbers: set[int], number: int) -> bool:
    """Whether one of the next two pages on either side is among them: running heads run on."""
    return any(number + step in numbers for step in (-2, -1, 1, 2))


def _key(line: Line) -> _Key:
    return _DIGITS.sub("0", line.text.casefold()), round(line.baseline / 4)


def _edge_numbers(line: Line) -> set[int]:
    return {int(match.group(1) or match.group(2)) for match in _EDGE_NUMBER.finditer(line.text)}


def _split(
    page: Page,
    rows: Sequence[tuple[Line, bool]],
    common: set[tuple[_Key, int]],
    counting: set[tuple[int, bool]],
) -> tuple[list[Line], list[Line], list[Line]]:
    chosen = [
        (line, top)
        for position, (line, top) in enumerate(rows)
        if (_key(line), page.number) in common
        or any((number - page.number, top) in counting for number in _edge_numbers(line))
        or (_PAGE_NUMBER.fullmatch(line.text) and (position == 0 or position == _first_low(rows)))
    ]
    spans = [(line.bottom, line.top) for line, _ in chosen]
    body = [line for line in page.lines if not any(low < line.baseline < high for low, high in spans)]
    head = [line for line, top in chosen if top]
    foot = [line for line, top in chosen if not top]
    return head, body, foot[::-1]


def _first_low(rows: Sequence[tuple[Line, bool]]) -> int:
    return next((index for index, (_, top) in enumerate(rows) if not top), -1)
