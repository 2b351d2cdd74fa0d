"""What an engine answers, as values: the same points come back from the embedded engine and from a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ragwright.core.protocols import IndexQuery, Scored
from ragwright.retrieval.payload import SPARSE
from ragwright.retrieval.terms import Best


def results(
    query: IndexQuery, answers: Iterator[Sequence[Any]], *, text: Callable[[Any], str] = str
) -> tuple[list[Scored], list[Scored]]:
    """The dense and the lexical results of a query.

    Args:
        query: What was asked; the engine was not asked for an empty scope.
        answers: Those to the halves of this query, and of later ones.
        text: Writes an id.
    """
    if query.scope.is_empty:
        return [], []
    dense = _ordered(next(answers), text) if query.dense is not None else []
    return dense, _ordered(next(answers), text) if query.terms else []


def best_of(answer: Sequence[Any]) -> Best | None:
    """The first point of an answer that brings its terms along; None where there is none."""
    if not answer:
        return None
    stored = answer[0].vector[SPARSE]
    return Best(answer[0].score, stored.indices, stored.values)


def _ordered(answer: Sequence[Any], text: Callable[[Any], str]) -> list[Scored]:
    """Points as scored ids, best first; equal scores by id, so that the order is the same in every run."""
    return [
        Scored(key, -score) for score, key in sorted([(-point.score, text(point.id)) for point in answer])
    ]
