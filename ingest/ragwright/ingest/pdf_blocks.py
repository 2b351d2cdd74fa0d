"""From lines in reading order to headings, paragraphs, list items, captions and tables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ragwright.core.types import BlockKind
from ragwright.ingest.pdf_furniture import split_furniture
from ragwright.ingest.pdf_layout import Box, Line, Page, box_of, join_row, reading_order, rows_of
from ragwright.ingest.pdf_paragraphs import (
    CAPTION,
    LEADERS,
    Compounds,
    is_item,
    join_lines,
    paragraphs,
)
from ragwright.ingest.pdf_table import Table, split_tables
from ragwright.ingest.pdf_titles import Entry, Group, Headings

_NOTE_SIZE = 0.92  # of the body's font size; what is smaller at a column's foot is a note
_SENTENCE_END = re.compile(r"[.!?:;。！？][\"'”’)\]]*$")


@dataclass(frozen=True, slots=True)
class Piece:
    """A block before it has a place in the text.

    Attributes:
        kind: What it is.
        page: From 1.
        box: Around its lines.
        text: Joined from its lines; "" for a table.
        level: Of a title.
        size: Font size in points; 0 for a table.
        table: The cells of a table.
    """

    kind: BlockKind
    page: int
    box: Box
    text: str = ""
    level: int | None = None
    size: float = 0.0
    table: Table | None = None


def blocks_of(pages: Sequence[Page], outline: Sequence[Entry] = ()) -> list[Piece]:
    """What stands on the pages, in reading order.

    Args:
        pages: In order.
        outline: Bookmarks; a line with the title of one of its page is a heading of its level.

    Returns:
        Pieces page by page: running head, body, running foot.
    """
    compounds = Compounds(line.text for page in pages for line in page.lines)
    parts = zip(pages, split_furniture(pages), strict=True)
    groups = [group for page, part in parts for group in _page_groups(page.number, *part)]
    headings = Headings(groups, outline)
    return [_piece(group, headings, compounds) for group in groups]


def _page_groups(page: int, head: list[Line], body: list[Line], foot: list[Line]) -> list[Group]:
    groups: list[Group] = []
    for region in reading_order(body):
        found = _region_groups(page, region)
        groups = _joined(groups, found)
    return [
        *(Group(page, (line,), furniture=True) for line in head),
        *groups,
        *(Group(page, (line,), furniture=True) for line in foot),
    ]


def _region_groups(page: int, region: Sequence[Line]) -> list[Group]:
    groups: list[Group] = []
    lines: list[Line] = []
    for part in split_tables(rows_of(region)):
        if isinstance(part, Table):
            groups += [Group(page, tuple(one)) for one in paragraphs(lines)]
            groups.append(Group(page, table=part))
            lines = []
        else:
            lines.append(join_row(part))
    return groups + [Group(page, tuple(one)) for one in paragraphs(lines)]


def _joined(before: list[Group], after: list[Group]) -> list[Group]:
    """Both in order; a paragraph that goes on at the top of the next column becomes one group."""
    if not before or not after or not after[0].lines:
        return before + after
    rest = after[0]
    at = len(before) - 1
    while at > 0 and before[at].lines and before[at].style[0] < _NOTE_SIZE * rest.style[0]:
        at -= 1  # a footnote at the foot of the column
    if not _goes_on(before[at], rest):
        return before + after
    whole = replace(before[at], lines=before[at].lines + rest.lines)
    return [*before[:at], whole, *before[at + 1 :], *after[1:]]


def _goes_on(first: Group, rest: Group) -> bool:
    """Whether the second group is the end of a sentence that the first one begins in the column before."""
    if not first.lines or is_item(rest.text) or CAPTION.match(first.text) or LEADERS.search(first.text):
        return False
    (size, bold), (next_size, next_bold) = first.style, rest.style
    alike = bold == next_bold and abs(size - next_size) <= 0.12 * size
    (_, bottom, right, _), (left, _, _, top) = box_of(first.lines), box_of(rest.lines)
    beside = left > right - size and top > bottom
    return alike and beside and rest.text[0].islower() and not _SENTENCE_END.search(first.text)


def _piece(group: Group, headings: Headings, compounds: Compounds) -> Piece:
    if group.table is not None:
        return Piece("table", group.page, group.table.box, table=group.table)
    text, box = join_lines([line.text for line in group.lines], compounds), box_of(group.lines)
    level = None if group.furniture else headings.level(group)
    return Piece(_kind(group, text, level), group.page, box, text, level, group.style[0])


def _kind(group: Group, text: str, level: int | None) -> BlockKind:
    if group.furniture:
        return "furniture"
    if level is not None:
        return "title"
    if CAPTION.match(text):
        return "caption"
    return "list_item" if is_item(text) or LEADERS.search(text) else "paragraph"
