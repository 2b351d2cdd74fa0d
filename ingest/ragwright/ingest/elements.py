"""The partitioner's elements as blocks of a canonical text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
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

_BOLD_LEVEL = 3
_PLAIN = ("UncategorizedText", "NarrativeText", "Text")


def add_elements(
    builder: TextBuilder,
    elements: Iterable[Any],
    *,
    tables: Sequence[Grid] = (),
    headings: AbstractSet[str] = frozenset(),
    slides: bool = False,
    notes: Mapping[int, Sequence[str]] | None = None,
) -> str:
    """Append elements in order.

    Args:
        builder: Receives the blocks.
        elements: Of the partitioner.
        tables: The tables that marks in the text stand for.
        headings: Paragraphs with these texts are titles of level 3.
        slides: Whether pages are slides, where only the title shape is a title.
        notes: Paragraphs by slide, which follow the slide's own text.

    Returns:
        The first block that is no furniture if it is a title of level 1 (on slides, the first such), else "".
    """
    pending = dict(notes or {})
    first: str | None = None
    for element, number, kind, level in _classified(list(elements), slides=slides, headings=headings):
        if first is None and kind != "furniture":
            is_title = kind == "title" and level == 1
            first = " ".join(element.text.split()) if is_title else None if slides else ""
        _add_notes(builder, pending, before=number or 0)
        if element.category == "Table":
            _add_html_table(builder, element, number)
        else:
            _add_text(builder, element.text, kind, level, page=number, tables=tables)
    _add_notes(builder, pending, before=max(pending, default=0) + 1)
    return first or ""


def _classified(
    elements: Sequence[Any], *, slides: bool, headings: AbstractSet[str]
) -> Iterator[tuple[Any, int | None, BlockKind, int | None]]:
    """Elements with page, kind and level; of equal furniture only the first."""
    page_numbers = _page_numbers(elements)
    furniture: set[str] = set()
    for element, number in _with_pages(elements, slides=slides):
        kind, level = ("furniture", None) if id(element) in page_numbers else _kind(element, slides, headings)
        if kind != "furniture" or element.text not in furniture:
            yield element, number, kind, level
        if kind == "furniture":
            furniture.add(element.text)


def _with_pages(elements: Iterable[Any], *, slides: bool) -> Iterator[tuple[Any, int | None]]:
    """Elements other than page breaks, each with its page; None where the format has no pages."""
    page = 1
    for element in elements:
        if element.category == "PageBreak":
            page += 1
        else:
            yield element, element.metadata.page_number or (page if slides else None)


def _add_notes(builder: TextBuilder, pending: dict[int, Sequence[str]], *, before: int) -> None:
    """Append the notes of all slides before one, and forget them."""
    for number in sorted(number for number in pending if number < before):
        for paragraph in pending.pop(number):
            builder.add("paragraph", paragraph, page=number)


def _page_numbers(elements: Sequence[Any]) -> set[int]:
    """The ids of the elements that number pages: bare numbers that rise through the whole document."""
    bare = [e for e in elements if e.category in _PLAIN and re.fullmatch(r"\d{1,4}", e.text.strip())]
    values = [int(element.text) for element in bare]
    rising = all(before < after <= before + 3 for before, after in pairwise(values))
    return set(map(id, bare)) if len(bare) >= 3 and rising else set()


def _kind(element: Any, slides: bool, headings: AbstractSet[str]) -> tuple[BlockKind, int | None]:
    """The kind and the level of an element."""
    kind = _KINDS.get(element.category, "paragraph")
    depth = element.metadata.category_depth or 0
    if kind == "paragraph" and " ".join(element.text.split()) in headings:
        return "title", _BOLD_LEVEL
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
