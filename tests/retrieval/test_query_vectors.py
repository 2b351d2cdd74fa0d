"""A query is encoded once, however often and by however many threads it is asked."""

from __future__ import annotations

import threading
import time
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


class Held(CountingEncoder):
    """Encodes nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.busy, self.go = threading.Event(), threading.Event()

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode questions, in input order."""
        self.busy.set()
        assert self.go.wait(5)
        return super().encode_queries(texts)


def test_threads_that_ask_while_the_encoder_is_busy_are_encoded_together_and_each_query_once() -> None:
    encoder, plain = Held(), HashEncoder()
    vectors = QueryVectors(encoder)
    with ThreadPoolExecutor(max_workers=8) as threads:
        waiting = [threads.submit(vectors.of, ["a"])]
        assert encoder.busy.wait(5)
        waiting += [threads.submit(vectors.of, [text]) for text in "bcdbca"]
        while len(vectors._encode._waiting) < 6:
            time.sleep(0.001)
        encoder.go.set()
        found = [each.result()[0] for each in waiting]
    assert [sorted(call) for call in encoder.calls] == [["a"], list("abcd")]
    for text, vector in zip("abcdbca", found, strict=True):
        np.testing.assert_array_equal(vector, plain.encode_queries([text])[0])
    assert found[1] is found[4] and found[0] is found[6], "one vector for all"
