"""Every measure of a run: one row for each question and measure, aggregates come later.

A question without a result scores zero on each measure that applies to it. Overlap is measured where labels
are spans; for document-level judgements only the ranking is, since a whole document is no evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ragwright.core.types import Span
from ragwright.eval.answers import answer_rows
from ragwright.eval.compat import compat_omega, compat_overlap
from ragwright.eval.overlap import ChunkMap, Overlap, Units, overlap, precision_omega
from ragwright.eval.ranking import RANKING, Level, ranking_rows
from ragwright.eval.statistics import estimates
from ragwright.eval.twins import chunk_spans, cited_at, evidence_spans
from ragwright.eval.values import Judgement, Outcome, Row


@dataclass(frozen=True, slots=True)
class Scoring:
    """What outcomes are scored against.

    Attributes:
        units: What overlap is counted in.
        chunks: Every chunk of the index by id.
        judgements: Document-level judgements; empty where labels are spans.
        text_of: Canonical text of a source.
        published: Also compute the measures as the published code does, over this many chunks; 0: do not.
        answers: Whether questions were to be answered.
    """

    units: Units
    chunks: Mapping[str, Span]
    judgements: Sequence[Judgement]
    text_of: Callable[[str], str | None]
    published: int = 0
    answers: bool = False

    @property
    def level(self) -> Level:
        """What a ranking is made of."""
        return "documents" if self.judgements else "chunks"


def score(outcomes: Sequence[Outcome], scoring: Scoring) -> list[Row]:
    """Rows of every measure that applies, ordered by measure group and then by question."""
    rows: list[Row] = []
    if not scoring.judgements:
        chunk_map = ChunkMap(scoring.chunks.values())
        for outcome in outcomes:
            if outcome.question.references:
                rows += _overlap_rows(outcome, chunk_map, scoring)
    rows += ranking_rows(
        outcomes,
        measures=RANKING,
        level=scoring.level,
        judgements=scoring.judgements,
        chunks=scoring.chunks,
    )
    answered = [_cited_where_it_counts(outcome) for outcome in outcomes]
    return rows + answer_rows(answered, text_of=scoring.text_of, answers=scoring.answers)


def dial_rows(outcomes: Iterable[Outcome], share: float, units: Units) -> list[Row]:
    """Rows of the evidence measures at one position of the dial; a question without a result scores zero."""
    return [
        Row(outcome.question.id, name, value)
        for outcome in outcomes
        if outcome.question.references
        for name, value in _named(
            overlap(outcome.question.references, outcome.dial.get(share, ()), units), ""
        ).items()
    ]


def frontier(outcomes: Sequence[Outcome], units: Units) -> list[dict[str, Any]]:
    """Mean recall, IoU and precision of the evidence at every position of the dial, with intervals.

    Args:
        outcomes: Asked at positions of the dial.
        units: What is counted.

    Returns:
        One mapping for each share in ascending order; empty where nothing was asked along the dial.
    """
    points = []
    for share in sorted({share for outcome in outcomes for share in outcome.dial}):
        found = estimates(dial_rows(outcomes, share, units))
        point: dict[str, Any] = {"share": share, "n": found["recall"].n}
        for name in ("recall", "iou", "precision"):
            each = found[name]
            point |= {name: each.mean, f"{name}_low": each.low, f"{name}_high": each.high}
        points.append(point)
    return points


def _overlap_rows(outcome: Outcome, chunk_map: ChunkMap, scoring: Scoring) -> list[Row]:
    references, key = outcome.question.references, outcome.question.id
    evidence = evidence_spans(outcome.found, references)
    chunks = chunk_spans(outcome.found, references)
    values = {
        **_named(overlap(references, evidence, scoring.units), ""),
        **_named(overlap(references, chunks, scoring.units), "chunk_"),
        "precision_omega": precision_omega(references, chunk_map, scoring.units),
    }
    if scoring.published:
        first = [ranked.span for ranked in outcome.ranked[: scoring.published]]
        names = ("compat_recall", "compat_precision", "compat_iou")
        values |= dict(zip(names, compat_overlap(references, first), strict=True))
        values["compat_omega"] = compat_omega(references, chunk_map)
    return [Row(key, name, value) for name, value in values.items()]


def _cited_where_it_counts(outcome: Outcome) -> Outcome:
    """The outcome with its citations at the places that count, so that equal texts are no misses."""
    reply = outcome.reply
    if reply is None:
        return outcome
    references = outcome.question.references
    citations = tuple(cited_at(each, outcome.found, references) for each in reply.citations)
    return replace(outcome, reply=replace(reply, citations=citations))


def _named(scores: Overlap, prefix: str) -> dict[str, float]:
    names = ("recall", "precision", "iou", "precision_penalised", "iou_penalised")
    return {prefix + name: getattr(scores, name) for name in names}
