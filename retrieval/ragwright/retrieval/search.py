"""The retriever: queries to vectors and terms, one hybrid search, fusion, reranking, evidence."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NoReturn, Protocol, Self

from ragwright.core.errors import InputError
from ragwright.core.protocols import (
    ChunkIndex,
    Encoder,
    IndexQuery,
    Reranker,
    Scored,
    StoredChunk,
    Tokenizer,
)
from ragwright.core.types import Hit, Scope, Vector
from ragwright.retrieval.candidates import Candidate, Ranking, distinct
from ragwright.retrieval.evidence_score import QuerySigns, score_sentences
from ragwright.retrieval.finding import Finding
from ragwright.retrieval.fusion import FusionMethod, fuse
from ragwright.retrieval.query_vectors import QueryVectors
from ragwright.retrieval.terms import Terms

Mode = Literal["hybrid", "dense", "lexical"]
ModelReranking = Literal["late", "cross"]  # what needs a model
Reranking = Literal["none", "evidence"] | ModelReranking


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
        rerank: What orders the best candidates anew: nothing, their best sentence's evidence score, or one of
            the retriever's rerankers (by late interaction or by a cross-encoder).
        rerank_candidates: How many different texts are reranked, `limit` at the least.
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
    rerank: Reranking = "none"
    rerank_candidates: int = 50
    evidence: float = 0.77
    budget: int | None = None

    @property
    def pool(self) -> int:
        """How many different texts are looked at."""
        return self.limit if self.rerank == "none" else max(self.limit, self.rerank_candidates)


@dataclass(frozen=True, slots=True)
class _Query:
    text: str
    vector: Vector
    terms: Mapping[int, float]  # synonyms included
    own_terms: frozenset[int]
    filters: Mapping[str, str]

    def asked(self, mode: Mode, scope: Scope) -> IndexQuery:
        """What the index is asked for."""
        dense, terms = self.vector if mode != "lexical" else None, self.terms if mode != "dense" else None
        return IndexQuery(dense, terms, scope, self.filters)


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
    ) -> None:
        """Make a retriever.

        Args:
            encoder: The one the index was made with.
            index: What is searched.
            terms: Of the index's language.
            scope: What whoever asks may see.
            options: How to search, when a call says nothing else.
            expand: Synonyms of a query's terms.
            hidden: Ids of chunks that are in the index and belong to no committed document: never shown.
            reranker: Gives what reranks where the options say `late` or `cross`; asked at every such search,
                and raises `InputError` for one that is not configured.
        """
        self._vectors = QueryVectors(encoder)
        self._encoder = encoder
        self._index = index
        self._terms = terms
        self._scope = scope
        self._options = options
        self._expand = expand
        self._hidden = hidden
        self._reranker = reranker

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

    def _find(
        self, texts: Sequence[str], filters: Sequence[Mapping[str, str]], chosen: SearchOptions
    ) -> list[Finding]:
        times = [time.perf_counter()]
        queries = self._prepare(texts, filters, chosen)
        times.append(time.perf_counter())
        rankings = self._rank(queries, chosen)
        pools = distinct([each.fused for each in rankings], self._fetch, wanted=chosen.pool)
        signs = self._signs(queries)
        times.append(time.perf_counter())
        scores = self._rerank(texts, pools, signs, chosen)
        times.append(time.perf_counter())
        steps = ("encode", "search") if chosen.rerank == "none" else ("encode", "search", "rerank")
        spent = zip(steps, times, times[1:], strict=False)
        seconds = {step: (end - start) / len(texts) for step, start, end in spent}
        parts = zip(rankings, pools, signs, scores, strict=True)
        return [
            Finding(
                ranking.found(pool, new)[: chosen.limit],
                sign,
                ranked=ranking.fused if new is None else ranking.reranked(pool, new),
                share=chosen.evidence,
                budget=chosen.budget,
                count_tokens=self._count_tokens,
                seconds=seconds,
            )
            for ranking, pool, sign, new in parts
        ]

    def _prepare(
        self, texts: Sequence[str], filters: Sequence[Mapping[str, str]], options: SearchOptions
    ) -> list[_Query]:
        queries = []
        for text, vector, wanted in zip(texts, self._vectors.of(texts), filters, strict=True):
            own = self._terms.of_query(text)
            expansions = dict.fromkeys(self._expand(text), options.expansion_weight)
            terms = self._terms.of_query(text, expansions=expansions) if expansions else own
            queries.append(_Query(text, vector, terms, frozenset(own), wanted))
        return queries

    def _rank(self, queries: Sequence[_Query], chosen: SearchOptions) -> list[Ranking]:
        """Both halves and the whole ranking of each query, without hidden chunks."""
        hidden = self._hidden()
        shown = max(chosen.candidates, chosen.pool)
        asked = [query.asked(chosen.mode, self._scope) for query in queries]
        rankings = []
        for dense, sparse in self._index.search_many(asked, limit=shown + len(hidden)):
            if hidden:
                dense, sparse = ([h for h in part if h.id not in hidden][:shown] for part in (dense, sparse))
            rankings.append(Ranking(dense, sparse, _joined(dense, sparse, chosen)))
        return rankings

    def _fetch(self, chunk_ids: Sequence[str]) -> Mapping[str, StoredChunk]:
        """Chunks by id, without those whose rights were taken away after they were found."""
        stored = self._index.fetch(chunk_ids)
        return {key: each for key, each in stored.items() if self._scope.allows(each.access)}

    def _signs(self, queries: Sequence[_Query]) -> list[QuerySigns]:
        rarities = self._index.rarities(dict.fromkeys(term for query in queries for term in query.terms))
        return [QuerySigns(query.vector, query.terms, query.own_terms, rarities) for query in queries]

    def _rerank(
        self,
        queries: Sequence[str],
        pools: Sequence[Sequence[Candidate]],
        signs: Sequence[QuerySigns],
        chosen: SearchOptions,
    ) -> Sequence[list[float] | None]:
        """New scores of each query's candidates; None without reranking."""
        if chosen.rerank == "evidence":
            return [_best_sentences(pool, sign) for pool, sign in zip(pools, signs, strict=True)]
        if chosen.rerank == "none":
            return [None] * len(queries)
        candidates = [[candidate.stored.chunk for candidate in pool] for pool in pools]
        return [each.tolist() for each in self._reranker(chosen.rerank).rerank(queries, candidates)]

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
