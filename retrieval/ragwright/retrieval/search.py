"""The retriever: queries to vectors and terms, one hybrid search, fusion, reranking, evidence."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NoReturn, Self

import numpy as np

from ragwright.core.errors import InputError
from ragwright.core.protocols import (
    ChunkIndex,
    IndexQuery,
    Reader,
    Reranker,
    Scored,
    StoredChunk,
)
from ragwright.core.types import Hit, Scope, Vector
from ragwright.retrieval.adapted_queries import AdaptedQueries, AdaptedQuery, QueryEncoder
from ragwright.retrieval.candidates import Candidate, Ranking, distinct
from ragwright.retrieval.evidence_score import QuerySigns, score_sentences
from ragwright.retrieval.finding import Finding, Found
from ragwright.retrieval.fusion import FusionMethod, fuse
from ragwright.retrieval.query_vectors import QueryVectors
from ragwright.retrieval.read_evidence import Read, read_chunks
from ragwright.retrieval.terms import Terms

Mode = Literal["hybrid", "dense", "lexical"]
ModelReranking = Literal["late", "cross"]  # what needs a model
Reranking = Literal["none", "evidence", "reader"] | ModelReranking


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
        rerank: What orders the best candidates anew: nothing, their best sentence's evidence score, the
            retriever's reader, or one of its rerankers (by late interaction or by a cross-encoder).
        rerank_candidates: How many different texts are reranked, `limit` at the least.
        evidence: Share of the best sentence's score that evidence must reach, 0..1.
        budget: Tokens of evidence in all; None sets no bound.
        expert: Who encodes the queries, where a router knows experts; None lets it choose.
    """

    mode: Mode = "hybrid"
    limit: int = 10
    candidates: int = 50
    fusion: FusionMethod = "weighted"
    rrf_k: int = 60
    dense_weight: float = 0.5
    expansion_weight: float = 0.5
    rerank: Reranking = "none"
    rerank_candidates: int = 50
    evidence: float = 0.77
    budget: int | None = None
    expert: str | None = None

    @property
    def pool(self) -> int:
        """How many different texts are looked at."""
        return self.limit if self.rerank == "none" else max(self.limit, self.rerank_candidates)


@dataclass(frozen=True, slots=True)
class _Query:
    text: str
    meaning: Vector  # the encoder's own: what sentences are compared with
    adapted: AdaptedQuery  # what the index is asked with
    terms: Mapping[int, float]  # synonyms included
    own_terms: frozenset[int]
    filters: Mapping[str, str]

    def asked(self, mode: Mode, scope: Scope) -> IndexQuery:
        """What the index is asked for."""
        dense = self.adapted.vector if mode != "lexical" else None
        return IndexQuery(dense, self.terms if mode != "dense" else None, scope, self.filters)


class _Watch:
    """Wall time by step; what several queries took together counts in equal shares.

    Attributes:
        seconds: By step.
    """

    def __init__(self, queries: int) -> None:
        self.seconds: dict[str, float] = {}
        self._queries = queries
        self._last = time.perf_counter()

    def done(self, step: str) -> None:
        """A step ends now."""
        now = time.perf_counter()
        self.seconds[step] = (now - self._last) / self._queries
        self._last = now


def _no_reranker(method: ModelReranking) -> NoReturn:
    raise InputError(
        f"search.rerank is {method}, and no reranker is configured; set search.rerank to none or evidence"
    )


class HybridRetriever:
    """Finds chunks by meaning and by words, and the evidence in them, as far as its scope goes.

    Any number of threads may ask.
    """

    def __init__(
        self,
        encoder: QueryEncoder,
        index: ChunkIndex,
        terms: Terms,
        *,
        scope: Scope,
        options: SearchOptions,
        expand: Callable[[str], Sequence[str]] = lambda query: (),
        hidden: Callable[[], Collection[str]] = tuple,
        reranker: Callable[[ModelReranking], Reranker] = _no_reranker,
        reader: Callable[[], Reader | None] = lambda: None,
    ) -> None:
        """Make a retriever.

        Args:
            encoder: The one the index was made with; its queries may be adapted, which evidence is not.
            index: What is searched.
            terms: Of the index's language.
            scope: What whoever asks may see.
            options: How to search, when a call says nothing else.
            expand: Synonyms of a query's terms.
            hidden: Ids of chunks that are in the index and belong to no committed document: never shown.
            reranker: Gives what reranks where the options say `late` or `cross`; asked at every such search,
                and raises `InputError` for one that is not configured.
            reader: Gives what reads the chunks that are found, so that it chooses the evidence; None: nothing
                does. Asked at every search.
        """
        self._adaptation = encoder.adaptation if isinstance(encoder, AdaptedQueries) else None
        self._encoder = encoder.base if isinstance(encoder, AdaptedQueries) else encoder
        self._vectors = QueryVectors(self._encoder)
        self._index = index
        self._terms = terms
        self._scope = scope
        self._options = options
        self._expand = expand
        self._hidden = hidden
        self._reranker = reranker
        self._reader = reader

    @property
    def scope(self) -> Scope:
        """What whoever asks may see."""
        return self._scope

    def within(self, scope: Scope) -> Self:
        """This retriever for another caller; it shares all else, the vectors of former queries included."""
        view = copy.copy(self)
        view._scope = scope
        return view

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

    def search_many(
        self,
        queries: Sequence[str],
        *,
        limit: int | None = None,
        filters: Sequence[Mapping[str, str]] | None = None,
        options: SearchOptions | None = None,
    ) -> list[list[Hit]]:
        """Hits for each query, in their order; see `find_many` for the arguments and errors."""
        found = self.find_many(queries, limit=limit, filters=filters, options=options)
        return [finding.hits() for finding in found]

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
            InputError: The query holds no letters or digits, the limit is below 1, or a reranker is asked for
                that is not configured.
        """
        return self.find_many([query], limit=limit, filters=[filters or {}], options=options)[0]

    def find_many(
        self,
        queries: Sequence[str],
        *,
        limit: int | None = None,
        filters: Sequence[Mapping[str, str]] | None = None,
        options: SearchOptions | None = None,
    ) -> list[Finding]:
        """What `find` finds for each query, in their order, at the price of few calls.

        The queries are encoded in one call, the index is asked in one, and all candidates are reranked in
        one. Given equal query vectors, the results are those of single calls.

        Args:
            queries: Questions or keywords.
            limit: Overrides the options' limit.
            filters: For each query, field and value that every hit must have; None: there are none.
            options: Override the configured ones.

        Raises:
            InputError: As `find`, for any of the queries.
        """
        chosen = options or self._options
        chosen = replace(chosen, limit=limit) if limit is not None else chosen
        wanted = [{}] * len(queries) if filters is None else filters
        if isinstance(queries, str) or isinstance(wanted, Mapping) or len(wanted) != len(queries):
            raise InputError("find_many wants a list of queries, and as many mappings of filters, or None")
        self._check(queries, chosen)
        if self._scope.is_empty:
            return [Finding.of_nothing(self._encoder.dimension) for _ in queries]
        return self._find(queries, wanted, chosen) if queries else []

    def _check(self, queries: Sequence[str], options: SearchOptions) -> None:
        for query in queries:
            if not any(character.isalnum() for character in query):
                raise InputError(f"the query {query!r} holds no letters or digits; ask in words")
        if options.limit < 1:
            raise InputError(f"the limit is {options.limit}; ask for at least one hit")
        if options.rerank in ("late", "cross"):
            self._reranker(options.rerank)
        if options.rerank == "reader" and self._reader() is None:
            raise InputError(
                "search.rerank is reader, and there is none; set reader.model to a reader's folder"
            )

    def _find(
        self, texts: Sequence[str], filters: Sequence[Mapping[str, str]], chosen: SearchOptions
    ) -> list[Finding]:
        watch = _Watch(len(texts))
        queries = self._prepare(texts, filters, chosen)
        watch.done("encode")
        rankings = self._rank(queries, chosen)
        pools = distinct([each.fused for each in rankings], self._fetch, wanted=chosen.pool)
        signs = self._signs(queries)
        watch.done("search")
        read = self._read(texts, pools) if chosen.rerank == "reader" else None
        scores = self._rerank(texts, pools, signs, chosen, read)
        if chosen.rerank != "none":
            watch.done("rerank")
        parts = zip(rankings, pools, scores, strict=True)
        found = [ranking.found(pool, new)[: chosen.limit] for ranking, pool, new in parts]
        if read is None and (read := self._read(texts, found)) is not None:
            watch.done("read")
        readings = [None] * len(texts) if read is None else read
        return [
            Finding(
                each,
                sign,
                ranked=ranking.fused if new is None else ranking.reranked(pool, new),
                share=chosen.evidence,
                budget=chosen.budget,
                count_tokens=self._count_tokens,
                seconds=watch.seconds,
                read=reading,
            )
            for each, sign, ranking, pool, new, reading in zip(
                found, signs, rankings, pools, scores, readings, strict=True
            )
        ]

    def _prepare(
        self, texts: Sequence[str], filters: Sequence[Mapping[str, str]], options: SearchOptions
    ) -> list[_Query]:
        queries = []
        vectors = self._vectors.of(texts)
        adapted = self._adapted(texts, vectors, options.expert)
        for text, vector, moved, wanted in zip(texts, vectors, adapted, filters, strict=True):
            own = self._terms.of_query(text)
            expansions = dict.fromkeys(self._expand(text), options.expansion_weight)
            terms = self._terms.of_query(text, expansions=expansions) if expansions else own
            queries.append(_Query(text, vector, moved, terms, frozenset(own), wanted))
        return queries

    def _adapted(
        self, texts: Sequence[str], vectors: Sequence[Vector], expert: str | None
    ) -> Sequence[AdaptedQuery]:
        if self._adaptation is not None:
            return self._adaptation.adapt(texts, np.stack(vectors), expert=expert)
        if expert is not None:
            raise InputError(
                f'search.expert is "{expert}", and there is no router here; unset it, or set encoder.router'
            )
        return [AdaptedQuery(vector) for vector in vectors]

    def _rank(self, queries: Sequence[_Query], chosen: SearchOptions) -> list[Ranking]:
        """Both halves and the whole ranking of each query, without hidden chunks."""
        hidden = self._hidden()
        shown = max(chosen.candidates, chosen.pool)
        asked = [query.asked(chosen.mode, self._scope) for query in queries]
        rankings = []
        found = self._index.search_many(asked, limit=shown + len(hidden))
        for query, (dense, sparse) in zip(queries, found, strict=True):
            if hidden:
                dense, sparse = ([h for h in part if h.id not in hidden][:shown] for part in (dense, sparse))
            joined = _joined(dense, sparse, chosen)
            rankings.append(Ranking(dense, sparse, joined, query.adapted.scores))
        return rankings

    def _fetch(self, chunk_ids: Sequence[str]) -> Mapping[str, StoredChunk]:
        """Chunks by id, without those whose rights were taken away after they were found."""
        stored = self._index.fetch(chunk_ids)
        return {key: each for key, each in stored.items() if self._scope.allows(each.access)}

    def _signs(self, queries: Sequence[_Query]) -> list[QuerySigns]:
        rarities = self._index.rarities(dict.fromkeys(term for query in queries for term in query.terms))
        return [QuerySigns(query.meaning, query.terms, query.own_terms, rarities) for query in queries]

    def _rerank(
        self,
        queries: Sequence[str],
        pools: Sequence[Sequence[Candidate]],
        signs: Sequence[QuerySigns],
        chosen: SearchOptions,
        read: Sequence[Read] | None,
    ) -> Sequence[list[float] | None]:
        """New scores of each query's candidates; None without reranking."""
        if chosen.rerank == "reader":
            both = zip(read or (), pools, strict=True)
            return [each.passages(candidate.id for candidate in pool) for each, pool in both]
        if chosen.rerank == "evidence":
            return [_best_sentences(pool, sign) for pool, sign in zip(pools, signs, strict=True)]
        if chosen.rerank == "none":
            return [None] * len(queries)
        candidates = [[candidate.stored.chunk for candidate in pool] for pool in pools]
        return [each.tolist() for each in self._reranker(chosen.rerank).rerank(queries, candidates)]

    def _read(
        self, queries: Sequence[str], found: Sequence[Sequence[Candidate | Found]]
    ) -> list[Read] | None:
        """What the reader makes of each query's chunks; None without a reader."""
        reader = self._reader()
        if reader is None:
            return None
        return read_chunks(reader, queries, [[each.stored.chunk for each in chunks] for chunks in found])

    def _count_tokens(self, text: str) -> int:
        return len(self._encoder.tokenizer.starts(text))


def _joined(dense: Sequence[Scored], sparse: Sequence[Scored], options: SearchOptions) -> list[Scored]:
    if options.mode == "dense":
        return sorted(dense, key=lambda hit: (-hit.score, hit.id))
    if options.mode == "lexical":
        return sorted(sparse, key=lambda hit: (-hit.score, hit.id))
    return fuse(dense, sparse, method=options.fusion, dense_weight=options.dense_weight, rrf_k=options.rrf_k)


def _best_sentences(pool: Sequence[Candidate], signs: QuerySigns) -> list[float]:
    """The score of each candidate's best sentence; 0 for one without sentences."""
    scores = score_sentences([candidate.stored for candidate in pool], signs)
    return [float(each.max(initial=0.0)) for each in scores]
