"""A query is encoded once, however often and by however many threads it is asked."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes import HashEncoder

from ragwright.core.types import Vectors
from ragwright.retrieval.query_vectors import QueryVectors


class CountingEncoder(HashEncoder):
    """Remembers the queries of each call."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[list[str]] = []

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode questions, in input order."""
        self.calls.append(list(texts))
        return super().encode_queries(texts)


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=6), max_size=8), st.integers(1, 9))
def test_every_query_gets_its_vector_and_none_is_encoded_twice_in_a_call(
    batches: list[list[str]], kept: int
) -> None:
    encoder = CountingEncoder()
    vectors, plain = QueryVectors(encoder, kept=kept), HashEncoder()
    for batch in batches:
        found = vectors.of(batch)
        assert len(found) == len(batch)
        for text, vector in zip(batch, found, strict=True):
            np.testing.assert_array_equal(vector, plain.encode_queries([text])[0])
    for call in encoder.calls:
        assert len(set(call)) == len(call) > 0


def test_what_was_asked_for_longest_ago_is_forgotten_first() -> None:
    encoder = CountingEncoder()
    vectors = QueryVectors(encoder, kept=2)
    for batch in (["a", "b"], ["a"], ["c"], ["a"], ["b"]):
        vectors.of(batch)
    assert encoder.calls == [["a", "b"], ["c"], ["b"]]


def test_a_batch_larger_than_the_memory_is_answered_whole() -> None:
    vectors = QueryVectors(HashEncoder(), kept=2)
    assert len(vectors.of(list("abcdef"))) == 6


def test_a_vector_that_is_shared_cannot_be_written_to() -> None:
    (vector,) = QueryVectors(HashEncoder()).of(["a"])
    with pytest.raises(ValueError, match="read-only"):
        vector[0] = 1.0


def test_threads_that_ask_for_the_same_query_at_once_share_one_vector() -> None:
    together = threading.Barrier(4)

    class Waiting(HashEncoder):
        def encode_queries(self, texts: Sequence[str]) -> Vectors:
            together.wait(5)
            return super().encode_queries(texts)

    vectors = QueryVectors(Waiting())
    with ThreadPoolExecutor(max_workers=4) as threads:
        found = [each.result()[0] for each in [threads.submit(vectors.of, ["a"]) for _ in range(4)]]
    assert all(vector is found[0] for vector in found)
