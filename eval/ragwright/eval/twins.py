"""Equal texts at several places: which place a found text counts at.

A search shows equal texts once and lists their other places. What is shown is then counted once, at the place
that a reference stands at, if there is one: the reader has seen the labelled characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ragwright.core.types import Citation, Place, Span
from ragwright.eval.values import Found


def counted_at(span: Span, chunk: Span, places: Iterable[Place], references: Sequence[Span]) -> Span:
    """Where a span inside a chunk counts.

    Args:
        span: Inside the chunk.
        chunk: Where the chunk stands that is shown.
        places: Where its text stands as well.
        references: Of the question.

    Returns:
        The span, or the same characters at the first other place that touches a reference, when the span
        itself touches none.

    >>> chunk, twin = Span("a", 0, 10), Place(Span("b", 5, 15), "b")
    >>> counted_at(Span("a", 2, 4), chunk, [twin], [Span("b", 6, 8)])
    Span(document_id='b', start=7, end=9)
    """
    if any(span.overlaps(reference) for reference in references):
        return span
    for place in places:
        shift = place.span.start - chunk.start
        moved = Span(place.span.document_id, span.start + shift, span.end + shift)
        if any(moved.overlaps(reference) for reference in references):
            return moved
    return span


def evidence_spans(found: Sequence[Found], references: Sequence[Span]) -> list[Span]:
    """Where the evidence of hits counts, in their order."""
    return [counted_at(each.span, hit.span, hit.places, references) for hit in found for each in hit.evidence]


def chunk_spans(found: Sequence[Found], references: Sequence[Span]) -> list[Span]:
    """Where the hits themselves count, in their order."""
    return [counted_at(hit.span, hit.span, hit.places, references) for hit in found]


def cited_at(citation: Citation, found: Sequence[Found], references: Sequence[Span]) -> Citation:
    """The citation, at the place where its hit counts."""
    span = citation.span
    for hit in found:
        if hit.span.document_id == span.document_id and hit.span.start <= span.start < hit.span.end:
            return replace(citation, span=counted_at(span, hit.span, hit.places, references))
    return citation
