"""Recent values stay within their bound; a value that is made once is made once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwright.retrieval.memory import Once, RecentArrays


def _array(number: int) -> np.ndarray:
    return np.full(25, number, np.float32)  # 100 bytes


def test_what_was_used_longest_ago_goes_first() -> None:
    recent: RecentArrays[np.ndarray] = RecentArrays(0.000_303)
    recent.keep({"a": _array(1), "b": _array(2), "c": _array(3)})
    assert recent.bytes == 303
    recent.find(["a"])
    recent.keep({"d": _array(4)})
    assert recent.find("abcd").keys() == {"a", "c", "d"}
    np.testing.assert_array_equal(recent.find("d")["d"], _array(4))


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 60)), max_size=40), st.integers(0, 500))
def test_the_bound_holds_and_what_is_found_is_what_was_kept(steps: list[tuple[str, int]], room: int) -> None:
    recent: RecentArrays[np.ndarray] = RecentArrays(room / 1_000_000)
    first: dict[str, int] = {}
    for text, size in steps:
        if not recent.find([text]):
            first[text] = size
        recent.keep({text: np.zeros(size, np.uint8)})
        found = recent.find("abcdefgh")
        assert recent.bytes == sum(len(array) + 1 for array in found.values()) <= room
        assert all(len(array) == first[key] for key, array in found.items())


def test_nothing_is_remembered_without_room() -> None:
    recent: RecentArrays[np.ndarray] = RecentArrays(0)
    recent.keep({"a": _array(1)})
    assert recent.find("a") == {} and recent.bytes == 0


def test_a_value_is_made_once_by_whoever_needs_it_first() -> None:
    made = []

    def make() -> int:
        made.append(threading.get_ident())
        return len(made)

    once = Once(make)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: once(), range(64))) == {1}
    assert len(made) == 1


def test_an_error_in_making_is_raised_and_the_next_one_tries_again() -> None:
    outcomes = [ZeroDivisionError(), None]

    def make() -> str:
        if error := outcomes.pop(0):
            raise error
        return "made"

    once = Once(make)
    with pytest.raises(ZeroDivisionError):
        once()
    assert once() == "made"
