"""From lines in reading order to headings, paragraphs, list items, captions and tables."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ragwright.core.types import BlockKind
from ragwright.ingest.pdf_furniture import split_furniture
from ragwright.ingest.pdf_layout import Box, Line, Page, box_of, join_row, reading_order, rows_of
from ragwright.ingest.pdf_paragraphs import (
    BULLET,
    CAPTION,
    LEADERS,
    Compounds,
    is_item,
    join_lines,
    paragraphs,
)
from ragwright.ingest.pdf_table import Table, split_tables

_NUMBERED = re.compile(r"(\d{1,2}(?:\.\d{1,2})*)\.?\s+\S")
_NOT_WORDS = re.compile(r"[\W_]+")
_DEEPEST = 6


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


@dataclass(frozen=True, slots=True)
class Entry:
    """A bookmark: its title, depth from 1, and page from 1 (None when it leads nowhere)."""

    title: str
    level: int
    page: int | None


@dataclass(frozen=True, slots=True)
class _Group:
    """Lines that make one block, or a table."""

    page: int
    lines: tuple[Line, ...] = ()
    table: Table | None = None
    furniture: bool = False

    @property
    def style(self) -> tuple[float, bool]:
        main = max(self.lines, key=lambda line: len(line.text))
        return round(2 * main.size) / 2, all(line.bold for line in self.lines)


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
    headings = _Headings(groups, outline)
    return [_piece(group, headings, compounds) for group in groups]


def _page_groups(page: int, head: list[Line], body: list[Line], foot: list[Line]) -> list[_Group]:
    groups = [_Group(page, (line,), furniture=True) for line in head]
    for region in reading_order(body):
        lines: list[Line] = []
        for part in split_tables(rows_of(region)):
            if isinstance(part, Table):
                groups += [_Group(page, tuple(one)) for one in paragraphs(lines)]
                groups.append(_Group(page, table=part))
                lines = []
            else:
                lines.append(join_row(part))
        groups += [_Group(page, tuple(one)) for one in paragraphs(lines)]
    return groups + [_Group(page, (line,), furniture=True) for line in foot]


def _normal(text: str) -> str:
    return _NOT_WORDS.sub(" ", text.casefold()).strip()


class _Headings:
    """Tells which groups are headings, and of which level, from the whole document."""

    def __init__(self, groups: Sequence[_Group], outline: Sequence[Entry]) -> None:
        self._body, self._body_bold = _body_style(groups)
        self._marks = _bookmarks(outline)
        self._levels: dict[tuple[float, bool], int] = {}
        found = [group for group in groups if group.lines and not group.furniture and self._stands_out(group)]
        self._levels = _ranked({group.style for group in found}) | self._voted(groups)

    def level(self, group: _Group) -> int | None:
        """From 1 for the highest; None when the group is no heading."""
        marked = self._marked(group)
        if marked is not None:
            return marked
        if not self._stands_out(group):
            return None
        rank = self._levels.get(group.style, 3)
        numbered = _NUMBERED.match(group.lines[0].text)
        return rank if numbered is None else min(max(rank, numbered.group(1).count(".") + 1), _DEEPEST)

    def _stands_out(self, group: _Group) -> bool:
        text = " ".join(line.text for line in group.lines)
        if sum(map(str.isalpha, text)) < 2 or text[0] in ",;)" or len(group.lines) > 4 or len(text) > 200:
            return False
        if BULLET.match(text) or LEADERS.search(text) or CAPTION.match(text):
            return False
        size, bold = group.style
        if size > 1.12 * self._body:
            return True
        short = len(group.lines) <= 2 and len(text) <= 120 and text[-1] not in ".,;"
        if bold and not self._body_bold and size >= 0.95 * self._body:
            return short and text[0] not in "(["
        numbered = _NUMBERED.match(text)
        return bool(
            numbered and "." in numbered.group(1) and short and len(group.lines) == 1
            and len(text) <= 80 and size >= self._body and text[numbered.end() - 1].isupper()
        )  # fmt: skip

    def _marked(self, group: _Group) -> int | None:
        if len(group.lines) > 4 or not self._marks:
            return None
        text = _normal(" ".join(line.text for line in group.lines))
        return self._marks.get((group.page, text))

    def _voted(self, groups: Sequence[_Group]) -> dict[tuple[float, bool], int]:
        """The most frequent bookmark level of each style."""
        votes: dict[tuple[float, bool], Counter[int]] = {}
        for group in groups:
            level = self._marked(group) if group.lines and not group.furniture else None
            if level is not None:
                votes.setdefault(group.style, Counter())[level] += 1
        return {style: counts.most_common(1)[0][0] for style, counts in votes.items()}


def _body_style(groups: Sequence[_Group]) -> tuple[float, bool]:
    """Size and weight in which most characters are set; 10 points when there is no text."""
    counts: Counter[tuple[float, bool]] = Counter()
    for group in groups:
        for line in group.lines:
            counts[round(2 * line.size) / 2, line.bold] += len(line.text)
    return counts.most_common(1)[0][0] if counts else (10.0, False)


def _ranked(styles: set[tuple[float, bool]]) -> dict[tuple[float, bool], int]:
    """Levels 1 to 3 by size; bold before plain of the same size."""
    ordered = sorted(styles, reverse=True)
    return {style: min(rank, 3) for rank, style in enumerate(ordered, start=1)}


def _bookmarks(outline: Sequence[Entry]) -> Mapping[tuple[int, str], int]:
    """Levels by page and title, with and without the title's number."""
    marks: dict[tuple[int, str], int] = {}
    for entry in outline:
        title = _normal(entry.title)
        if entry.page is None or not title:
            continue
        for name in (title, re.sub(r"^(?:\d+ )+", "", title)):
            marks.setdefault((entry.page, name), min(entry.level, _DEEPEST))
    return marks


def _piece(group: _Group, headings: _Headings, compounds: Compounds) -> Piece:
    if group.table is not None:
        return Piece("table", group.page, group.table.box, table=group.table)
    text, box = join_lines([line.text for line in group.lines], compounds), box_of(group.lines)
    level = None if group.furniture else headings.level(group)
    return Piece(_kind(group, text, level), group.page, box, text, level, group.style[0])


def _kind(group: _Group, text: str, level: int | None) -> BlockKind:
    if group.furniture:
        return "furniture"
    if level is not None:
        return "title"
    if CAPTION.match(text):
        return "caption"
    return "list_item" if is_item(text) or LEADERS.search(text) else "paragraph"
