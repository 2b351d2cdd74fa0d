"""Chunks that follow the document: sections, paragraphs, list items, tables and code."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from ragwright.ingest.outline import Unit
from ragwright.ingest.packing import Budget, pack
from ragwright.ingest.ruler import TokenRuler
from ragwright.ingest.sentences import Range, trim

# A chunk below this share of the budget says too little by itself to be found, and joins a neighbour.
SMALL = 0.25


@dataclass(slots=True)
class _Open:
    """The chunk being filled.

    Attributes:
        start: First character.
        end: One past the last.
        level: Of its top heading.
        body: Whether it holds body text.
        tail: Whether it continues what the chunk before it began.
    """

    start: int
    end: int
    level: int
    body: bool
    tail: bool = False


class StructurePacker:
    """Packs the units of one run of text.

    Neighbours under one heading are packed greedily. A heading begins a chunk and stands in its span, unless
    the chunk before is small and no deeper than it. What does not fit is cut between rows or sentences; a
    small rest takes some of what stands before it.

    Args:
        units: All units of the document; `Unit.path` refers to them.
        pieces: Their sentences in text order, each within the budget.
        ruler: Of the document's text.
        budget: For each chunk.
    """

    def __init__(
        self,
        units: Sequence[Unit],
        pieces: Sequence[Range],
        *,
        ruler: TokenRuler,
        budget: Budget,
    ) -> None:
        self._units, self._pieces = units, pieces
        self._ruler, self._budget = ruler, budget
        self._starts = [unit.start for unit in units]
        self._before = ruler.indices(self._starts)
        self._after = ruler.indices([unit.end for unit in units])
        self._done: list[_Open] = []
        self._open: _Open | None = None

    def __call__(self, first: int, last: int) -> list[Range]:
        """Ranges of the units `first` to `last - 1`, which have no furniture between them."""
        self._done, self._open = [], None
        for position in range(first, last):
            if self._open is not None and self._begins(position, last):
                self._close()
            self._add(position, last)
        self._close()
        return [(chunk.start, chunk.end) for chunk in self._done]

    def _begins(self, position: int, last: int) -> bool:
        """Whether a unit begins a chunk although it might fit into the open one."""
        unit, chunk = self._units[position], self._open
        if chunk is None:
            return True
        size = self._size(chunk.start, unit.start)
        if unit.kind == "heading":
            small = size < self._budget.tokens * SMALL
            # Headings without body wait for it, also where that will be cut.
            needed = self._next_body(position, last) if chunk.body else position
            joins = (small and not chunk.tail) or not chunk.body
            return not (joins and unit.level >= chunk.level and self._fits(needed))
        if not chunk.body or (position and self._units[position - 1].kind == "heading"):
            return False
        if unit.clause and size >= self._budget.tokens // 2:
            return True
        if self._leads(position, last):
            return not self._fits(position + 1) or self._begins_table(position + 1, last, lead=position)
        return self._begins_table(position, last)

    def _leads(self, position: int, last: int) -> bool:
        """Whether a unit introduces the list, table or code that follows it."""
        unit = self._units[position]
        return (
            unit.kind == "paragraph"
            and self._ruler.text[unit.end - 1] == ":"
            and position + 1 < last
            and self._units[position + 1].kind not in ("paragraph", "heading")
        )

    def _begins_table(self, position: int, last: int, *, lead: int | None = None) -> bool:
        """Whether a table that would fit into a chunk of its own does not fit into the open one.

        Args:
            position: Unit that may be the first of a table.
            last: One past the last unit of the run.
            lead: Unit that introduces the table and would stand in its chunk, or None.
        """
        unit = self._units[position]
        if unit.table is None or (position and self._units[position - 1].table == unit.table):
            return False
        if lead is None and position and self._leads(position - 1, last):
            return False  # decided where its introduction was added
        end = position
        while end + 1 < last and self._units[end + 1].table == unit.table:
            end += 1
        begin = position if lead is None else lead
        whole = self._after[end] - self._before[begin] <= self._budget.tokens
        return whole and not self._fits(end)

    def _next_body(self, position: int, last: int) -> int:
        """The first unit from a heading on that is none, or the last one."""
        while position + 1 < last and self._units[position].kind == "heading":
            position += 1
        return position

    def _fits(self, position: int) -> bool:
        """Whether the open chunk can be continued to the end of a unit."""
        chunk, unit = self._open, self._units[position]
        return (
            chunk is not None
            and self._size(chunk.start, unit.end) <= self._budget.tokens
            and unit.end - chunk.start <= self._budget.characters
        )

    def _add(self, position: int, last: int) -> None:
        unit = self._units[position]
        body = unit.kind != "heading"
        if self._open is not None and self._fits(position):
            self._open.end = unit.end
            self._open.body = self._open.body or body
        elif self._within(position) and (self._open is None or self._open.body):
            self._close()
            tail = body and bool(self._done) and self._continues(position)
            self._open = _Open(unit.start, unit.end, self._level(unit), body, tail)
        else:
            self._cut(position)

    def _within(self, position: int) -> bool:
        unit = self._units[position]
        return (
            self._after[position] - self._before[position] <= self._budget.tokens
            and unit.end - unit.start <= self._budget.characters
        )

    def _cut(self, position: int) -> None:
        """Add a unit in pieces; the first joins the open chunk while that is less than half full."""
        unit = self._units[position]
        first = bisect_left(self._pieces, (unit.start, 0))
        pieces = list(self._pieces[first : bisect_left(self._pieces, (unit.end, 0))])
        chunk = self._open
        if chunk is not None and self._joins(chunk, pieces[0]):
            pieces[0] = (chunk.start, pieces[0][1])
            level = chunk.level
            self._open = None
        else:
            self._close()
            level = self._level(unit)
        for number, (start, end) in enumerate(pack(pieces, self._ruler, self._budget)):
            if self._open is not None:
                self._done.append(self._open)
            tail = number > 0 or (start == unit.start and bool(self._done) and self._continues(position))
            self._open = _Open(start, end, level if number == 0 else self._level(unit), True, tail)

    def _joins(self, chunk: _Open, piece: Range) -> bool:
        size = self._size(chunk.start, piece[1])
        half = self._size(chunk.start, chunk.end) * 2 < self._budget.tokens
        room = piece[1] - chunk.start <= self._budget.characters
        return (half or not chunk.body) and size <= self._budget.tokens and room

    def _close(self) -> None:
        """Finish the open chunk; a small one is added to the one before where that is no deeper.

        The rest of one section and another section stay apart, since they share no heading of their own.
        """
        chunk, self._open = self._open, None
        if chunk is None:
            return
        before = self._done[-1] if self._done else None
        if (
            before is not None
            and before.level <= chunk.level
            and (chunk.tail or not before.tail)
            and self._size(chunk.start, chunk.end) < self._budget.tokens * SMALL
            and self._size(before.start, chunk.end) <= self._budget.tokens
            and chunk.end - before.start <= self._budget.characters
        ):
            before.end = chunk.end
            return
        if before is not None and chunk.tail:
            self._balance(before, chunk)
        self._done.append(chunk)

    def _continues(self, position: int) -> bool:
        """Whether a unit stands under the same heading as the one before it, and is not that one's first."""
        return (
            position > 0
            and self._units[position - 1].kind != "heading"
            and self._units[position - 1].path == self._units[position].path
        )

    def _balance(self, before: _Open, chunk: _Open) -> None:
        """Give a small chunk the end of the one before it, so that both are about equally long."""
        if chunk.start < before.end or self._size(chunk.start, chunk.end) >= self._budget.tokens * SMALL:
            return
        fitting = [
            border
            for border in self._borders(before)
            if self._size(border, chunk.end) <= self._budget.tokens
            and chunk.end - border <= self._budget.characters
        ]
        if fitting:
            whole = self._size(before.start, chunk.end)
            start = min(fitting, key=lambda border: abs(2 * self._size(border, chunk.end) - whole))
            piece = trim(self._ruler.text, before.start, start)
            if piece is not None:
                before.end, chunk.start = piece[1], start

    def _borders(self, chunk: _Open) -> list[int]:
        """Where units begin inside a chunk, behind neither a heading nor an introduction; else sentences."""
        first = bisect_right(self._starts, chunk.start)
        last = bisect_left(self._starts, chunk.end)
        units = [
            self._starts[position]
            for position in range(first, last)
            if self._continues(position) and not self._leads(position - 1, position + 1)
        ]
        if units or last > first:
            return units
        inside = bisect_right(self._pieces, (chunk.start, chunk.end))
        return [start for start, _ in self._pieces[inside : bisect_left(self._pieces, (chunk.end, 0))]]

    def _level(self, unit: Unit) -> int:
        return self._units[unit.path[-1]].level if unit.path else 0

    def _size(self, start: int, end: int) -> int:
        return self._ruler.count(start, end)
