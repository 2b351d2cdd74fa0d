"""Answers without a language model: the evidence itself, quoted and cited, or a refusal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator

from ragwright.core.protocols import DocumentStore
from ragwright.core.types import Answer, AnswerEvent, AnswerRequest, Citation, Delta, Mark, Usage
from ragwright.generation.deltas import join
from ragwright.generation.passages import Texts, cited, standing
from ragwright.generation.refusal import refusal


class ExtractiveGenerator:
    """Quotes the best evidence in reading order.

    Every quote is checked against the canonical text first: one that does not stand exactly where it is
    said to is never shown. A request's history, instruction and limits change nothing.
    """

    name = "extractive"

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

    async def stream(self, request: AnswerRequest) -> AsyncGenerator[AnswerEvent, None]:
        """Quotes that answer a question, one in each piece, or a refusal with the nearest passages."""
        for event in await asyncio.to_thread(lambda: list(self._events(request))):
            yield event

    def _events(self, request: AnswerRequest) -> Iterator[AnswerEvent]:
        started = time.perf_counter()
        found = standing(request.hits, Texts(self._documents), limit=max(self._spans, self._nearest))
        usage = Usage(seconds=time.perf_counter() - started)
        if not found or found[0].evidence.score < self._support:
            yield from refusal(request, found, nearest=self._nearest, usage=usage)
            return
        deltas = [_paragraph(citation) for citation in cited(found[: self._spans])]
        yield from deltas
        whole = join(deltas)
        yield Answer(
            text=whole.text,
            citations=whole.citations,
            hits=request.hits,
            refused=False,
            support=found[0].evidence.score,
            usage=usage,
            marks=whole.marks,
        )


def _paragraph(citation: Citation) -> Delta:
    """A quote that ends in its marker, parted from the one before."""
    before = f"{citation.quote} " if citation.marker == 1 else f"\n\n{citation.quote} "
    marker = f"[{citation.marker}]"
    mark = Mark(len(before), len(before) + len(marker), citation.marker)
    return Delta(before + marker, (citation,), (mark,))
