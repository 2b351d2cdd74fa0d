"""Headings of a DOCX whose author used no heading style: short paragraphs in bold above normal text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from ragwright.ingest.archive import read_member
from ragwright.ingest.properties import parse_xml

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_OFF = ("0", "false", "off")
_LONGEST = 100  # characters of a heading
_HEADING_STYLE = re.compile(r"heading|title|subtitle", re.IGNORECASE)
_TWO_LETTERS = re.compile(r"[^\W\d_]{2}")


def bold_headings(data: bytes) -> frozenset[str]:
    """The texts, with single spaces, of the paragraphs that serve as headings.

    Returns:
        Nothing when one paragraph of the body has a heading style or an outline level: then the author knew
        how to make headings, and bold words are only bold.
    """
    root = parse_xml(content) if (content := read_member(data, "word/document.xml")) else None
    body = root.find(f"{_W}body") if root is not None else None
    if body is None or not _heading_styles(data).isdisjoint(_styles_in_use(body)):
        return frozenset()
    if next(body.iter(_W + "outlineLvl"), None) is not None:
        return frozenset()
    blocks = [block for block in body if block.tag == _W + "tbl" or _text(block)]
    return frozenset(
        _text(block)
        for block, following in pairwise(blocks)
        if _reads_as_heading(block) and not _is_bold(following)
    )


def _heading_styles(data: bytes) -> set[str]:
    """The ids of the styles that are headings; Word keeps their English names in every language."""
    content = read_member(data, "word/styles.xml")
    root = parse_xml(content) if content else None
    return {
        style.get(_W + "styleId", "")
        for style in (root.iter(_W + "style") if root is not None else ())
        if (name := style.find(_W + "name")) is not None and _HEADING_STYLE.match(name.get(_W + "val", ""))
    }


def _styles_in_use(body: Any) -> Iterator[str]:
    return (style.get(_W + "val", "") for style in body.iter(_W + "pStyle"))


def _reads_as_heading(block: Any) -> bool:
    text = _text(block)
    listed = block.find(f"{_W}pPr/{_W}numPr") is not None
    return (
        not listed
        and len(text) <= _LONGEST
        and text[-1:] not in ".,;!?"
        and _TWO_LETTERS.search(text) is not None
        and _is_bold(block)
    )


def _is_bold(block: Any) -> bool:
    """Whether a block is a paragraph whose visible runs are all bold."""
    if block.tag != _W + "p":
        return False
    marks = [run.find(f"{_W}rPr/{_W}b") for run in block.iter(_W + "r") if _text(run)]
    return bool(marks) and all(mark is not None and mark.get(_W + "val") not in _OFF for mark in marks)


def _text(element: Any) -> str:
    return " ".join("".join(part.text or "" for part in element.iter(_W + "t")).split())
