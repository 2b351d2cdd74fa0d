"""A document as a flat list of units: what stands where, and under which headings."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from ragwright.core.profile import Profile
from ragwright.core.types import Block, Document
from ragwright.ingest.sentences import Range, has_letter, trim

UnitKind = Literal["heading", "paragraph", "list_item", "table_header", "table_row", "code"]

MAX_HEADING = 120  # characters; a longer line is prose, whatever it begins with
MAX_TITLE = 500  # characters; what a parser calls a title may be a page long
_CLAUSE_START = 200  # how many characters of a line a clause pattern sees
# Headings found by pattern stand below all that the parser found.
_PATTERN_DEPTH = 100
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n\s*")
_SENTENCE_END = ".:;!?)"
_MAX_SIGNS = 120  # characters; longer stretches of signs stay units
_MARKUP = re.compile(r"^\W*(?:#+\s+|\n\s*)|\s+#+\s*$|`+|(?<!\w)\*+(?=\w)|(?<=\w)\*+(?!\w)")
_UNDERLINE = re.compile(r"\n[\W_]*$")


class Unit(NamedTuple):
    """A stretch of text that is not cut without need.

    Attributes:
        kind: What it is; captions are paragraphs.
        start: First character, visible.
        end: One past the last character, visible.
        page: From 1, or None.
        level: Of a heading, from 1; 0 for others.
        run: Counts the furniture before it: no chunk holds units of two runs.
        path: Positions, in the list of units, of the headings above it; a heading's own comes last.
        clause: Whether its start is a good place to cut.
        table: Position of the table it belongs to among the tables, or None.
        header: Range of the header rows above a table row.
    """

    kind: UnitKind
    start: int
    end: int
    page: int | None = None
    level: int = 0
    run: int = 0
    path: tuple[int, ...] = ()
    clause: bool = False
    table: int | None = None
    header: Range | None = None


class Outliner:
    """Makes units, with the patterns of one profile."""

    def __init__(self, profile: Profile) -> None:
        self._headings = [(re.compile(pattern), level) for pattern, level in profile.heading_patterns]
        self._clauses = [re.compile(pattern) for pattern in profile.clause_patterns]

    def __call__(self, document: Document) -> list[Unit]:
        """The units of a document, in text order, not overlapping, trimmed.

        Together they hold every visible character that is not furniture, also where no block covers it. Signs
        alone, such as a heading's marks or a rule, are part of the unit that they stand at.
        """
        stack: list[tuple[int, int]] = []  # level and position of the open headings
        units: list[Unit] = []
        divided = (unit for region in _regions(document) for unit in self._divided(document.text, region))
        for unit in _with_signs(document.text, divided):
            if unit.kind == "heading":
                while stack and stack[-1][0] >= unit.level:
                    stack.pop()
                stack.append((unit.level, len(units)))
            units.append(unit._replace(path=tuple(position for _, position in stack)))
        return units

    def _divided(self, text: str, region: Unit) -> Iterator[Unit]:
        """A region cut at blank lines, headings and clauses, where its kind allows it."""
        if region.kind == "list_item":
            yield region._replace(clause=self._is_clause(text, region.start, region.end))
        elif region.kind != "paragraph":
            yield region
        elif self._headings or self._clauses:
            yield from self._lines(text, region)
        else:
            for start, end in _between(text, region, _BLANK_LINE):
                yield region._replace(start=start, end=end)

    def _lines(self, text: str, region: Unit) -> Iterator[Unit]:
        """The paragraphs of a region, with headings and clauses found line by line."""
        for start, end in _between(text, region, _BLANK_LINE):
            open_at, clause, free = start, False, True
            for first, last in _each_line(text, start, end):
                level = self._level(text[first:last]) if free and last - first <= MAX_HEADING else None
                begins_clause = level is None and self._is_clause(text, first, last)
                if level is not None or begins_clause:
                    yield from _piece(text, region, open_at, first, clause=clause)
                    open_at, clause = first, begins_clause
                if level is not None:
                    yield region._replace(kind="heading", start=first, end=last, level=level)
                    open_at = last
                free = level is not None or text[last - 1] in _SENTENCE_END
            yield from _piece(text, region, open_at, end, clause=clause)

    def _level(self, line: str) -> int | None:
        for pattern, level in self._headings:
            if pattern.fullmatch(line):
                return _PATTERN_DEPTH + level
        return None

    def _is_clause(self, text: str, start: int, end: int) -> bool:
        if not self._clauses:
            return False
        line = text[start : min(end, start + _CLAUSE_START)]
        return any(pattern.match(line) for pattern in self._clauses)


def _with_signs(text: str, units: Iterable[Unit]) -> list[Unit]:
    """Units, those without letter or digit joined to one that has some, never across furniture."""
    joined: list[Unit] = []
    for unit in units:
        before = joined[-1] if joined and joined[-1].run == unit.run else None
        if before is None:
            joined.append(unit)
        elif _is_signs(text, before):
            joined[-1] = unit._replace(start=before.start, page=before.page)
        elif _is_signs(text, unit) and _is_trailing(text, before, unit):
            joined[-1] = before._replace(end=unit.end)
        else:
            joined.append(unit)
    for position in range(len(joined) - 1, 0, -1):
        before, unit = joined[position - 1], joined[position]
        if before.run == unit.run and _is_signs(text, unit):
            joined[position - 1 : position + 1] = [before._replace(end=unit.end)]
    return joined


def _is_signs(text: str, unit: Unit) -> bool:
    return unit.end - unit.start <= _MAX_SIGNS and not has_letter(text, unit.start, unit.end)


def _is_trailing(text: str, before: Unit, signs: Unit) -> bool:
    """Whether signs belong to the unit before them and not to the next."""
    lines = text.count("\n", before.end, signs.start)
    if lines == 0 or signs.kind == "table_row" == before.kind:
        return True
    newline = text.find("\n", signs.end)
    alone = not text[signs.end : newline if newline >= 0 else len(text)].strip()
    if before.kind == "heading":
        return alone and lines == 1
    return alone and signs.table == before.table


def heading_text(text: str, unit: Unit) -> str:
    """A heading's words in one line, without Markdown's signs.

    Example:
        >>> heading_text("## *Scope* and  aim ##", Unit("heading", 0, 22))
        'Scope and aim'
    """
    raw = text[unit.start : min(unit.end, unit.start + MAX_TITLE)]
    words = " ".join(_MARKUP.sub("", _UNDERLINE.sub("", raw)).split())
    return words or " ".join(raw.split())


def _piece(text: str, region: Unit, start: int, end: int, *, clause: bool) -> Iterator[Unit]:
    found = trim(text, start, end)
    if found is not None:
        yield region._replace(start=found[0], end=found[1], clause=clause)


def _between(text: str, region: Unit, separator: re.Pattern[str]) -> Iterator[Range]:
    """Trimmed ranges of a region between separators."""
    cuts = [match.span() for match in separator.finditer(text, region.start, region.end)]
    starts = [region.start, *(end for _, end in cuts)]
    ends = [*(start for start, _ in cuts), region.end]
    for start, end in zip(starts, ends, strict=True):
        found = trim(text, start, end)
        if found is not None:
            yield found


def _each_line(text: str, start: int, end: int) -> Iterator[Range]:
    """Trimmed lines that hold something visible."""
    while start < end:
        newline = text.find("\n", start, end)
        stop = end if newline < 0 else newline
        line = trim(text, start, stop)
        if line is not None:
            yield line
        start = stop + 1


def _regions(document: Document) -> Iterator[Unit]:
    """Blocks as units and what stands between them as paragraphs; overlapping parts are given once."""
    text, cursor, run, tables = document.text, 0, 0, 0
    page: int | None = None
    blocks = document.blocks
    position = 0
    while position < len(blocks):
        block = blocks[position]
        inner = _inner(blocks, position)
        position += 1 + len(inner)
        start, end = max(block.start, cursor), min(block.end, len(text))
        if start >= end:
            continue
        yield from _unit(text, "paragraph", cursor, start, page=page, run=run)
        page, cursor = block.page, end
        if block.kind == "furniture":
            run += trim(text, start, end) is not None
        elif block.kind == "table":
            yield from _rows(text, replace(block, start=start, end=end), inner, run=run, number=tables)
            tables += 1
        else:
            level = (block.level or 1) if block.kind == "title" else 0
            yield from _unit(text, _KINDS[block.kind], start, end, page=page, run=run, level=level)
    yield from _unit(text, "paragraph", cursor, len(text), page=page, run=run)


_KINDS: dict[str, UnitKind] = {
    "title": "heading",
    "paragraph": "paragraph",
    "caption": "paragraph",
    "list_item": "list_item",
    "code": "code",
    "table_header": "table_header",
    "table_row": "table_row",
}


def _unit(
    text: str, kind: UnitKind, start: int, end: int, *, page: int | None, run: int, level: int = 0
) -> Iterator[Unit]:
    found = trim(text, start, end) if start < end else None
    if found is not None:
        yield Unit(kind, *found, page, level, run)


def _inner(blocks: Sequence[Block], position: int) -> list[Block]:
    """The header and rows that follow a table inside its span."""
    table = blocks[position]
    inner: list[Block] = []
    if table.kind == "table":
        for block in itertools.islice(blocks, position + 1, None):
            if not block.kind.startswith("table_") or block.end > table.end:
                break
            inner.append(block)
    return inner


def _rows(text: str, table: Block, inner: Sequence[Block], *, run: int, number: int) -> Iterator[Unit]:
    """One unit per row; what stands between two rows belongs to the first."""
    if not inner:
        inner = [Block("table_row", *line, table.page) for line in _each_line(text, table.start, table.end)]
    bounds = [table.start, *(max(row.start, table.start) for row in inner[1:]), table.end]
    header: Range | None = None
    for row, start, end in zip(inner, bounds, bounds[1:], strict=False):
        found = trim(text, start, end) if start < end else None
        if found is None:
            continue
        kind: UnitKind = "table_header" if row.kind == "table_header" else "table_row"
        above = header if kind == "table_row" else None
        if kind == "table_header":
            header = (header[0] if header else found[0], found[1])
        yield Unit(kind, *found, row.page or table.page, 0, run, (), False, number, above)
