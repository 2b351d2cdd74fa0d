"""Joined calls: everyone gets the own answer or the own error, and nobody waits for ever."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ragwright.core.types import Chunk, Span
from ragwright.retrieval.coalesce import Coalescer, JoinedReranker

WAIT = 30.0  # seconds after which a test calls it a deadlock


class Squares:
    """Squares numbers, refuses negative ones, and notes every call; it can be held back."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.running = 0
        self.entered = threading.Event()
        self.free = threading.Event()
        self.free.set()

    def __call__(self, items: list[int]) -> list[int]:
        self.running += 1
        assert self.running == 1, "two threads call at once"
        self.calls.append(items)
        self.entered.set()
        assert self.free.wait(WAIT)
        self.running -= 1
        if any(item < 0 for item in items):
            raise ValueError(f"negative: {min(items)}")
        return [item * item for item in items]


def _ask(joined: Coalescer[int, int], items: Sequence[int]) -> list[int] | str:
    try:
        return joined(items)
    except ValueError as error:
        return str(error)


def _answer(items: Sequence[int]) -> list[int] | str:
    low = min(items, default=0)
    return f"negative: {low}" if low < 0 else [item * item for item in items]


@settings(deadline=None)  # threads wait for a busy machine
@given(
    st.lists(st.lists(st.integers(-3, 60), max_size=5), min_size=1, max_size=24),
    st.integers(1, 12),
    st.integers(1, 8),
)
def test_everyone_gets_the_own_answer_in_as_few_calls_as_callers(
    asked: list[list[int]], limit: int, threads: int
) -> None:
    squares = Squares()
    joined = Coalescer(squares, limit=limit)
    with ThreadPoolExecutor(threads) as pool:
        answers: list[Future[list[int] | str]] = [pool.submit(_ask, joined, items) for items in asked]
        assert [each.result(WAIT) for each in answers] == [_answer(items) for items in asked]
    if all(item >= 0 for items in asked for item in items):
        assert len(squares.calls) <= len(asked)
        assert sum(map(len, squares.calls)) == sum(map(len, asked)), "nothing is computed twice"
    assert all(len(call) <= max(limit, *map(len, asked)) for call in squares.calls)


def _held(limit: int, asked: Sequence[Sequence[int]]) -> tuple[Squares, list[list[int] | str]]:
    """Callers that all wait while a first call runs."""
    squares = Squares()
    joined = Coalescer(squares, limit=limit)
    squares.free.clear()
    with ThreadPoolExecutor(len(asked) + 1) as pool:
        first = pool.submit(_ask, joined, [1])
        assert squares.entered.wait(WAIT)
        rest = []
        for count, items in enumerate(asked, 1):  # in line in this order
            rest.append(pool.submit(_ask, joined, items))
            while len(joined._waiting) < count:
                pass
        squares.free.set()
        assert first.result(WAIT) == [1]
        return squares, [each.result(WAIT) for each in rest]


def test_those_who_wait_are_served_by_one_call() -> None:
    squares, answers = _held(8, [[2], [3, 4], [5]])
    assert squares.calls == [[1], [2, 3, 4, 5]]
    assert answers == [[4], [9, 16], [25]]


def test_a_batch_is_bounded_and_a_larger_call_goes_alone_whole() -> None:
    squares, answers = _held(3, [[2], [3, 4], [5], [6, 7, 8, 9]])
    assert squares.calls == [[1], [2, 3, 4], [5], [6, 7, 8, 9]]
    assert answers[-1] == [36, 49, 64, 81]


def test_an_error_reaches_only_the_caller_whose_items_caused_it() -> None:
    _, answers = _held(8, [[2], [-3, 4], [5]])
    assert answers == [[4], "negative: -3", [25]]


def test_who_comes_alone_is_served_at_once() -> None:
    squares = Squares()
    joined = Coalescer(squares)
    assert joined([3]) == [9]
    assert joined([4]) == [16]
    assert joined([]) == []
    assert squares.calls == [[3], [4]]


def test_a_function_that_loses_items_is_an_error_and_not_a_wrong_answer() -> None:
    def first(items: list[int]) -> list[int]:
        return items[:1]

    with pytest.raises(ValueError, match="1 results for 2 items"):
        Coalescer(first)([1, 2])


def test_an_interrupt_is_raised_where_it_happens_and_the_others_are_served() -> None:
    entered, free = threading.Event(), threading.Event()

    def call(items: list[int]) -> list[int]:
        entered.set()
        assert free.wait(WAIT)
        if 1 in items:
            raise KeyboardInterrupt
        return items

    joined = Coalescer(call)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(joined, [1])
        assert entered.wait(WAIT)
        second = pool.submit(joined, [2])
        while not joined._waiting:
            pass
        free.set()
        with pytest.raises(KeyboardInterrupt):
            first.result(WAIT)
        assert second.result(WAIT) == [2]
    assert joined([3]) == [3]


class Lengths:
    """Scores a chunk by its length and the question's."""

    def __init__(self) -> None:
        self.calls = 0

    def rerank(
        self, queries: Sequence[str], candidates: Sequence[Sequence[Chunk]]
    ) -> list[NDArray[np.float32]]:
        self.calls += 1
        return [
            np.array([len(query) * 1_000 + len(chunk.text) for chunk in chunks], np.float32)
            for query, chunks in zip(queries, candidates, strict=True)
        ]


def test_joined_rerankers_give_each_caller_the_own_scores() -> None:
    chunks = [Chunk(str(n), Span("d", 0, n), "x" * n, "", (), None, (), n) for n in range(9)]
    lengths = Lengths()
    joined = JoinedReranker(lengths, limit=20)

    def ask(number: int) -> bool:
        queries = ["q" * (number % 5 + 1), "why"][: number % 2 + 1]
        candidates = [chunks[: number % 9] for _ in queries]
        expected = Lengths().rerank(queries, candidates)
        found = joined.rerank(queries, candidates)
        return all((one == two).all() for one, two in zip(found, expected, strict=True))

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(ask, range(60)))
    assert lengths.calls <= 60
