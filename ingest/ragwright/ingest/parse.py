"""One file's bytes to a canonical text with blocks: look at the content, choose the parser, check."""

from __future__ import annotations

from collections.abc import Callable

from ragwright.core.errors import InputError
from ragwright.core.types import Parsed
from ragwright.ingest.sniff import (
    CSV,
    DOCX,
    EML,
    EPUB,
    HTML,
    MARKDOWN,
    MSG,
    ODT,
    ORG,
    PDF,
    PLAIN,
    PPTX,
    RST,
    RTF,
    SUPPORTED,
    TSV,
    XLSX,
    XML,
    media_type,
)


def parse(data: bytes, name: str) -> Parsed:
    """The canonical text of a file, with its blocks.

    Args:
        data: All its bytes.
        name: Its name or path. Only the suffix is read, and only where the content leaves a choice.

    Raises:
        InputError: The kind is not supported, the file is damaged or locked, or it holds no text. The reason
            goes on where the file's name stands: "is password-protected; ...".
    """
    kind = media_type(data, name)
    parsed = _PARSERS[kind](data, name, kind)
    if any(block.kind != "furniture" for block in parsed.blocks):
        return parsed
    if kind == PDF:
        raise InputError("no text found; the pages are probably scanned images, which need OCR")
    raise InputError("empty: no text found")


def _plain(data: bytes, name: str, kind: str) -> Parsed:
    from ragwright.ingest.plain import parse_plain

    return parse_plain(data, name)


def _markdown(data: bytes, name: str, kind: str) -> Parsed:
    from ragwright.ingest.markdown import parse_markdown

    return parse_markdown(data, name)


def _pdf(data: bytes, name: str, kind: str) -> Parsed:
    from ragwright.ingest.pdf import parse_pdf

    return parse_pdf(data)


def _office(data: bytes, name: str, kind: str) -> Parsed:
    from ragwright.ingest.office import parse_office

    return parse_office(data, kind)


_PARSERS: dict[str, Callable[[bytes, str, str], Parsed]] = {
    PLAIN: _plain,
    MARKDOWN: _markdown,
    PDF: _pdf,
    HTML: _office,
    XML: _office,
    CSV: _office,
    TSV: _office,
    RST: _office,
    ORG: _office,
    RTF: _office,
    EML: _office,
    MSG: _office,
    DOCX: _office,
    PPTX: _office,
    XLSX: _office,
    ODT: _office,
    EPUB: _office,
}

HEAVY_SUFFIXES = frozenset(suffix for suffix, kind in SUPPORTED.items() if _PARSERS[kind] is _office)
"""Suffixes whose parser loads unstructured; when some file has one, load it before the first child forks."""
