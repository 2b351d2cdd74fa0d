"""What may be shown: evidence that stands in its document exactly where it is said to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ragwright.core.protocols import DocumentStore
from ragwright.core.types import Citation, Document, Evidence, Hit
from ragwright.generation.folding import FoldedText, normalise


@dataclass(frozen=True, slots=True)
class Standing:
    """Evidence that stands, with the hit that it is of."""

    hit: Hit
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Numbered:
    """A document of a prompt.

    Attributes:
        number: What a model refers to it by, from 1.
        hit: Where it is from; its evidence is what the prompt shows of it, in text order.
    """

    number: int
    hit: Hit


class Texts:
    """The documents of one answer, each read and folded once, when it is first asked for."""

    def __init__(self, documents: DocumentStore) -> None:
        self._store = documents
        self._documents: dict[str, Document | None] = {}
        self._folded: dict[str, FoldedText] = {}

    def document(self, document_id: str) -> Document | None:
        """The document as it is now, or None."""
        if document_id not in self._documents:
            self._documents[document_id] = self._store.document(document_id)
        return self._documents[document_id]

    def folded(self, document: Document) -> FoldedText:
        """A document's text, to look quotes up in."""
        if document.id not in self._folded:
            self._folded[document.id] = FoldedText(document.text)
        return self._folded[document.id]


def standing(hits: Iterable[Hit], texts: Texts, *, limit: int | None = None) -> list[Standing]:
    """The evidence that stands exactly where it is said to, best first; of equals, that of the better hit.

    Args:
        hits: Best first.
        texts: Of the documents as they are now.
        limit: At most so many; None: all.
    """
    found = [Standing(hit, evidence) for hit in hits for evidence in hit.evidence]
    found.sort(key=lambda each: -each.evidence.score)
    kept: list[Standing] = []
    for each in found:
        if len(kept) == limit:
            break
        document = texts.document(each.evidence.span.document_id)
        if document and _stands(each.evidence, document):
            kept.append(each)
    return kept


def _stands(evidence: Evidence, document: Document) -> bool:
    """Whether the text stands at the span, character by character, and says something."""
    start, end = evidence.span.start, evidence.span.end
    inside = 0 <= start < end <= len(document.text)
    return inside and document.text[start:end] == evidence.text and bool(normalise(evidence.text))


def reading_order(passages: Sequence[Standing]) -> list[Standing]:
    """Documents in the order of their best passage, and within a document as it reads.

    Args:
        passages: Best first.
    """
    first: dict[str, int] = {}
    for place, each in enumerate(passages):
        first.setdefault(each.evidence.span.document_id, place)
    return sorted(
        passages, key=lambda each: (first[each.evidence.span.document_id], each.evidence.span.start)
    )


def cited(passages: Sequence[Standing]) -> tuple[Citation, ...]:
    """Whole passages as citations, numbered in reading order.

    Args:
        passages: Best first.
    """
    return tuple(citation(each, marker) for marker, each in enumerate(reading_order(passages), 1))


def citation(passage: Standing, marker: int) -> Citation:
    """A whole passage as a citation."""
    return Citation(
        marker=marker,
        span=passage.evidence.span,
        quote=passage.evidence.text,
        state="exact",
        source=passage.hit.source,
        title=passage.hit.title,
        headings=passage.hit.chunk.headings,
        page=passage.hit.chunk.page,
    )
