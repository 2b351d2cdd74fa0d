"""Building a canonical text out of a parser's blocks, so that every block knows where it landed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ragwright.core.types import Block, BlockKind, Parsed
from ragwright.ingest.hidden import remove_hidden

BLOCK_SEPARATOR = "\n\n"
CELL_SEPARATOR = " | "


class TextBuilder:
    """Concatenates block texts; the offsets are exact because the text is only ever appended to."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._blocks: list[Block] = []
        self._hidden = 0

    def add(
        self,
        kind: BlockKind,
        text: str,
        *,
        page: int | None = None,
        level: int | None = None,
        box: tuple[float, float, float, float] | None = None,
        separator: str = BLOCK_SEPARATOR,
    ) -> None:
        """Append a block; one without visible text is left out.

        Args:
            kind: What it is.
            text: Its text; hidden characters and outer blank lines are removed.
            page: From 1.
            level: Depth from 1.
            box: Left, bottom, right, top in PDF points.
            separator: Put between the text so far and this block.
        """
        text, hidden = remove_hidden(text)
        self._hidden += hidden
        text = text.strip() if kind != "code" else text.strip("\n").rstrip()
        if not text.strip():
            return
        start = self._append(text, separator)
        self._blocks.append(Block(kind, start, start + len(text), page, level, box))

    def add_table(
        self,
        rows: Sequence[Sequence[str]],
        *,
        header_rows: int = 1,
        page: int | None = None,
        box: tuple[float, float, float, float] | None = None,
    ) -> None:
        """Append a table, one line per row, cells parted by ` | `.

        Args:
            rows: Cell texts; white space inside a cell becomes single spaces. Empty rows are left out.
            header_rows: How many of the first rows are column headings.
            page: From 1.
            box: Of the whole table.
        """
        lines = [(self._row(row), number < header_rows) for number, row in enumerate(rows)]
        lines = [(line, header) for line, header in lines if line]
        if not lines:
            return
        table_at, position = len(self._blocks), self._length
        inner: list[Block] = []
        for line, header in lines:
            start = self._append(line, "\n" if inner else BLOCK_SEPARATOR)
            position = start + len(line)
            inner.append(Block("table_header" if header else "table_row", start, position, page))
        self._blocks.insert(table_at, Block("table", inner[0].start, position, page, None, box))
        self._blocks.extend(inner)

    def build(self, *, media_type: str, title: str = "", metadata: Mapping[str, str] | None = None) -> Parsed:
        """The finished canonical text with its blocks."""
        clean_title, hidden = remove_hidden(" ".join(title.split()))
        text = "".join(self._parts)
        return Parsed(
            text, tuple(self._blocks), clean_title, media_type, dict(metadata or {}), self._hidden + hidden
        )

    def _append(self, text: str, separator: str) -> int:
        if self._length:
            self._parts.append(separator)
            self._length += len(separator)
        start = self._length
        self._parts.append(text)
        self._length += len(text)
        return start

    def _row(self, cells: Sequence[str]) -> str:
        clean = []
        for cell in cells:
            text, hidden = remove_hidden(" ".join(cell.split()))
            self._hidden += hidden
            clean.append(text)
        return CELL_SEPARATOR.join(clean).strip() if any(clean) else ""
