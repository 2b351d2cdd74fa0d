"""The stored form of a chunk, and filters as the engines take them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwright.core.errors import InputError
from ragwright.core.types import Chunk, Encoding, IndexEntry, Span
from ragwright.retrieval.payload import filter_conditions, from_payload, sentence_rows, to_payload

EDGES = st.lists(st.integers(0, 500), min_size=2, max_size=12, unique=True).map(sorted)


@given(EDGES, st.text(max_size=40), st.lists(st.text(max_size=9), max_size=3), st.none() | st.integers(1, 9))
def test_an_entry_comes_back_from_json_as_it_was(
    edges: list[int], text: str, headings: list[str], page: int | None
) -> None:
    spans = tuple(Span("d", a, b) for a, b in zip(edges[::2], edges[1::2], strict=False))
    chunk = Chunk("id", Span("d", edges[0], edges[-1]), text, "T\n", tuple(headings), page, spans, 7)
    vectors = np.ones((len(spans), 3), np.float32)
    entry = IndexEntry(chunk, "a.md", "A", {"k": text}, Encoding(vectors[0], vectors))
    payload = json.loads(json.dumps(to_payload(entry)))
    stored = from_payload("id", payload, sentence_rows(vectors))
    assert (stored.chunk, stored.source, stored.title, stored.metadata) == (chunk, "a.md", "A", {"k": text})
    np.testing.assert_array_equal(stored.sentence_vectors, vectors)


def test_no_sentences_are_one_row_of_zeros_that_is_left_out_again() -> None:
    rows = sentence_rows(np.zeros((0, 3), np.float32))
    assert rows == [[0.0, 0.0, 0.0]]
    chunk = Chunk("id", Span("d", 0, 1), "x", "", (), None, (), 3)
    entry = IndexEntry(
        chunk, "a.md", "A", {}, Encoding(np.zeros(3, np.float32), np.zeros((0, 3), np.float32))
    )
    assert from_payload("id", to_payload(entry), rows).sentence_vectors.shape == (0, 3)


def test_known_fields_name_a_payload_key_and_others_the_documents_metadata() -> None:
    filters = {"source": "a.md", "title": "A", "page": "3", "document": "d", "author": "I", "a.b c": "x"}
    assert filter_conditions(filters) == [
        ("source", "a.md"),
        ("title", "A"),
        ("page", 3),
        ("doc_id", "d"),
        ('metadata."author"', "I"),
        ('metadata."a.b c"', "x"),
    ]
    assert filter_conditions({"page": "007"}) == [("page", 7)]


@pytest.mark.parametrize("page", ["iv", "²", "٣", "-1", "1.0", " 1", "", "9999999999", "9" * 20])
def test_a_page_that_is_no_number_in_reach_is_refused(page: str) -> None:
    with pytest.raises(InputError, match="wanted a whole number of at most 9 digits"):
        filter_conditions({"page": page})


@pytest.mark.parametrize("name", ['a"b', "a\\b", '"'])
def test_a_name_that_no_path_can_hold_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="hold no quotes or backslashes"):
        filter_conditions({name: "x"})
