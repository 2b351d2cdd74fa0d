"""Both kinds of index keep what `ChunkIndex` promises."""

from __future__ import annotations

import math
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragwright.core.errors import InputError, ServiceError
from ragwright.core.protocols import ChunkIndex, IndexQuery
from ragwright.core.types import OWNER, Encoding, IndexEntry
from ragwright.retrieval import server
from ragwright.retrieval.edge import EdgeIndex
from ragwright.retrieval.server import ServerIndex, connect, drop_collection, point_alias
from ragwright.retrieval.terms import Terms

DIMENSION = 48
HALF = 2e-3  # what half precision may change in a number below 1
SERVICE = pytest.param("server", marks=pytest.mark.service)


KINDS = ["edge", "memory", SERVICE]


@contextmanager
def _made(kind: str, folder: Path, terms: Terms) -> Iterator[ChunkIndex]:
    if kind == "edge":
        edge = EdgeIndex.create(folder, dimension=DIMENSION, terms=terms)
        yield edge
        edge.close()
        return
    client, collection = _client(kind), f"test-{uuid.uuid4().hex}"
    made = ServerIndex.create(client, collection, dimension=DIMENSION, terms=terms)
    yield made
    drop_collection(client, collection)
    client.close()


@pytest.fixture(params=KINDS)
def index(request: pytest.FixtureRequest, project: Path, terms: Terms) -> Iterator[ChunkIndex]:
    """An empty index of each kind."""
    with _made(request.param, project / "shard", terms) as made:
        yield made


@pytest.fixture(params=KINDS, scope="module")
def filled(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    terms: Terms,
    entries: list[IndexEntry],
) -> Iterator[ChunkIndex]:
    """An index of each kind that holds every entry; tests only read it."""
    with _made(request.param, tmp_path_factory.mktemp("filled") / "shard", terms) as made:
        made.upsert(entries)
        yield made


def _client(kind: str) -> Any:
    url = ":memory:" if kind == "memory" else os.environ.get("RAGWRIGHT_QDRANT_URL")
    if url is None:
        pytest.skip("set RAGWRIGHT_QDRANT_URL to the address of a Qdrant server")
    return connect(url, api_key=None, timeout_seconds=10)


def _ids(entries: list[IndexEntry]) -> list[str]:
    return [entry.chunk.id for entry in entries]


def _idf(frequency: int, total: int) -> float:
    return math.log(1 + (total - frequency + 0.5) / (frequency + 0.5))


def _oracle(entries: list[IndexEntry], terms: Terms, query: dict[int, float]) -> dict[str, float]:
    """BM25 of every chunk that shares a term with the query."""
    texts = [terms.of_text(entry.chunk.context + entry.chunk.text) for entry in entries]
    idf = {term: _idf(sum(term in text for text in texts), len(texts)) for term in query}
    scores = {
        entry.chunk.id: sum(idf[term] * weight * text.get(term, 0.0) for term, weight in query.items())
        for entry, text in zip(entries, texts, strict=True)
    }
    return {key: score for key, score in scores.items() if score > 0}


def test_what_was_written_comes_back(filled: ChunkIndex, entries: list[IndexEntry], terms: Terms) -> None:
    stored = filled.fetch(_ids(entries))
    assert list(stored) and set(stored) == set(_ids(entries))
    for entry in entries:
        back = stored[entry.chunk.id]
        assert (back.chunk, back.source, back.title) == (entry.chunk, entry.source, entry.title)
        assert dict(back.metadata) == dict(entry.metadata)
        np.testing.assert_allclose(back.sentence_vectors, entry.encoding.sentences, atol=HALF)
        parts = terms.of_parts(entry.chunk)
        np.testing.assert_array_equal(back.terms.ids, parts.ids)
        np.testing.assert_array_equal(back.terms.ends, parts.ends)


def test_vectors_that_were_read_and_written_again_stay_the_same_bit_by_bit(
    index: ChunkIndex, entries: list[IndexEntry]
) -> None:
    index.upsert(entries)
    read = index.encodings(_ids(entries))
    index.upsert([replace(entry, encoding=read[entry.chunk.id]) for entry in entries])
    for key, again in index.encodings(_ids(entries)).items():
        np.testing.assert_array_equal(again.sentences, read[key].sentences)
        np.testing.assert_array_equal(again.vector, read[key].vector)


def test_chunk_vectors_come_back_bit_by_bit_and_sentences_within_half_precision(
    filled: ChunkIndex, entries: list[IndexEntry]
) -> None:
    for key, encoding in filled.encodings(_ids(entries)).items():
        entry = next(entry for entry in entries if entry.chunk.id == key)
        assert encoding.vector.dtype == encoding.sentences.dtype == np.float32
        np.testing.assert_array_equal(encoding.vector, entry.encoding.vector)
        np.testing.assert_allclose(encoding.sentences, entry.encoding.sentences, atol=HALF)


def test_dense_search_is_the_order_of_the_dot_products(filled: ChunkIndex, entries: list[IndexEntry]) -> None:
    query = entries[7].encoding.vector
    dense, sparse = filled.search(query, None, limit=12, scope=OWNER, filters={})
    products = {entry.chunk.id: float(entry.encoding.vector @ query) for entry in entries}
    assert [hit.id for hit in dense] == sorted(products, key=lambda key: -products[key])[:12]
    assert [hit.score for hit in dense] == pytest.approx([products[hit.id] for hit in dense], abs=1e-5)
    assert sparse == []


@pytest.mark.parametrize("query", ["pump torque", "gasket x3", "torque", "x29 of the gasket"])
def test_lexical_search_is_the_order_of_bm25(
    filled: ChunkIndex, entries: list[IndexEntry], terms: Terms, query: str
) -> None:
    weights = terms.of_query(query, expansions={"gasket": 0.5})
    dense, sparse = filled.search(None, weights, limit=30, scope=OWNER, filters={})
    expected = _oracle(entries, terms, weights)
    assert dense == []
    assert {hit.id: hit.score for hit in sparse} == pytest.approx(expected, rel=1e-4)
    assert [hit.score for hit in sparse] == sorted((hit.score for hit in sparse), reverse=True)


def test_one_hybrid_call_equals_two_single_ones(
    filled: ChunkIndex, entries: list[IndexEntry], terms: Terms
) -> None:
    vector, weights = entries[3].encoding.vector, terms.of_query("x4 torque x9")
    both = filled.search(vector, weights, limit=3, scope=OWNER, filters={})
    alone = (
        filled.search(vector, None, limit=3, scope=OWNER, filters={})[0],
        filled.search(None, weights, limit=3, scope=OWNER, filters={})[1],
    )
    assert both == alone
    assert [len(half) for half in both] == [3, 3]


@pytest.mark.parametrize("mode", ["hybrid", "dense", "lexical", "neither"])
def test_many_queries_in_one_call_find_what_each_finds_alone(
    filled: ChunkIndex, entries: list[IndexEntry], terms: Terms, mode: str
) -> None:
    filters: list[dict[str, str]] = [{}, {"source": "manual1.pdf"}, {"page": "2"}, {"source": "unknown.pdf"}]
    queries = [
        IndexQuery(
            entries[number].encoding.vector if mode in ("hybrid", "dense") else None,
            terms.of_query(f"x{number} torque gasket") if mode in ("hybrid", "lexical") else None,
            OWNER,
            filters[number % len(filters)],
        )
        for number in range(12)
    ]
    together = filled.search_many(queries, limit=7)
    assert together == [
        filled.search(q.dense, q.terms, limit=7, scope=OWNER, filters=q.filters) for q in queries
    ]
    assert any(dense or sparse for dense, sparse in together) == (mode != "neither")
    assert filled.search_many([], limit=7) == []


@pytest.mark.parametrize(
    ("filters", "keep"),
    [
        ({"source": "manual1.pdf"}, lambda entry: entry.source == "manual1.pdf"),
        ({"page": "2"}, lambda entry: entry.chunk.page == 2),
        ({"title": "Notes"}, lambda entry: True),
        ({"document": "manual0.pdf"}, lambda entry: entry.source == "manual0.pdf"),
        ({"author": "Ida Novak"}, lambda entry: entry.metadata["author"] == "Ida Novak"),
        ({"dc:title": "t4"}, lambda entry: entry.metadata["dc:title"] == "t4"),
        (
            {"author": "Ida Novak", "page": "1"},
            lambda entry: entry.metadata["author"] == "Ida Novak" and entry.chunk.page == 1,
        ),
        ({"source": "unknown.pdf"}, lambda entry: False),
        ({"colour": "red"}, lambda entry: False),
        ({"a.b c[0]": "red"}, lambda entry: False),
        ({"": ""}, lambda entry: False),
    ],
)
def test_filters_keep_exactly_the_chunks_that_have_the_value(
    filled: ChunkIndex,
    entries: list[IndexEntry],
    terms: Terms,
    filters: dict[str, str],
    keep: Callable[[IndexEntry], bool],
) -> None:
    dense, sparse = filled.search(
        entries[0].encoding.vector, terms.of_query("pump"), limit=99, scope=OWNER, filters=filters
    )
    expected = {entry.chunk.id for entry in entries if keep(entry)}
    assert {hit.id for hit in dense} == {hit.id for hit in sparse} == expected


def test_a_field_name_that_cannot_be_asked_for_is_refused(
    index: ChunkIndex, entries: list[IndexEntry]
) -> None:
    with pytest.raises(InputError, match="names no field"):
        index.search(entries[0].encoding.vector, None, limit=1, scope=OWNER, filters={'a"b': "c"})


def test_deleted_chunks_are_gone_everywhere(
    index: ChunkIndex, entries: list[IndexEntry], terms: Terms
) -> None:
    index.upsert(entries)
    gone = _ids(entries[:2])
    index.delete([*gone, str(uuid.uuid4())])
    assert index.count() == len(entries) - 2
    assert index.fetch(gone) == {} == index.encodings(gone)
    dense, sparse = index.search(
        entries[0].encoding.vector, terms.of_query("torque"), limit=99, scope=OWNER, filters={}
    )
    assert len(dense) == len(entries) - 2
    assert sparse == []
    index.delete([])


def test_an_entry_written_again_replaces_the_first(
    index: ChunkIndex, entries: list[IndexEntry], terms: Terms
) -> None:
    index.upsert(entries)
    changed = replace(entries[4], title="Second edition")
    index.upsert([changed])
    index.upsert([])
    assert index.count() == len(entries)
    assert index.fetch([changed.chunk.id])[changed.chunk.id].title == "Second edition"
    term = terms.of_query("x4")
    assert index.rarities(term) == pytest.approx(dict.fromkeys(term, _idf(1, len(entries))), rel=1e-4)


def test_unknown_ids_are_left_out(index: ChunkIndex, entries: list[IndexEntry]) -> None:
    index.upsert(entries[:3])
    asked = [str(uuid.uuid4()), entries[1].chunk.id]
    assert list(index.fetch(asked)) == list(index.encodings(asked)) == [entries[1].chunk.id]
    assert index.fetch([]) == {} == index.encodings([])


def test_an_empty_index_answers_with_nothing(
    index: ChunkIndex, entries: list[IndexEntry], terms: Terms
) -> None:
    query = terms.of_query("pump torque")
    assert index.search(entries[0].encoding.vector, query, limit=5, scope=OWNER, filters={}) == ([], [])
    assert index.search(None, None, limit=5, scope=OWNER, filters={}) == ([], [])
    assert index.search(None, {}, limit=5, scope=OWNER, filters={}) == ([], [])
    assert index.count() == 0
    assert list(index.scan()) == []
    assert index.rarities(query) == pytest.approx(dict.fromkeys(query, _idf(0, 0)))


@pytest.mark.parametrize("batch", [1, 7, 30, 256])
def test_a_scan_sees_every_chunk_once(filled: ChunkIndex, entries: list[IndexEntry], batch: int) -> None:
    batches = list(filled.scan(batch))
    assert sorted(stored.chunk.id for each in batches for stored in each) == sorted(_ids(entries))
    assert max(len(each) for each in batches) <= batch


def test_rarities_are_the_inverse_document_frequencies_that_search_uses(
    filled: ChunkIndex, entries: list[IndexEntry], terms: Terms
) -> None:
    for word, frequency in (("pump", 30), ("gasket", 10), ("torque", 2), ("x17", 1), ("turbine", 0)):
        term = terms.of_query(word)
        assert filled.rarities(term) == pytest.approx(dict.fromkeys(term, _idf(frequency, 30)), rel=1e-4)


def test_after_a_deletion_rarities_still_explain_the_scores(
    index: ChunkIndex, entries: list[IndexEntry], terms: Terms
) -> None:
    index.upsert(entries)
    index.rarities(terms.of_query("gasket"))
    index.delete(_ids(entries[:10]))
    weights = terms.of_query("gasket")
    ((term, rarity),) = index.rarities(weights).items()
    _, sparse = index.search(None, weights, limit=99, scope=OWNER, filters={})
    assert len(sparse) == 6  # numbers 12, 15 .. 27
    by_id = {entry.chunk.id: entry.chunk for entry in entries}
    for hit in sparse:
        stored = terms.of_text(by_id[hit.id].context + by_id[hit.id].text)[term]
        assert hit.score == pytest.approx(rarity * stored, rel=1e-4)


def test_a_chunk_without_sentences_or_words_can_be_kept(index: ChunkIndex, entries: list[IndexEntry]) -> None:
    chunk = replace(entries[0].chunk, text="... !", context="", sentences=())
    encoding = Encoding(entries[0].encoding.vector, np.zeros((0, DIMENSION), np.float32))
    index.upsert([replace(entries[0], chunk=chunk, encoding=encoding)])
    stored = index.fetch([chunk.id])[chunk.id]
    assert stored.chunk == chunk
    assert stored.sentence_vectors.shape == (0, DIMENSION)


@pytest.mark.parametrize("kind", ["memory", SERVICE])
def test_an_alias_answers_with_the_collection_it_was_last_pointed_at(
    kind: str, entries: list[IndexEntry], terms: Terms
) -> None:
    client, alias = _client(kind), f"live-{uuid.uuid4().hex}"
    for count in (1, 2, 3):
        made = ServerIndex.create(client, f"{alias}-{count}", dimension=DIMENSION, terms=terms)
        made.upsert(entries[:count])
        point_alias(client, alias, f"{alias}-{count}")
        assert ServerIndex.open(client, alias, terms=terms).count() == count
    for count in (1, 2, 3):
        drop_collection(client, f"{alias}-{count}")
    client.close()


def test_an_alias_of_another_workspace_is_left_alone(terms: Terms) -> None:
    client = _client("memory")
    for owner in ("mine", "theirs"):
        ServerIndex.create(client, f"docs-{owner}-v1", dimension=DIMENSION, terms=terms)
    point_alias(client, "docs", "docs-mine-v1")
    point_alias(client, "docs", "docs-mine-v1")
    with pytest.raises(ServiceError, match=r"index\.collection"):
        point_alias(client, "docs", "docs-theirs-v1")
    client.close()


def test_a_large_slice_goes_to_the_server_in_several_requests(
    terms: Terms, entries: list[IndexEntry], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_FLOATS_IN_A_REQUEST", 3 * DIMENSION)
    client = _client("memory")
    index = ServerIndex.create(client, "docs-mine-v1", dimension=DIMENSION, terms=terms)
    index.upsert(entries)
    assert set(index.fetch(_ids(entries))) == set(_ids(entries))
    client.close()
