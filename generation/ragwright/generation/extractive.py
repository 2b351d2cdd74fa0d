"""Answers without a language model: the evidence itself, quoted and cited, or a refusal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from ragwright.core.protocols import DocumentStore
from ragwright.core.types import Answer, Citation, Document, Evidence, Hit, Usage
from ragwright.generation.citations import check_quote

REFUSAL = "The documents do not answer this."


@dataclass(frozen=True, slots=True)
class _Quote:
    hit: Hit
    evidence: Evidence


class ExtractiveGenerator:
    """Quotes the best evidence in reading order.

    Every quote is checked against the canonical text first: one that does not stand exactly where it is
    said to is never shown.
    """

    def __init__(self, documents: DocumentStore, *, spans: int, support: float, nearest: int) -> None:
        """Make a generator.

        Args:
            documents: Canonical texts.
            spans: At most this many quotes.
            support: Refuse when the best evidence scores lower, 0..1.
            nearest: Passages that a refusal lists.
        """
        self._documents = documents
        self._spans = spans
        self._support = support
        self._nearest = nearest

    def answer(self, question: str, hits: Sequence[Hit]) -> Answer:
        """Quotes that answer a question, or a refusal with the nearest passages.

        Args:
            question: Only measured: the hits were found for it.
            hits: Best first, with evidence.
        """
        started = time.perf_counter()
        quotes = [_Quote(hit, evidence) for hit in hits for evidence in hit.evidence]
        quotes.sort(key=lambda quote: -quote.evidence.score)
        standing = self._standing(quotes, max(self._spans, self._nearest))
        support = standing[0].evidence.score if standing else 0.0
        refused = not standing or support < self._support
        cited = _cite(standing[: self._nearest if refused else self._spans])
        body = "\n\n".join(f"{citation.quote} [{citation.marker}]" for citation in cited)
        return Answer(
            text=REFUSAL if refused else body,
            citations=cited,
            hits=tuple(hits),
            refused=refused,
            support=support,
            usage=Usage(seconds=time.perf_counter() - started),
        )

    def _standing(self, quotes: Sequence[_Quote], limit: int) -> list[_Quote]:
        """The best quotes that stand exactly where they are said to, best first."""
        documents: dict[str, Document | None] = {}
        kept: list[_Quote] = []
        for quote in quotes:
            span = quote.evidence.span
            if span.document_id not in documents:
                documents[span.document_id] = self._documents.document(span.document_id)
            document = documents[span.document_id]
            if document and check_quote(quote.evidence.text, span, document) == "exact":
                kept.append(quote)
            if len(kept) == limit:
                break
        return kept


def _cite(quotes: Sequence[_Quote]) -> tuple[Citation, ...]:
    """Citations numbered in reading order."""
    return tuple(_citation(marker, quote) for marker, quote in enumerate(_reading_order(quotes), 1))


def _reading_order(quotes: Sequence[_Quote]) -> list[_Quote]:
    """Documents in the order of their best quote, and within a document as it reads."""
    first: dict[str, int] = {}
    for place, quote in enumerate(quotes):
        first.setdefault(quote.evidence.span.document_id, place)
    return sorted(quotes, key=lambda q: (first[q.evidence.span.document_id], q.evidence.span.start))


def _citation(marker: int, quote: _Quote) -> Citation:
    return Citation(
        marker=marker,
        span=quote.evidence.span,
        quote=quote.evidence.text,
        state="exact",
        source=quote.hit.source,
        title=quote.hit.title,
        headings=quote.hit.chunk.headings,
        page=quote.hit.chunk.page,
    )
