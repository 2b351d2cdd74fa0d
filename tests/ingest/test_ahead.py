"""A producer in a thread: in order, bounded, and never left hanging."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragwright.ingest.ahead import ahead

ONE: Callable[[object], int] = lambda _: 1  # noqa: E731 - the weight of every item


@given(st.lists(st.integers(), max_size=30), st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_items_come_in_order(numbers: list[int], items: int) -> None:
    with ahead(lambda: numbers, weigh=ONE, room=items) as results:
        assert list(results) == numbers


def test_the_producer_is_at_most_so_many_items_ahead() -> None:
    made: list[int] = []

    def produce() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    with ahead(produce, weigh=ONE, room=3) as results:
        assert next(results) == 0
        time.sleep(0.05)
        assert len(made) <= 5  # one taken, three waiting, one in hand


def test_what_waits_weighs_no_more_than_there_is_room_for_but_one_alone_may() -> None:
    made: list[int] = []

    def produce() -> Iterator[int]:
        for weight in (9, 2, 2, 2):
            made.append(weight)
            yield weight

    with ahead(produce, weigh=lambda weight: weight, room=4) as results:
        time.sleep(0.05)
        assert made == [9, 2]  # the second is in hand
        assert next(results) == 9
        time.sleep(0.05)
        assert made == [9, 2, 2, 2]
        assert list(results) == [2, 2, 2]


def test_an_error_comes_where_the_next_item_would_have() -> None:
    def produce() -> Iterator[int]:
        yield 1
        raise OSError("broken")

    with ahead(produce, weigh=ONE, room=2) as results:
        assert next(results) == 1
        with pytest.raises(OSError, match="broken"):
            next(results)


def test_an_error_before_the_first_item_is_raised_and_not_waited_for() -> None:
    def produce() -> Iterator[int]:
        raise OSError("broken at once")

    with ahead(produce, weigh=ONE, room=2) as results, pytest.raises(OSError, match="broken at once"):
        next(results)


def test_leaving_early_closes_the_producer_and_ends_its_thread() -> None:
    closed = threading.Event()

    def produce() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt), ahead(produce, weigh=ONE, room=2) as results:
        next(results)
        raise KeyboardInterrupt
    assert closed.is_set()
    assert threading.active_count() == before
