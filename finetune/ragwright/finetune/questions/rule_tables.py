"""Questions that one cell of a table answers, by its column and its row's first cell."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ragwright.core.types import Block
from ragwright.finetune.questions.asking import Range, trim
from ragwright.finetune.questions.scene import Draft, Scene
from ragwright.finetune.questions.surface import plain

RULE = "table-1"
_RULER = re.compile(r"^[\s|:+-]+$")
_NUMERIC = re.compile(r"^[\s$€£(<>~≈+-]*\d[\d.,:/\s%°]*\)?[\w%°/ ]{0,12}$")
_LONGEST_CELL = 70  # characters of a key or a column's name


@dataclass(frozen=True, slots=True)
class _Row:
    cells: tuple[str, ...]
    range: Range


@dataclass(frozen=True, slots=True)
class _Table:
    """The rows of a table that stand in a chunk.

    Attributes:
        header: Names of its columns, and where they stand; the range is empty where it is another chunk.
        rows: Those of the chunk.
    """

    header: _Row
    rows: tuple[_Row, ...]


def table_questions(scene: Scene) -> Iterator[Draft]:
    """Questions that the table rows of a chunk answer; two for each row at most."""
    for table in (*_marked(scene), *_in_lines(scene)):
        keys = Counter(row.cells[0].casefold() for row in table.rows)
        for row in table.rows:
            if keys[row.cells[0].casefold()] == 1 and _is_name(row.cells[0]):
                yield from _questions(table, row, scene)


def _questions(table: _Table, row: _Row, scene: Scene) -> Iterator[Draft]:
    columns = [
        number
        for number in range(1, min(len(row.cells), len(table.header.cells)))
        if row.cells[number].strip(" -–—") and _is_name(table.header.cells[number])
    ]
    header = (table.header.range,) if table.header.range[0] < table.header.range[1] else ()
    for number in scene.chance.sample(columns, min(2, len(columns))):
        column, key = table.header.cells[number], row.cells[0]
        text = scene.template(
            "table",
            column=scene.vocabulary.small_start(column, surely=True),
            key=key,
            sign=scene.sign,
            kind=scene.vocabulary.small_start(table.header.cells[0], surely=True),
        )
        if text:
            answer = row.cells[number]
            yield Draft(text, (*header, row.range), "table", RULE, answer=answer, weight=1.1)


def _marked(scene: Scene) -> Iterator[_Table]:
    """Tables that the parser has found."""
    rows: dict[int, list[_Row]] = {}
    headers: dict[int, Block] = {}
    for block in scene.subject.blocks_in(scene.chunk.span.start, scene.chunk.span.end):
        header = scene.subject.header_of(block) if block.kind == "table_row" else None
        if header is not None and block.end <= scene.chunk.span.end:
            headers[header.start] = header
            rows.setdefault(header.start, []).append(_row(scene, block.start, block.end))
    for start, own in rows.items():
        row = _row(scene, start, headers[start].end)
        inside = start >= scene.chunk.span.start
        wide = tuple(each for each in own if len(each.cells) > 1)
        yield _Table(_Row(row.cells, row.range if inside else (0, 0)), wide)


def _in_lines(scene: Scene) -> Iterator[_Table]:
    """Tables in running text: lines with bars that no parser took for a table."""
    start = scene.chunk.span.start
    lines: list[_Row] = []
    for line in scene.chunk.text.split("\n"):
        block = scene.subject.block_at(start)
        if " | " in line and (block is None or block.kind in ("paragraph", "list_item")):
            lines.append(_row(scene, start, start + len(line)))
        elif lines:
            yield from _table_of(lines)
            lines = []
        start += len(line) + 1
    yield from _table_of(lines)


def _table_of(lines: Sequence[_Row]) -> Iterator[_Table]:
    wide = [line for line in lines if len(line.cells) > 1]
    if len(wide) > 1 and not any(map(_NUMERIC.match, wide[0].cells[1:])):
        yield _Table(wide[0], tuple(wide[1:]))


def _row(scene: Scene, start: int, end: int) -> _Row:
    text = scene.subject.text(start, end)
    if _RULER.match(text):
        return _Row((), (start, end))
    if "|" in text:
        cells = text.strip().strip("|").split("|")
    else:
        cells = text.split("\t") if "\t" in text else _comma_separated(text)
    return _Row(tuple(plain(cell) for cell in cells), trim(scene.subject.document.text, start, end))


def _comma_separated(text: str) -> list[str]:
    return next(csv.reader([text]), [])


def _is_name(cell: str) -> bool:
    """Whether a cell names a column or a row: it has letters, and is short."""
    return any(map(str.isalpha, cell)) and len(cell) <= _LONGEST_CELL
