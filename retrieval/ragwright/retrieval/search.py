"""The retriever: query to vectors and terms, one hybrid search, fusion, evidence."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ragwright.core.errors import InputError
from ragwright.core.protocols import ChunkIndex, Encoder, Scored, StoredChunk, Tokenizer
from ragwright.core.types import Evidence, Hit, Place
from ragwright.retrieval.evidence import QuerySigns, select_evidence
from ragwright.retrieval.fusion import FusionMethod, fuse
from ragwright.retrieval.terms import Terms

Mode = Literal["hybrid", "dense", "lexical"]


class QueryEncoder(Encoder, Protocol):
    """An encoder whose tokenizer can be asked."""

    @property
    def tokenizer(self) -> Tokenizer:
        """Counts tokens for the evidence budget."""
        ...


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How to search; the fields are those of the `[search]` section.

    Attributes:
        mode: Which halves take part.
        limit: At most this many hits.
        candidates: How many each half gives to the fusion.
        fusion: See `fuse`.
        rrf_k: See `fuse`.
        dense_weight: See `fuse`.
        expansion_weight: What the terms of synonyms weigh against the question's own, 0..1.
        evidence: Share of the best sentence's score that evidence must reach, 0..1.
        budget: Tokens of evidence in all; None sets no bound.
    """

    mode: Mode = "hybrid"
    limit: int = 10
    candidates: int = 50
    fusion: FusionMethod = "weighted"
    rrf_k: int = 60
    dense_weight: float = 0.5
    expansion_weight: float = 0.5
    evidence: float = 0.8
    budget: int | None = None


@dataclass(frozen=True, slots=True)
class _Query:
    vector: NDArray[np.float32]  # (dim,)
    terms: Mapping[int, float]  # synonyms included
    own_terms: frozenset[int]


class HybridRetriever:
    """Finds chunks by meaning and by words, and the evidence in them."""

    def __init__(
        self,
        encoder: QueryEncoder,
        index: ChunkIndex,
        terms: Terms,
        *,
        options: SearchOptions,
        expand: Callable[[str], Sequence[str]] = lambda query: (),
        hidden: Callable[[], Collection[str]] = tuple,
    ) -> None:
        """Make a retriever.

        Args:
            encoder: The one the index was made with.
            index: What is searched.
            terms: Of the index's language.
            options: How to search, when a call says nothing else.
            expand: Synonyms of a query's terms.
            hidden: Ids of chunks that are in the index and belong to no committed document: never shown.
        """
        self._encoder = encoder
        self._index = index
        self._terms = terms
        self._options = options
        self._expand = expand
        self._hidden = hidden

    def search(
        self,
        query: str,
        *,
        limit: int | None = None,
        filters: Mapping[str, str] | None = None,
        options: SearchOptions | None = None,
    ) -> list[Hit]:
        """Hits for a query, best first, with their evidence.

        Args:
            query: A question or keywords.
            limit: Overrides the options' limit.
            filters: Field and value that every hit must have; see `payload.FILTER_KEYS`.
            options: Override the configured ones.

        Raises:
            InputError: The query holds no letters or digits, or the limit is below 1.
        """
        chosen = options or self._options
        chosen = replace(chosen, limit=limit) if limit is not None else chosen
        if not any(character.isalnum() for character in query):
            raise InputError(f"the query {query!r} holds no letters or digits; ask in words")
        if chosen.limit < 1:
            raise InputError(f"the limit is {chosen.limit}; ask for at least one hit")
        prepared = self._prepare(query, chosen)
        hidden = self._hidden()
        dense, sparse = self._index.search(
            prepared.vector if chosen.mode != "lexical" else None,
            prepared.terms if chosen.mode != "dense" else None,
            limit=max(chosen.candidates, chosen.limit) + len(hidden),
            filters=filters or {},
        )
        if hidden:
            shown = max(chosen.candidates, chosen.limit)
            dense, sparse = ([h for h in part if h.id not in hidden][:shown] for part in (dense, sparse))
        ranked = _rank(dense, sparse, chosen)
        found = self._distinct(ranked, chosen.limit)
        evidence = self._evidence([stored for stored, _ in found], ranked, prepared, chosen)
        parts = _parts(dense, sparse)
        scores = {hit.id: hit.score for hit in ranked}
        return [
            _hit(stored, places, spans, scores[stored.chunk.id], parts[stored.chunk.id])
            for (stored, places), spans in zip(found, evidence, strict=True)
        ]

    def _prepare(self, query: str, options: SearchOptions) -> _Query:
        vector = self._encoder.encode_queries([query])[0]
        expansions = dict.fromkeys(self._expand(query), options.expansion_weight)
        own = frozenset(self._terms.of_query(query))
        return _Query(vector, self._terms.of_query(query, expansions=expansions), own)

    def _distinct(self, ranked: Sequence[Scored], limit: int) -> list[tuple[StoredChunk, list[Place]]]:
        """The best chunks with different texts, each with the other places of its text, best first."""
        found: dict[str, tuple[StoredChunk, list[Place]]] = {}
        for start in range(0, len(ranked), limit):
            ids = [hit.id for hit in ranked[start : start + limit]]
            stored = self._index.fetch(ids)
            for chunk in (stored[key] for key in ids if key in stored):
                if chunk.chunk.text in found:
                    found[chunk.chunk.text][1].append(Place(chunk.chunk.span, chunk.source))
                elif len(found) < limit:
                    found[chunk.chunk.text] = (chunk, [])
            if len(found) >= limit:
                break
        return list(found.values())

    def _evidence(
        self, chunks: Sequence[StoredChunk], ranked: Sequence[Scored], query: _Query, options: SearchOptions
    ) -> list[tuple[Evidence, ...]]:
        rarities = self._index.rarities(query.terms)
        weighed = {term: rarities[term] * weight for term, weight in query.terms.items()}
        total = sum(rarities[term] for term in query.own_terms)
        best = max((hit.score for hit in ranked), default=0.0)
        scores = {hit.id: max(hit.score, 0.0) / best if best > 0 else 0.0 for hit in ranked}
        return select_evidence(
            chunks,
            [scores[chunk.chunk.id] for chunk in chunks],
            QuerySigns(query.vector, weighed, total, self._terms.of_text),
            share=options.evidence,
            budget=options.budget,
            count_tokens=lambda text: len(self._encoder.tokenizer.starts(text)),
        )


def _rank(dense: Sequence[Scored], sparse: Sequence[Scored], options: SearchOptions) -> list[Scored]:
    if options.mode == "dense":
        return sorted(dense, key=lambda hit: (-hit.score, hit.id))
    if options.mode == "lexical":
        return sorted(sparse, key=lambda hit: (-hit.score, hit.id))
    return fuse(dense, sparse, method=options.fusion, dense_weight=options.dense_weight, rrf_k=options.rrf_k)


def _parts(dense: Sequence[Scored], sparse: Sequence[Scored]) -> dict[str, dict[str, float]]:
    """Every stage's part of each id's score."""
    parts: dict[str, dict[str, float]] = {}
    for name, ranked in (("dense", dense), ("sparse", sparse)):
        for rank, hit in enumerate(ranked, 1):
            parts.setdefault(hit.id, {}).update({name: hit.score, f"{name}_rank": float(rank)})
    return parts


def _hit(
    stored: StoredChunk,
    places: Sequence[Place],
    evidence: tuple[Evidence, ...],
    score: float,
    parts: dict[str, float],
) -> Hit:
    return Hit(
        chunk=stored.chunk,
        source=stored.source,
        title=stored.title,
        score=score,
        scores={**parts, "fused": score},
        evidence=evidence,
        duplicates=tuple(places),
        metadata=stored.metadata,
    )
