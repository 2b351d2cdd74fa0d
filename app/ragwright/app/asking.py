"""Asking a workspace every question of a data set, and keeping what came back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ragwright.core.answering import answered
from ragwright.core.errors import InputError
from ragwright.core.types import AnswerRequest, Hit, Question, Span
from ragwright.eval.twins import evidence_spans
from ragwright.eval.values import Found, Outcome, Ranked, Reply

if TYPE_CHECKING:
    from ragwright.core.protocols import Generator
    from ragwright.retrieval.finding import Finding
    from ragwright.retrieval.search import HybridRetriever, SearchOptions

DIAL = tuple(round(0.05 * step, 2) for step in range(21))
"""Positions of the evidence dial at which the frontier is drawn."""

_RANKED = 100  # chunks of a ranking that are kept: as deep as the deepest measure looks


@dataclass(frozen=True, slots=True)
class System:
    """What is asked.

    Attributes:
        retriever: Finds.
        generator: Answers; None leaves answers out.
        spans: Every chunk of the index by id; spans name the document by its source.
        sources: Source of each document id.
        options: How to search.
    """

    retriever: HybridRetriever
    generator: Generator | None
    spans: Mapping[str, Span]
    sources: Mapping[str, str]
    options: SearchOptions


def ask(
    system: System,
    questions: Sequence[Question],
    *,
    dial: Sequence[float] = DIAL,
    add: Callable[[Question, list[Hit]], list[Hit]] = lambda question, hits: hits,
    done: Callable[[], None] = lambda: None,
) -> list[Outcome]:
    """Outcomes of questions, in their order; one that cannot be asked gets its error.

    Args:
        system: What is asked.
        questions: Their references name documents by their source.
        dial: Shares at which evidence is also chosen, for questions with references.
        add: What the generator is given, made from the hits: a test may add passages.
        done: Called after each question.
    """
    if questions:  # the first search pays for what is made ready, and no question should
        system.retriever.find("warm up", options=system.options)
    outcomes = []
    for question in questions:
        try:
            outcomes.append(_ask(system, question, dial, add))
        except InputError as error:
            outcomes.append(Outcome(question, error=str(error)))
        done()
    return outcomes


def _ask(
    system: System,
    question: Question,
    dial: Sequence[float],
    add: Callable[[Question, list[Hit]], list[Hit]],
) -> Outcome:
    filters = question.metadata.get("filters", {})
    finding = system.retriever.find(question.text, filters=filters, options=system.options)
    dial = dial if question.references else ()
    started = time.perf_counter()
    hits = finding.hits()
    chosen = time.perf_counter()
    reply = _reply(system, question, add(question, hits)) if system.generator else None
    seconds = {**finding.seconds, "evidence": chosen - started}
    if reply:
        seconds["answer"] = time.perf_counter() - chosen
    return Outcome(
        question=question,
        found=tuple(_found(hit) for hit in hits),
        ranked=_ranked(system, finding),
        reply=reply,
        dial={share: _evidence(finding.hits(share=share), question) for share in dial},
        seconds=seconds,
    )


def _ranked(system: System, finding: Finding) -> tuple[Ranked, ...]:
    """The ranking, without chunks that the catalog does not list: they are of no committed document."""
    known = ((hit, system.spans.get(hit.id)) for hit in finding.ranked[:_RANKED])
    return tuple(Ranked(hit.id, span, hit.score) for hit, span in known if span is not None)


def _reply(system: System, question: Question, hits: Sequence[Hit]) -> Reply | None:
    if system.generator is None:
        return None
    answer = answered(system.generator, AnswerRequest(question.text, tuple(hits)))
    citations = tuple(
        replace(each, span=_at_source(each.span, _source(system, each.span))) for each in answer.citations
    )
    return Reply(answer.text, citations, answer.refused, answer.support, answer.usage)


def _found(hit: Hit) -> Found:
    return Found(
        chunk_id=hit.chunk.id,
        span=_at_source(hit.chunk.span, hit.source),
        title=hit.title,
        headings=hit.chunk.headings,
        page=hit.chunk.page,
        text=hit.chunk.text,
        score=hit.score,
        scores=hit.scores,
        evidence=tuple(replace(each, span=_at_source(each.span, hit.source)) for each in hit.evidence),
        places=tuple(replace(each, span=_at_source(each.span, each.source)) for each in hit.duplicates),
    )


def _evidence(hits: Sequence[Hit], question: Question) -> tuple[Span, ...]:
    return tuple(evidence_spans([_found(hit) for hit in hits if hit.evidence], question.references))


def _source(system: System, span: Span) -> str:
    """The source of a span's document; a passage that a test made up keeps its own name."""
    return system.sources.get(span.document_id, span.document_id)


def _at_source(span: Span, source: str) -> Span:
    """The span under the name that evaluation uses for its document."""
    return replace(span, document_id=source)
