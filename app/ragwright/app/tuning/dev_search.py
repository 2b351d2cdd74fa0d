"""Asking dev questions again and again with other vectors: hybrid search at the price of a small product.

What both halves of the workspace's retriever found is kept once. The lexical half does not depend on vectors;
the dense half is ranked anew among everything that was found for any of the questions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ragwright.core.protocols import ChunkIndex, Scored
from ragwright.core.types import Vectors
from ragwright.retrieval.fusion import fuse

if TYPE_CHECKING:
    from ragwright.retrieval.finding import Finding
    from ragwright.retrieval.search import HybridRetriever, SearchOptions

DEPTH = 10
_ASKED = 64  # questions in one search
_FETCHED = 4096  # vectors


@dataclass(frozen=True, slots=True)
class DevQuestion:
    """A question that is looked at.

    Attributes:
        text: As it is asked.
        right: Ids of the chunks that answer it, at least one.
        filters: Field and value that every hit must have.
    """

    text: str
    right: frozenset[str]
    filters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Case:
    question: DevQuestion
    lexical: Sequence[Scored]
    open_to: NDArray[np.intp]  # rows of the pool that the filters let through


class DevSearch:
    """Ranks the chunks of a pool for dev questions, as the retriever fuses them."""

    def __init__(
        self, pool: Mapping[str, NDArray[np.float32]], cases: Sequence[_Case], options: SearchOptions
    ) -> None:
        """See `dev_search`, which makes one."""
        self._ids = list(pool)
        self._vectors = np.stack(list(pool.values()))
        self._cases = cases
        self._options = options

    def __call__(self, vectors: Vectors) -> Mapping[str, float]:
        """Mean nDCG@10 and recall at 10 of the questions, asked with these vectors, shape (n, dim)."""
        cosines = vectors @ self._vectors.T
        gains, recalls = [], []
        for case, row in zip(self._cases, cosines, strict=True):
            found = [key in case.question.right for key in self._ranked(case, row)]
            gains.append(_discounted(found, len(case.question.right)))
            recalls.append(sum(found) / len(case.question.right))
        return {f"nDCG@{DEPTH}": float(np.mean(gains)), f"R@{DEPTH}": float(np.mean(recalls))}

    def _ranked(self, case: _Case, cosines: NDArray[np.float32]) -> list[str]:
        """Ids of the best chunks of one question."""
        options, own = self._options, cosines[case.open_to]
        kept = np.argsort(-own, kind="stable")[: options.candidates]
        dense = [Scored(self._ids[case.open_to[place]], float(own[place])) for place in kept]
        if options.mode == "dense":
            return [hit.id for hit in dense[:DEPTH]]
        ranked = fuse(
            dense,
            case.lexical,
            method=options.fusion,
            dense_weight=options.dense_weight,
            rrf_k=options.rrf_k,
        )
        return [hit.id for hit in ranked[:DEPTH]]


def dev_search(
    questions: Sequence[DevQuestion],
    *,
    retriever: HybridRetriever,
    index: ChunkIndex,
    options: SearchOptions,
    sources: Mapping[str, str],
) -> DevSearch:
    """Ask dev questions once, and keep what is needed to ask them with other vectors.

    Args:
        questions: At least one.
        retriever: Is asked, without reranking.
        index: What it searches.
        options: How to search.
        sources: The source of every chunk, by its id.
    """
    options = replace(options, rerank="none", expert=None)
    lexical = _rankings(retriever, questions, replace(options, mode="lexical"))
    dense = _rankings(retriever, questions, replace(options, mode="dense"))
    wanted = {hit.id for found in (*lexical, *dense) for hit in found}
    wanted |= {key for question in questions for key in question.right}
    ordered, pool = sorted(wanted), dict[str, NDArray[np.float32]]()
    for first in range(0, len(ordered), _FETCHED):
        found = index.encodings(ordered[first : first + _FETCHED])
        pool |= {key: each.vector for key, each in found.items()}
    cases = [
        _Case(question, hits, _open_to(list(pool), question, sources))
        for question, hits in zip(questions, lexical, strict=True)
    ]
    return DevSearch(pool, cases, options)


def _rankings(
    retriever: HybridRetriever, questions: Sequence[DevQuestion], options: SearchOptions
) -> list[Sequence[Scored]]:
    found: list[Finding] = []
    for first in range(0, len(questions), _ASKED):
        part = questions[first : first + _ASKED]
        texts, filters = [each.text for each in part], [each.filters for each in part]
        found += retriever.find_many(texts, limit=1, filters=filters, options=options)
    return [each.ranked for each in found]


def _open_to(ids: Sequence[str], question: DevQuestion, sources: Mapping[str, str]) -> NDArray[np.intp]:
    within = question.filters.get("source")
    rows = [row for row, key in enumerate(ids) if within is None or sources.get(key) == within]
    return np.array(rows, np.intp)


def _discounted(found: Sequence[bool], right: int) -> float:
    """The nDCG of one ranking with gains of 0 and 1 (Järvelin and Kekäläinen 2002), 0 to 1."""
    gained = sum(1.0 / np.log2(rank + 2) for rank, each in enumerate(found) if each)
    return float(gained / sum(1.0 / np.log2(rank + 2) for rank in range(min(DEPTH, right))))
