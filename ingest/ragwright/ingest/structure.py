"""Chunks that follow the document: sections, paragraphs, list items, tables and code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ragwright.ingest.outline import Unit
from ragwright.ingest.packing import Budget, pack
from ragwright.ingest.ruler import TokenRuler
from ragwright.ingest.sentences import Range
from ragwright.ingest.windows import within

# A chunk below this share of the budget says too little by itself to be found, and joins a neighbour.
SMALL = 0.25


@dataclass(slots=True)
class _Open:
    """The chunk being filled: its range, the level of its top heading, and whether it holds body text."""

    start: int
    end: int
    level: int
    body: bool


class StructurePacker:
    """Packs the units of one run of text.

    Neighbours under one heading are packed greedily. A heading begins a chunk and stands in its span, unless
    the chunk before is small and no deeper than it. What does not fit is cut between rows or sentences.

    Args:
        units: All units of the document; `Unit.path` refers to them.
        sentences: Sentences of each of these units, same order.
        ruler: Of the document's text.
        budget: For each chunk.
    """

    def __init__(
        self,
        units: Sequence[Unit],
        sentences: Sequence[Sequence[Range]],
        *,
        ruler: TokenRuler,
        budget: Budget,
    ) -> None:
        self._units, self._sentences = units, sentences
        self._ruler, self._budget = ruler, budget
        self._before = ruler.indices([unit.start for unit in units])
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
            return not ((small or not chunk.body) and unit.level >= chunk.level and self._fits(needed))
        if unit.clause and chunk.body and size >= self._budget.tokens // 2:
            return True
        return self._begins_table(position, last) and chunk.body

    def _begins_table(self, position: int, last: int) -> bool:
        """Whether a table that would fit into a chunk of its own does not fit into the open one."""
        unit = self._units[position]
        if unit.table is None or (position and self._units[position - 1].table == unit.table):
            return False
        end = position
        while end + 1 < last and self._units[end + 1].table == unit.table:
            end += 1
        whole = self._after[end] - self._before[position] <= self._budget.tokens
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
            self._open = _Open(unit.start, unit.end, self._level(unit), body)
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
        pieces = within(self._sentences[position], self._ruler, self._budget)
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
            self._open = _Open(start, end, level if number == 0 else self._level(unit), True)

    def _joins(self, chunk: _Open, piece: Range) -> bool:
        size = self._size(chunk.start, piece[1])
        half = self._size(chunk.start, chunk.end) * 2 < self._budget.tokens
        room = piece[1] - chunk.start <= self._budget.characters
        return (half or not chunk.body) and size <= self._budget.tokens and room

    def _close(self) -> None:
        """Finish the open chunk; a small one is added to the one before where that is no deeper."""
        chunk, self._open = self._open, None
        if chunk is None:
            return
        before = self._done[-1] if self._done else None
        if (
            before is not None
            and before.level <= chunk.level
            and self._size(chunk.start, chunk.end) < self._budget.tokens * SMALL
            and self._size(before.start, chunk.end) <= self._budget.tokens
            and chunk.end - before.start <= self._budget.characters
        ):
            before.end = chunk.end
        else:
            self._done.append(chunk)

    def _level(self, unit: Unit) -> int:
        return self._units[unit.path[-1]].level if unit.path else 0

    def _size(self, start: int, end: int) -> int:
        first, last = self._ruler.indices((start, end))
        return last - first
