"""Documents cut into chunks of so many characters, and hits of them, without any model."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from ragwright.core.types import Chunk, Hit, Place, Span
from ragwright.finetune.corpus import Corpus
from ragwright.finetune.values import LabelledQuestion


def cut(source: str, text: str, *, size: int, context: str = "") -> list[Chunk]:
    """Chunks of a document, whose id is not its source."""
    chunks = []
    for start in range(0, len(text), size):
        part = text[start : start + size]
        span = Span(f"id of {source}", start, start + len(part))
        key = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{source} {start}"))
        chunks.append(Chunk(key, span, part, context, (), None, (span,), len(part)))
    return chunks


def corpus(*documents: tuple[str, Sequence[Chunk]]) -> Corpus:
    """The chunks of these documents, by their sources."""
    return Corpus((chunk, source) for source, chunks in documents for chunk in chunks)


def hit(chunk: Chunk, source: str, score: float, *, duplicates: tuple[Place, ...] = ()) -> Hit:
    """A hit with this score."""
    return Hit(chunk, source, source, score, {}, duplicates=duplicates)


def asked(
    text: str, *references: tuple[str, int, int], quotes: Sequence[str] = (), key: str = "q"
) -> LabelledQuestion:
    """A question about places of documents."""
    spans = tuple(Span(*each) for each in references)
    return LabelledQuestion(key, text, spans, tuple(quotes) or tuple("" for _ in spans))
