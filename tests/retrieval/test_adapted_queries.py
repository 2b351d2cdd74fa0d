"""Adapted queries ask the same index; without the adapter everything is bit for bit as before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.fakes import HashEncoder

from ragwright.core.errors import InputError, ModelError
from ragwright.core.query_adapter import QueryAdapter, write_query_adapter
from ragwright.core.types import OWNER, IndexEntry, Passage, Vectors
from ragwright.retrieval.adapted_queries import AdaptedQueries, QueryEncoder
from ragwright.retrieval.edge import EdgeIndex
from ragwright.retrieval.query_adapter import LinearAdaptation, open_query_adapter
from ragwright.retrieval.search import HybridRetriever, SearchOptions
from ragwright.retrieval.terms import Terms

MakeEntry = Callable[..., IndexEntry]
TEXTS = ["The tide gate opens at six.", "The crane lifts forty tons.", "Ropes are dried in the loft."]
DENSE = SearchOptions(mode="dense", limit=3)


class Counting(HashEncoder):
    """Remembers how many queries it encoded."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """See `Encoder.encode_queries`."""
        self.asked += len(texts)
        return super().encode_queries(texts)


@pytest.fixture(scope="module")
def index(
    tmp_path_factory: pytest.TempPathFactory, terms: Terms, make_entry: MakeEntry
) -> Iterator[EdgeIndex]:
    """Three chunks."""
    encoder = HashEncoder()
    made = EdgeIndex.create(
        tmp_path_factory.mktemp("adapted") / "shard", dimension=encoder.dimension, terms=terms
    )
    drafts = [make_entry(number, text, source=f"{number}.md") for number, text in enumerate(TEXTS)]
    encodings = encoder.encode_passages([Passage.of(draft.chunk) for draft in drafts])
    made.upsert([replace(d, encoding=e) for d, e in zip(drafts, encodings, strict=True)])
    yield made
    made.close()


def towards(text: str, *, fingerprint: str = "hash") -> QueryAdapter:
    """An adapter that moves every query to where a text stands."""
    [encoding] = HashEncoder().encode_passages([Passage("Notes\n" + text)])
    zeros = np.zeros((HashEncoder.dimension,) * 2, np.float32)
    return QueryAdapter("fake", fingerprint, zeros, 50 * encoding.vector)


def searching(encoder: QueryEncoder, index: EdgeIndex, terms: Terms) -> HybridRetriever:
    return HybridRetriever(encoder, index, terms, scope=OWNER, options=DENSE)


@pytest.mark.parametrize("number", range(3))
def test_the_adapter_decides_what_is_found(index: EdgeIndex, terms: Terms, number: int) -> None:
    adapted = AdaptedQueries(HashEncoder(), LinearAdaptation(towards(TEXTS[number])))
    assert adapted.fingerprint == "hash", "the index fits as before"
    hits = searching(adapted, index, terms).search("which?")
    assert hits[0].chunk.text == TEXTS[number]


def test_without_it_vectors_hits_and_evidence_are_exactly_those_of_the_base(
    index: EdgeIndex, terms: Terms
) -> None:
    base = HashEncoder()
    before = base.encode_queries(["which gate?"])
    plain = searching(base, index, terms).search("which gate?")
    adapted = AdaptedQueries(base, LinearAdaptation(towards(TEXTS[2])))
    assert not np.array_equal(adapted.encode_queries(["which gate?"]), before)
    searching(adapted, index, terms).search("which gate?")
    np.testing.assert_array_equal(adapted.base.encode_queries(["which gate?"]), before)
    assert searching(adapted.base, index, terms).search("which gate?") == plain


def test_evidence_is_compared_with_the_question_as_the_encoder_reads_it(
    index: EdgeIndex, terms: Terms
) -> None:
    base = HashEncoder()
    plain = searching(base, index, terms).find("which gate?")
    adapted = AdaptedQueries(base, LinearAdaptation(towards(TEXTS[2])))
    moved = searching(adapted, index, terms).find("which gate?")
    np.testing.assert_array_equal(moved.query.vector, plain.query.vector)
    assert {hit.chunk.id: hit.evidence for hit in moved.hits()} == {
        hit.chunk.id: hit.evidence for hit in plain.hits()
    }


def test_the_base_encodes_a_query_once_whatever_adapts_it(index: EdgeIndex, terms: Terms) -> None:
    base = Counting()
    search = searching(AdaptedQueries(base, LinearAdaptation(towards(TEXTS[0]))), index, terms)
    for _ in range(3):
        search.search("which gate?")
    assert base.asked == 1


def test_no_queries_are_no_vectors_and_passages_are_the_bases() -> None:
    base = HashEncoder()
    adapted = AdaptedQueries(base, LinearAdaptation(towards(TEXTS[0])))
    assert adapted.encode_queries([]).shape == (0, base.dimension)
    [mine], [theirs] = (each.encode_passages([Passage("tide")]) for each in (adapted, base))
    np.testing.assert_array_equal(mine.vector, theirs.vector)


def test_an_adapter_for_another_encoder_is_refused(tmp_path: Path) -> None:
    write_query_adapter(tmp_path, towards(TEXTS[0], fingerprint="another"))
    with pytest.raises(ModelError, match="trained for the encoder fake"):
        open_query_adapter(tmp_path, HashEncoder())
    write_query_adapter(tmp_path, towards(TEXTS[0]))
    assert open_query_adapter(tmp_path, HashEncoder()).base.fingerprint == "hash"


@pytest.mark.parametrize("adapted", [True, False])
def test_an_expert_is_refused_where_there_is_no_router(index: EdgeIndex, terms: Terms, adapted: bool) -> None:
    base = HashEncoder()
    encoder = AdaptedQueries(base, LinearAdaptation(towards(TEXTS[0]))) if adapted else base
    with pytest.raises(InputError, match="there is no router here"):
        searching(encoder, index, terms).search("which?", options=replace(DENSE, expert="law"))
