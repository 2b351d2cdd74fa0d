"""The partitioner's elements as blocks of a canonical text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from ragwright.core.types import BlockKind
from ragwright.ingest.canonical import TextBuilder
from ragwright.ingest.markup import CAPTION_MARK, TABLE_MARK
from ragwright.ingest.tables import Grid, grid_of

_KINDS: dict[str, BlockKind] = {
    "Title": "title",
    "ListItem": "list_item",
    "CodeSnippet": "code",
    "FigureCaption": "caption",
    "Image": "caption",
    "Header": "furniture",
    "Footer": "furniture",
    "PageNumber": "furniture",
}

_PLAIN = ("UncategorizedText", "NarrativeText", "Text")


def add_elements(
    builder: TextBuilder, elements: Iterable[Any], *, tables: Sequence[Grid] = (), slides: bool = False
) -> str:
    """Append elements in order.

    Args:
        builder: Receives the blocks.
        elements: Of the partitioner.
        tables: The tables that marks in the text stand for.
        slides: Whether pages are slides, where only the title shape is a title.

    Returns:
        The text of the first block outside of the furniture if it is a title of level 1 (on slides, of the
        first such title), else "".
    """
    elements = list(elements)
    page_numbers = _page_numbers(elements)
    first: str | None = None
    page = 1
    furniture: set[str] = set()
    for element in elements:
        if element.category == "PageBreak":
            page += 1
            continue
        kind, level = ("furniture", None) if id(element) in page_numbers else _kind(element, slides)
        number = element.metadata.page_number or (page if slides else None)
        if kind == "furniture" and element.text in furniture:
            continue
        furniture |= {element.text} if kind == "furniture" else set()
        if first is None and kind != "furniture":
            is_title = kind == "title" and level == 1
            first = " ".join(element.text.split()) if is_title else None if slides else ""
        if element.category == "Table":
            _add_html_table(builder, element, number)
        else:
            _add_text(builder, element.text, kind, level, page=number, tables=tables)
    return first or ""


def _page_numbers(elements: Sequence[Any]) -> set[int]:
    """The ids of the elements that number pages: bare numbers that rise through the whole document."""
    bare = [e for e in elements if e.category in _PLAIN and re.fullmatch(r"\d{1,4}", e.text.strip())]
    values = [int(element.text) for element in bare]
    rising = all(before < after <= before + 3 for before, after in pairwise(values))
    return set(map(id, bare)) if len(bare) >= 3 and rising else set()


def _kind(element: Any, slides: bool) -> tuple[BlockKind, int | None]:
    """The kind and the level of an element."""
    kind = _KINDS.get(element.category, "paragraph")
    depth = element.metadata.category_depth or 0
    if slides and kind == "title" and depth:
        return "paragraph", None
    if kind == "title":
        return kind, depth + 1
    if kind == "list_item":
        # HTML counts lists from 1 already.
        return kind, max(1, depth if element.metadata.filetype == "text/html" else depth + 1)
    return kind, None


def _add_text(
    builder: TextBuilder,
    text: str,
    kind: BlockKind,
    level: int | None,
    *,
    page: int | None,
    tables: Sequence[Grid],
) -> None:
    """Append a text, and the tables whose marks it holds where they stand."""
    for number, part in enumerate(TABLE_MARK.split(text)):
        if number % 2:
            if int(part) < len(tables):
                _add_grid(builder, tables[int(part)], page)
        elif part.lstrip().startswith(CAPTION_MARK):
            builder.add("caption", part.replace(CAPTION_MARK, ""), page=page)
        else:
            shown = part.replace(CAPTION_MARK, "")
            builder.add(kind, shown if kind == "code" else _spaced(shown), page=page, level=level)


def _spaced(text: str) -> str:
    """Tabs and runs of spaces as single spaces; line breaks stay."""
    return "\n".join(re.sub(r"[^\S\n]+", " ", line).strip() for line in text.split("\n"))


def _add_html_table(builder: TextBuilder, element: Any, page: int | None) -> None:
    from lxml import html  # type: ignore[import-untyped]

    source = element.metadata.text_as_html
    if not source:
        builder.add("paragraph", element.text, page=page)
        return
    _add_grid(builder, grid_of(html.fragment_fromstring(source)), page)


def _add_grid(builder: TextBuilder, grid: Grid, page: int | None) -> None:
    builder.add("caption", grid.caption, page=page)
    builder.add_table(grid.rows, header_rows=grid.header_rows, page=page)
