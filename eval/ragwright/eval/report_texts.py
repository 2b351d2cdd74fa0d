"""What covers a reference, and what of the texts of all chunks a page has room for."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

from ragwright.core.types import Span
from ragwright.eval.report_html import clean
from ragwright.eval.values import Found

Piece = tuple[int, str]
"""Where a text begins in its document, and its characters."""

# Characters kept on either side of a mark, and of the mark itself: less and less.
_LEVELS = ((280, 900), (120, 500), (60, 260), (24, 160), (0, 160), (0, 60))
_UNMARKED = 120  # characters kept of a chunk without any mark


def covered(span: Span, others: Iterable[Span]) -> float:
    """Share of a span's characters that lie in any of the others; 0 for an empty span.

    >>> covered(Span("a", 0, 10), [Span("a", 0, 4), Span("a", 2, 5), Span("b", 0, 10)])
    0.5
    """
    end, found = span.start, 0
    for each in sorted(each for each in others if each.overlaps(span)):
        low, high = max(each.start, end), min(each.end, span.end)
        found += max(0, high - low)
        end = max(end, high)
    return found / len(span) if len(span) else 0.0


def fitting(chunks: Sequence[tuple[Found, list[tuple[int, int]]]], room: int) -> str:
    """The longest pieces of every chunk that fit, packed, into the room there is.

    Args:
        chunks: Each with the ranges of its document that are marked, in order.
        room: Bytes for all of them; where even the shortest pieces take more, these are what comes back.

    Returns:
        What `pack` makes of the pieces of each chunk, in text order.
    """
    packed = pack([[(each.span.start, clean(each.text))] for each, _ in chunks])
    for around, most in _LEVELS:
        if len(packed) <= room:
            break
        packed = pack([_pieces(each, marks, around=around, most=most) for each, marks in chunks])
    return packed


def pack(chunks: Sequence[Sequence[Piece]]) -> str:
    """Pieces as JSON, deflated (RFC 1950), in base64, which the page's script undoes.

    >>> unpack(pack([[(3, "text")], []]))
    [[[3, 'text']], []]
    """
    written = json.dumps(chunks, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(zlib.compress(written.encode(), 9)).decode()


def unpack(packed: str) -> list[list[list[Any]]]:
    """What was packed."""
    chunks: list[list[list[Any]]] = json.loads(zlib.decompress(base64.b64decode(packed)))
    return chunks


def _pieces(found: Found, marks: Sequence[tuple[int, int]], *, around: int, most: int) -> list[Piece]:
    """The text about each mark, neighbours joined."""
    start, end = found.span.start, found.span.end
    wanted = [(max(start, a - around), min(end, min(b, a + most) + around)) for a, b in marks]
    ranges: list[tuple[int, int]] = []
    for low, high in sorted(wanted or [(start, min(end, start + _UNMARKED))]):
        if ranges and low <= ranges[-1][1] + 12:
            ranges[-1] = (ranges[-1][0], max(high, ranges[-1][1]))
        else:
            ranges.append((low, high))
    return [(low, clean(found.text[low - start : high - start])) for low, high in ranges]
