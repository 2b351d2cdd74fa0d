"""The retriever: query to vectors and terms, one hybrid search, fusion, evidence."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ragwright.core.errors import InputError
from ragwright.core.protocols import ChunkIndex, Encoder, Scored, StoredChunk, Tokenizer
from ragwright.core.types import Evidence, Hit, Place
from ragwright.retrieval.evidence import select_evidence
from ragwright.retrieval.evidence_score import QuerySigns, score_sentences
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
    evidence: float = 0.77
    budget: int | None = None


@dataclass(frozen=True, slots=True)
class _Query:
    vector: NDArray[np.float32]  # (dim,)
    terms: Mapping[int, float]  # synonyms included
    own_terms: frozenset[int]


@dataclass(frozen=True, slots=True)
class Found:
    """A chunk that was found.

    Attributes:
        stored: The chunk as the index holds it.
        places: Other places of its text.
        score: What hits are sorted by.
        parts: Every stage's part of the score.
    """

    stored: StoredChunk
    places: tuple[Place, ...]
    score: float
    parts: Mapping[str, float]

    def hit(self, evidence: tuple[Evidence, ...]) -> Hit:
        """The hit with this evidence."""
        return Hit(
            chunk=self.stored.chunk,
            source=self.stored.source,
            title=self.stored.title,
            score=self.score,
            scores={**self.parts, "fused": self.score},
            evidence=evidence,
            duplicates=self.places,
            metadata=self.stored.metadata,
        )


class Finding:
    """What a query found, with every sentence scored; evidence is chosen of it as often as wanted.

    Attributes:
        ranked: Everything that both halves put forward, best first; equal texts stand apart in it.
        chunks: The found chunks, best first.
        query: What their sentences were compared with.
        seconds: Wall time by step: `encode` (the query's vector and terms), `search` (engine, fusion and
            fetching) and `score` (of the sentences).
    """

    def __init__(
        self,
        found: Sequence[Found],
        query: QuerySigns,
        *,
        ranked: Sequence[Scored],
        options: SearchOptions,
        count_tokens: Callable[[str], int],
        seconds: Mapping[str, float],
    ) -> None:
        started = time.perf_counter()
        self.ranked = ranked
        self.chunks = [each.stored for each in found]
        self.query = query
        self._scores = score_sentences(self.chunks, query)
        self.seconds = {**seconds, "score": time.perf_counter() - started}
        self._found = found
        self._options = options
        self._count_tokens = count_tokens

    def hits(self, *, share: float | None = None, budget: int | None = None) -> list[Hit]:
        """The hits, best first, with the evidence that one position of the dial chooses.

        Args:
            share: See `SearchOptions.evidence`; None takes that of the options that were searched with.
            budget: See `SearchOptions.budget`; None takes that of the options.
        """
        chosen = select_evidence(
            self.chunks,
            self._scores,
            share=self._options.evidence if share is None else share,
            budget=self._options.budget if budget is None else budget,
            count_tokens=self._count_tokens,
        )
        return [each.hit(evidence) for each, evidence in zip(self._found, chosen, strict=True)]


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
        """Hits for a query, best first, with their evidence; see `find` for the arguments and errors."""
        return self.find(query, limit=limit, filters=filters, options=options).hits()

    def find(
        self,
        query: str,
        *,
        limit: int | None = None,
        filters: Mapping[str, str] | None = None,
        options: SearchOptions | None = None,
    ) -> Finding:
        """Everything that a query finds, before evidence is chosen of it.

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
        _check(query, chosen)
        started = time.perf_counter()
        prepared = self._prepare(query, chosen)
        encoded = time.perf_counter()
        ranked, found = self._found(prepared, filters or {}, chosen)
        signs = self._signs(prepared)
        seconds = {"encode": encoded - started, "search": time.perf_counter() - encoded}
        count = self._count_tokens
        return Finding(found, signs, ranked=ranked, options=chosen, count_tokens=count, seconds=seconds)

    def _count_tokens(self, text: str) -> int:
        return len(self._encoder.tokenizer.starts(text))

    def _found(
        self, prepared: _Query, filters: Mapping[str, str], chosen: SearchOptions
    ) -> tuple[list[Scored], list[Found]]:
        """The whole ranking, and the best chunks with different texts, best first."""
        dense, sparse = self._ask(prepared, filters, chosen)
        ranked = _rank(dense, sparse, chosen)
        parts = _parts(dense, sparse)
        scores = {hit.id: hit.score for hit in ranked}
        found = [
            Found(stored, tuple(places), scores[stored.chunk.id], parts[stored.chunk.id])
            for stored, places in self._distinct(ranked, chosen.limit)
        ]
        return ranked, found

    def _ask(
        self, prepared: _Query, filters: Mapping[str, str], chosen: SearchOptions
    ) -> tuple[list[Scored], list[Scored]]:
        """Both halves of the search, without hidden chunks."""
        hidden = self._hidden()
        shown = max(chosen.candidates, chosen.limit)
        dense, sparse = self._index.search(
            prepared.vector if chosen.mode != "lexical" else None,
            prepared.terms if chosen.mode != "dense" else None,
            limit=shown + len(hidden),
            filters=filters,
        )
        if hidden:
            dense, sparse = ([h for h in part if h.id not in hidden][:shown] for part in (dense, sparse))
        return dense, sparse

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

    def _signs(self, query: _Query) -> QuerySigns:
        rarities = self._index.rarities(query.terms)
        return QuerySigns(query.vector, query.terms, query.own_terms, rarities, self._terms.of_text)


def _check(query: str, options: SearchOptions) -> None:
    if not any(character.isalnum() for character in query):
        raise InputError(f"the query {query!r} holds no letters or digits; ask in words")
    if options.limit < 1:
        raise InputError(f"the limit is {options.limit}; ask for at least one hit")


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
