"""Joining ranked lists into one: pure functions of ids and scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ragwright.core.protocols import Scored

FusionMethod = Literal["rrf", "weighted"]


def fuse(
    dense: Sequence[Scored],
    sparse: Sequence[Scored],
    *,
    method: FusionMethod,
    dense_weight: float,
    rrf_k: int,
) -> list[Scored]:
    """Join a dense and a lexical ranking.

    Args:
        dense: Best first.
        sparse: Best first.
        method: `rrf` adds weight / (rrf_k + rank) over both lists (Cormack, Clarke and Büttcher 2009,
            "Reciprocal Rank Fusion"), `weighted` adds scores scaled to 0..1 within each list (Bruch, Gai and
            Ingber 2023, "An Analysis of Fusion Functions for Hybrid Retrieval").
        dense_weight: Share of the dense list, 0..1; the lexical one has the rest.
        rrf_k: Larger values weigh the first ranks less.

    Returns:
        Every id of either list once, best first; equal scores are ordered by id, so that the order is the
        same in every run.

    >>> a, b = [Scored("x", 0.9), Scored("y", 0.5)], [Scored("y", 7.0)]
    >>> [hit.id for hit in fuse(a, b, method="rrf", dense_weight=0.5, rrf_k=60)]
    ['y', 'x']
    """
    parts = ((dense, dense_weight), (sparse, 1.0 - dense_weight))
    totals: dict[str, float] = {}
    for ranked, weight in parts:
        values = _reciprocal_ranks(ranked, rrf_k) if method == "rrf" else _scaled(ranked)
        for (key, _), value in zip(ranked, values, strict=True):
            totals[key] = totals.get(key, 0.0) + weight * value
    return [Scored(key, -score) for score, key in sorted([(-total, key) for key, total in totals.items()])]


def _reciprocal_ranks(ranked: Sequence[Scored], k: int) -> list[float]:
    return [1.0 / (k + rank) for rank in range(1, len(ranked) + 1)]


def _scaled(ranked: Sequence[Scored]) -> list[float]:
    """Scores divided by the best: 0 keeps its meaning (nothing in common), so a lone hit is not inflated."""
    best = max((hit.score for hit in ranked), default=0.0)
    return [score / best if score > 0.0 else 0.0 for _, score in ranked]
