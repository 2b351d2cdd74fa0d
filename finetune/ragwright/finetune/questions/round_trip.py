"""The answerable round trip: a question is kept when its passage is found again for it.

After Dai et al. 2023, "Promptagator" (arXiv:2209.11755), with a wide net: what the present retriever finds at
once teaches little, what it never finds is no good question or beyond it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ragwright.core.types import Hit
from ragwright.finetune.questions.filters import Filtered, audited
from ragwright.finetune.values import Audited, LabelledQuestion, Search

WITHIN = "within"
"""Key of a question's metadata: the source that it is asked within, since others answer it too."""

RANK = "rank"
"""Key of a question's metadata: the rank, from 1, at which its passage was found."""

SearchWithin = Callable[[Sequence[str], Sequence[str]], list[list[Hit]]]
"""Hits for each of several questions, best first, each within one document, named by its source."""


def round_trip(
    questions: Sequence[LabelledQuestion], *, search: Search, within: SearchWithin, depth: int
) -> Filtered:
    """Questions whose passage is found again.

    Args:
        questions: To be tried.
        search: Asks the whole collection.
        within: Asks one document.
        depth: So many hits are looked at.

    Returns:
        A question that is found in the collection, and one that is found in its only document alone: this is
        marked to be asked there, since the words fit other documents as well. The rank is in the metadata.
    """
    ranks = [
        found_at(question, hits[:depth])
        for question, hits in zip(questions, _asked(questions, search), strict=True)
    ]
    lost = [
        question
        for question, rank in zip(questions, ranks, strict=True)
        if rank == 0 and len(question.sources) == 1
    ]
    again = dict(zip((question.id for question in lost), _inside(lost, within, depth), strict=True))
    kept: list[LabelledQuestion] = []
    audit: list[Audited] = []
    for question, rank in zip(questions, ranks, strict=True):
        if rank:
            kept.append(_noted(question, rank))
        elif inside := again.get(question.id, 0):
            source = next(iter(question.sources))
            reason = f"its passage is not among {depth} hits of the collection, but is within {source}"
            audit.append(audited(question, "asked_within", reason, dropped=False))
            kept.append(_noted(question, inside, within=source))
        else:
            audit.append(
                audited(question, "not_found_again", f"its passage is not among {depth} hits for it")
            )
    return Filtered(tuple(kept), tuple(audit))


def found_at(question: LabelledQuestion, hits: Sequence[Hit]) -> int:
    """The rank, from 1, of the first hit that holds a part of a reference; 0 where none does."""
    for rank, hit in enumerate(hits, start=1):
        places = ((hit.source, hit.chunk.span), *((place.source, place.span) for place in hit.duplicates))
        for source, span in places:
            if any(
                r.document_id == source and r.start < span.end and span.start < r.end
                for r in question.references
            ):
                return rank
    return 0


def _asked(questions: Sequence[LabelledQuestion], search: Search) -> list[list[Hit]]:
    return search([question.text for question in questions]) if questions else []


def _inside(questions: Sequence[LabelledQuestion], within: SearchWithin, depth: int) -> list[int]:
    if not questions:
        return []
    sources = [next(iter(question.sources)) for question in questions]
    found = within([question.text for question in questions], sources)
    return [found_at(question, hits[:depth]) for question, hits in zip(questions, found, strict=True)]


def _noted(question: LabelledQuestion, rank: int, *, within: str = "") -> LabelledQuestion:
    noted = {RANK: rank, **({WITHIN: within} if within else {})}
    return replace(question, metadata={**question.metadata, **noted})
