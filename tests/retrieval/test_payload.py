"""The stored form of a chunk, and filters as the engines take them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwright.core.errors import IndexDamaged, InputError
from ragwright.core.protocols import PartTerms
from ragwright.core.types import Access, Chunk, Encoding, IndexEntry, Span
from ragwright.retrieval.payload import (
    FILTER_KEYS,
    GROUPS,
    TENANT,
    filter_conditions,
    from_payload,
    to_payload,
    unpack,
)

EDGES = st.lists(st.integers(0, 500), min_size=2, max_size=12, unique=True).map(sorted)


TERMS = st.lists(st.lists(st.integers(0, 2**32 - 1), max_size=4), min_size=7, max_size=7)


@given(
    EDGES,
    st.text(max_size=40),
    st.lists(st.text(max_size=9), max_size=3),
    st.none() | st.integers(1, 9),
    TERMS,
)
def test_an_entry_comes_back_from_json_as_it_was(
    edges: list[int], text: str, headings: list[str], page: int | None, ids: list[list[int]]
) -> None:
    spans = tuple(Span("d", a, b) for a, b in zip(edges[::2], edges[1::2], strict=False))
    chunk = Chunk("id", Span("d", edges[0], edges[-1]), text, "T\n", tuple(headings), page, spans, 7)
    vectors = np.linspace(-1, 1, len(spans) * 3, dtype=np.float16).reshape(-1, 3).astype(np.float32)
    parts = ids[: len(spans) + 1]
    terms = PartTerms(
        np.array([each for part in parts for each in part], np.uint32), np.cumsum([len(p) for p in parts])
    )
    access = Access("acme", ("b", "a")[: len(headings)])
    entry = IndexEntry(chunk, "a.md", "A", {"k": text}, Encoding(vectors[0], vectors), access)
    payload = json.loads(json.dumps(to_payload(entry, terms)))
    stored = from_payload("id", payload)
    assert (stored.chunk, stored.source, stored.title, stored.metadata) == (chunk, "a.md", "A", {"k": text})
    assert stored.access == access
    np.testing.assert_array_equal(stored.sentence_vectors, vectors)
    np.testing.assert_array_equal(stored.terms.ids, terms.ids)
    np.testing.assert_array_equal(stored.terms.ends, terms.ends)
    assert stored.sentence_vectors.dtype == np.dtype(np.float32)
    assert stored.terms.ends.dtype == np.dtype(np.uint32)


def _payload() -> dict[str, Any]:
    """Of a chunk without sentences."""
    chunk = Chunk("id", Span("d", 4, 5), "x", "", (), None, (), 3)
    vectors = Encoding(np.zeros(3, np.float32), np.zeros((0, 3), np.float32))
    terms = PartTerms(np.array([7], np.uint32), np.array([1], np.uint32))
    return to_payload(IndexEntry(chunk, "a.md", "A", {}, vectors), terms)


def test_a_chunk_without_sentences_has_an_empty_array_of_vectors() -> None:
    assert from_payload("id", _payload()).sentence_vectors.shape == (0, 3)


@pytest.mark.slow
def test_llamaindex_reads_offsets_from_the_node_info_and_keeps_none_of_it_as_metadata() -> None:
    from llama_index.core.vector_stores.utils import legacy_metadata_dict_to_node

    metadata, info, _ = legacy_metadata_dict_to_node(_payload())
    assert (info["start"], info["end"]) == (4, 5)
    assert "packed" not in json.dumps(metadata)


@pytest.mark.parametrize("packed", ["", "AAAA", "====", "!" * 64, "A" * 63, "/" * 400])
def test_what_is_packed_and_not_whole_is_damage(packed: str) -> None:
    info = json.dumps({"start": 4, "end": 5, "packed": packed})
    for payload in ({**_payload(), "node_info": info}, {**_payload(), "node_info": ""}, {}):
        with pytest.raises(IndexDamaged, match="chunk id is damaged"):
            unpack("id", payload)


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


@given(
    st.text(st.characters(exclude_characters='"\\\\'), max_size=12) | st.sampled_from(["tenant", "groups"])
)
def test_no_filter_names_the_keys_of_the_rights(name: str) -> None:
    ((key, _),) = filter_conditions({name: "1"})
    assert key not in (TENANT, GROUPS)
    assert name in FILTER_KEYS or key == f'metadata."{name}"'


@pytest.mark.parametrize("page", ["iv", "²", "٣", "-1", "1.0", " 1", "", "9999999999", "9" * 20])
def test_a_page_that_is_no_number_in_reach_is_refused(page: str) -> None:
    with pytest.raises(InputError, match="wanted a whole number of at most 9 digits"):
        filter_conditions({"page": page})


@pytest.mark.parametrize("name", ['a"b', "a\\b", '"'])
def test_a_name_that_no_path_can_hold_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="hold no quotes or backslashes"):
        filter_conditions({name: "x"})
