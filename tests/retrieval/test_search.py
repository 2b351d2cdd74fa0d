"""The retriever over a dozen chunks, with the real model and the real engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ragwright.core.errors import InputError
from ragwright.core.types import OWNER, Chunk, Hit, IndexEntry, Passage, Vectors
from ragwright.retrieval.edge import EdgeIndex
from ragwright.retrieval.encoder import TransformerEncoder
from ragwright.retrieval.search import (
    HybridRetriever,
    Mode,
    ModelReranking,
    Reranking,
    SearchOptions,
)
from ragwright.retrieval.terms import Terms

MakeEntry = Callable[..., IndexEntry]

GASKET = "Replace the gasket of the pump every 2000 hours. Torque its bolts to 35 Nm. Wear gloves."
WARRANTY = "The warranty lasts three years. It does not cover worn seals."
TEXTS = [
    GASKET,
    "A whistling noise means that air enters the suction line. Bleed the circuit.",
    "Error E-4711 says that the motor is too hot. Let it cool down for an hour.",
    WARRANTY,
    "A myocardial infarction needs an ambulance at once. Do not drive yourself.",
    "The cafeteria opens at noon. On Fridays there is fish.",
    "Invoices are paid within thirty days. Late payment costs two percent.",
    "Store spare parts in a dry place. Keep rubber away from sunlight.",
    "The control panel shows the pressure in bar. Green means normal.",
    "Dispose of used oil at a collection point. Never pour it into a drain.",
    "Contact the service team by telephone. They answer around the clock.",
    "Employees receive thirty days of holiday per year. Apply in writing.",
]
Search = Callable[..., list[Hit]]


class Shortest:
    """A reranker that likes short texts, and remembers what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[str], list[int]]] = []

    def rerank(
        self, queries: Sequence[str], candidates: Sequence[Sequence[Chunk]]
    ) -> list[NDArray[np.float32]]:
        """Minus the length of each text."""
        self.calls.append((list(queries), [len(each) for each in candidates]))
        return [np.array([-len(chunk.text) for chunk in each], np.float32) for each in candidates]


SHORTEST = Shortest()


@pytest.fixture(scope="module")
def index(
    tmp_path_factory: pytest.TempPathFactory, encoder: TransformerEncoder, terms: Terms, make_entry: MakeEntry
) -> Iterator[EdgeIndex]:
    """Twelve chunks, and the warranty's text twice more in other files."""
    made = EdgeIndex.create(
        tmp_path_factory.mktemp("search") / "shard", dimension=encoder.dimension, terms=terms
    )
    drafts = [
        make_entry(number, text, source=f"file{number}.md", page=number + 1, metadata={"kind": "manual"})
        for number, text in enumerate([*TEXTS, WARRANTY, WARRANTY])
    ]
    encodings = encoder.encode_passages([Passage.of(draft.chunk) for draft in drafts])
    made.upsert([replace(d, encoding=e) for d, e in zip(drafts, encodings, strict=True)])
    yield made
    made.close()


@pytest.fixture(scope="module")
def retriever(index: EdgeIndex, encoder: TransformerEncoder, terms: Terms) -> HybridRetriever:
    return HybridRetriever(
        encoder, index, terms, scope=OWNER, options=SearchOptions(limit=5), reranker=lambda _: SHORTEST
    )


@pytest.mark.parametrize("mode", ["hybrid", "dense", "lexical"])
@pytest.mark.parametrize(
    ("query", "text"),
    [("How tight must the bolts of the gasket be?", GASKET), ("error E-4711", TEXTS[2])],
)
def test_every_mode_finds_what_shares_words_and_meaning(
    retriever: HybridRetriever, mode: Mode, query: str, text: str
) -> None:
    assert retriever.search(query, options=SearchOptions(mode=mode))[0].chunk.text == text


def test_many_queries_want_a_list_and_filters_for_each(retriever: HybridRetriever) -> None:
    for queries, filters in (("pump", None), (["pump"], {"source": "a.md"}), (["pump"], [])):
        with pytest.raises(InputError, match="wants a list of queries"):
            retriever.search_many(queries, filters=filters)  # type: ignore[arg-type]


def test_meaning_finds_what_shares_no_word(retriever: HybridRetriever) -> None:
    query = "lunch break meal"
    assert retriever.search(query, options=SearchOptions(mode="lexical")) == []
    for mode in ("dense", "hybrid"):
        assert retriever.search(query, options=SearchOptions(mode=mode))[0].source == "file5.md"


def test_a_synonym_of_the_glossary_finds_a_chunk_that_only_holds_the_synonym(
    index: EdgeIndex, encoder: TransformerEncoder, terms: Terms
) -> None:
    def expand(query: str) -> Sequence[str]:
        return ["myocardial infarction"] if "heart attack" in query else []

    options = SearchOptions(mode="lexical")
    plain = HybridRetriever(encoder, index, terms, scope=OWNER, options=options)
    expanding = HybridRetriever(encoder, index, terms, scope=OWNER, options=options, expand=expand)
    assert plain.search("heart attack") == []
    (hit,) = expanding.search("heart attack")
    assert hit.chunk.text == TEXTS[4]
    assert hit.evidence[0].text.startswith("A myocardial infarction")


@pytest.mark.parametrize("limit", [1, 3, 12, 100])
def test_there_are_at_most_as_many_hits_as_asked_for_and_no_text_twice(
    retriever: HybridRetriever, limit: int
) -> None:
    hits = retriever.search("Who pays for worn seals?", limit=limit)
    assert len(hits) == min(limit, len(TEXTS))
    assert len({hit.chunk.text for hit in hits}) == len(hits)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_other_places_of_a_text_are_listed_with_its_hit(retriever: HybridRetriever) -> None:
    hit = retriever.search("How long does the warranty last?")[0]
    assert hit.chunk.text == WARRANTY
    places = {hit.source, *(place.source for place in hit.duplicates)}
    assert places == {"file3.md", "file12.md", "file13.md"}
    assert all(len(place.span) == len(WARRANTY) for place in hit.duplicates)


def test_every_stage_tells_its_part_of_the_score(retriever: HybridRetriever) -> None:
    hits = retriever.search("torque of the gasket's bolts")
    best = hits[0]
    assert set(best.scores) >= {"dense", "sparse", "dense_rank", "sparse_rank", "fused"}
    assert (best.scores["dense_rank"], best.scores["sparse_rank"]) == (1.0, 1.0)
    assert best.scores["fused"] == best.score
    assert 0 < best.scores["dense"] <= 1
    assert any("sparse" not in hit.scores for hit in hits), "a stage that did not see a chunk is absent"


def test_evidence_is_the_sentence_that_answers_and_lies_in_its_chunk(retriever: HybridRetriever) -> None:
    hits = retriever.search("torque of the bolts in Nm", options=SearchOptions(evidence=0.9))
    assert [each.text for each in hits[0].evidence] == ["Torque its bolts to 35 Nm."]
    for hit in retriever.search("torque of the bolts in Nm", options=SearchOptions(evidence=0.1)):
        for each in hit.evidence:
            start = hit.chunk.span.start
            assert hit.chunk.text[each.span.start - start : each.span.end - start] == each.text


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("budget", [None, 12])
def test_a_finding_gives_at_every_position_of_the_dial_what_a_search_there_gives(
    retriever: HybridRetriever, share: float, budget: int | None
) -> None:
    query = "torque of the bolts in Nm"
    options = SearchOptions(limit=5, evidence=share, budget=budget)
    finding = retriever.find(query, options=SearchOptions(limit=5))
    assert finding.hits(share=share, budget=budget) == retriever.search(query, options=options)
    assert finding.hits() == retriever.search(query), "choosing evidence leaves the finding as it was"
    assert set(finding.seconds) == {"encode", "search", "score"}
    assert all(seconds > 0 for seconds in finding.seconds.values())


@pytest.mark.parametrize("budget", [0, 8, 20, 60])
def test_evidence_keeps_to_the_token_budget(
    retriever: HybridRetriever, encoder: TransformerEncoder, budget: int
) -> None:
    hits = retriever.search("torque of the bolts", options=SearchOptions(evidence=0.1, budget=budget))
    texts = [each.text for hit in hits for each in hit.evidence]
    assert sum(len(encoder.tokenizer.starts(text)) for text in texts) <= budget
    assert bool(texts) == (budget > 0)


QUERIES = st.sampled_from(["torque of bolts", "cafeteria", "warranty seals", "E-4711", "the of", "holiday"])
FILTERS: list[dict[str, str]] = [{}, {"kind": "manual"}, {"source": "file3.md"}, {"kind": "novel"}]


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.tuples(QUERIES, st.sampled_from(FILTERS)), max_size=6),
    st.integers(1, 15),
    st.sampled_from(["hybrid", "dense", "lexical"]),
    st.sampled_from(["none", "evidence", "cross"]),
)
def test_many_queries_find_what_each_finds_alone(
    retriever: HybridRetriever,
    asked: list[tuple[str, dict[str, str]]],
    limit: int,
    mode: Mode,
    rerank: Reranking,
) -> None:
    options = SearchOptions(mode=mode, limit=limit, rerank=rerank, rerank_candidates=7)
    queries, filters = [query for query, _ in asked], [wanted for _, wanted in asked]
    together = retriever.find_many(queries, filters=filters, options=options)
    alone = [retriever.find(query, filters=wanted, options=options) for query, wanted in asked]
    assert [each.hits() for each in together] == [each.hits() for each in alone]
    assert [each.ranked for each in together] == [each.ranked for each in alone]
    assert retriever.search_many(queries, options=options) == [
        retriever.search(query, options=options) for query in queries
    ]


def test_encoding_queries_together_finds_the_same_chunks(
    index: EdgeIndex, encoder: TransformerEncoder, terms: Terms
) -> None:
    """Apart from the last bits of a vector: the batch decides how the model rounds."""
    together, alone = (
        HybridRetriever(encoder, index, terms, scope=OWNER, options=SearchOptions()) for _ in range(2)
    )
    for hits, query in zip(together.search_many(TEXTS), TEXTS, strict=True):
        single = alone.search(query)
        assert [hit.chunk.id for hit in hits[:5]] == [hit.chunk.id for hit in single[:5]]
        assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in single], abs=5e-3)


def test_threads_that_search_at_once_find_what_each_finds_alone_in_fewer_calls_of_the_encoder(
    index: EdgeIndex, exact_encoder: TransformerEncoder, terms: Terms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In full precision a vector is the same to the last bit whatever it is encoded with."""
    one = HybridRetriever(exact_encoder, index, terms, scope=OWNER, options=SearchOptions())
    expected = [one.search(query) for query in TEXTS]
    calls: list[int] = []
    together, encode = threading.Barrier(8), exact_encoder.encode_queries

    def counted(texts: Sequence[str]) -> Vectors:
        calls.append(len(texts))
        time.sleep(0.05)  # long enough for the others to come
        return encode(texts)

    monkeypatch.setattr(exact_encoder, "encode_queries", counted)
    many = HybridRetriever(exact_encoder, index, terms, scope=OWNER, options=SearchOptions())

    def ask(query: str) -> list[Hit]:
        together.wait(5)
        return many.search(query)

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(ask, TEXTS[:8])) == expected[:8]
    assert sum(calls) == 8 and len(calls) < 8


def test_no_query_at_all_finds_nothing(retriever: HybridRetriever) -> None:
    assert retriever.find_many([]) == [] == retriever.search_many([])


def test_one_query_without_words_refuses_the_batch(retriever: HybridRetriever) -> None:
    with pytest.raises(InputError, match="holds no letters or digits"):
        retriever.find_many(["bolts", "?!"])


@pytest.mark.parametrize("rerank", ["late", "cross"])
def test_all_candidates_of_all_queries_are_reranked_in_one_call_and_hits_follow_it(
    index: EdgeIndex, encoder: TransformerEncoder, terms: Terms, rerank: Reranking
) -> None:
    reranker = Shortest()
    asked: list[Reranking] = []

    def answer(method: ModelReranking) -> Shortest:
        asked.append(method)
        return reranker

    reranking = HybridRetriever(encoder, index, terms, scope=OWNER, options=SearchOptions(), reranker=answer)
    options = SearchOptions(limit=3, rerank=rerank, rerank_candidates=8)
    findings = reranking.find_many(["bolts of the gasket", "warranty"], options=options)
    assert set(asked) == {rerank}, "the reranker is that of the search, whatever is configured"
    ((queries, sizes),) = reranker.calls
    assert (queries, sizes) == (["bolts of the gasket", "warranty"], [8, 8])
    for finding in findings:
        hits = finding.hits()
        assert [hit.score for hit in hits] == sorted(
            (-float(len(hit.chunk.text)) for hit in hits), reverse=True
        )
        assert all(hit.scores["reranked"] == hit.score != hit.scores["fused"] for hit in hits)
        assert hits[0].chunk.id == finding.ranked[0].id
        assert finding.seconds["rerank"] > 0
        assert len(finding.ranked) == len(TEXTS) + 2, "what was not reranked stays in the ranking"


def test_reranking_by_evidence_orders_by_the_best_sentence_and_needs_no_model(
    retriever: HybridRetriever,
) -> None:
    options = SearchOptions(limit=14, rerank="evidence", rerank_candidates=3)
    hits = retriever.search("torque of the bolts in Nm", options=options)
    plain = retriever.search("torque of the bolts in Nm", options=SearchOptions(limit=14))
    assert {hit.chunk.id for hit in hits} == {hit.chunk.id for hit in plain}
    for hit in hits:
        assert hit.score == pytest.approx(max((each.score for each in hit.evidence), default=hit.score))
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert hits[0].chunk.text == GASKET


@pytest.mark.parametrize("rerank", ["late", "cross"])
def test_a_reranker_that_is_not_there_is_refused_with_what_to_set(
    index: EdgeIndex, encoder: TransformerEncoder, terms: Terms, rerank: Reranking
) -> None:
    plain = HybridRetriever(encoder, index, terms, scope=OWNER, options=SearchOptions(rerank=rerank))
    with pytest.raises(InputError, match=f"search.rerank is {rerank}, and no reranker"):
        plain.search("bolts")


def test_a_chunk_that_belongs_to_no_committed_document_is_not_shown(
    index: EdgeIndex, encoder: TransformerEncoder, terms: Terms, retriever: HybridRetriever
) -> None:
    query = "When does the cafeteria open?"
    first = retriever.search(query)[0].chunk.id
    careful = HybridRetriever(
        encoder, index, terms, scope=OWNER, options=SearchOptions(), hidden=lambda: {first}
    )
    assert first not in [hit.chunk.id for hit in careful.search(query)]


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(retriever: HybridRetriever, limit: int) -> None:
    with pytest.raises(InputError, match="at least one"):
        retriever.search("bolts", limit=limit)


def test_filters_bound_what_is_found(retriever: HybridRetriever) -> None:
    (hit,) = retriever.search("gasket", filters={"source": "file5.md"})
    assert hit.source == "file5.md"
    assert hit.metadata == {"kind": "manual"}
    assert retriever.search("gasket", filters={"kind": "novel"}) == []


@pytest.mark.parametrize("query", ["", "  \n", "?!", "…", "🚀"])
def test_a_query_without_letters_or_digits_is_refused(retriever: HybridRetriever, query: str) -> None:
    with pytest.raises(InputError, match="holds no letters or digits; ask in words"):
        retriever.search(query)


@pytest.mark.parametrize("query", ["the of and", "?a?", "漢字", "Überdruck", "a" * 5_000, "pump " * 3_000])
def test_odd_questions_are_answered_and_the_same_way_twice(retriever: HybridRetriever, query: str) -> None:
    hits = retriever.search(query)
    assert hits == retriever.search(query)
    assert len(hits) == 5


def test_an_empty_index_has_no_hits(
    tmp_path_factory: pytest.TempPathFactory, encoder: TransformerEncoder, terms: Terms
) -> None:
    folder = tmp_path_factory.mktemp("empty") / "shard"
    index = EdgeIndex.create(folder, dimension=encoder.dimension, terms=terms)
    assert HybridRetriever(encoder, index, terms, scope=OWNER, options=SearchOptions()).search("pump") == []
    index.close()
