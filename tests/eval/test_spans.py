"""Arithmetic of ranges, held to sets of positions."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ragwright.eval.spans import Range, length, shared, union

RANGES = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 25), st.integers(0, 6)).map(
        lambda drawn: (drawn[0], drawn[1], drawn[1] + drawn[2])
    ),
    max_size=10,
)


def positions(ranges: list[Range]) -> set[tuple[str, int]]:
    return {(source, at) for source, start, end in ranges for at in range(start, end)}


@given(RANGES)
def test_a_union_covers_the_same_positions_each_once(ranges: list[Range]) -> None:
    merged = union(ranges)
    assert positions(merged) == positions(ranges)
    assert length(merged) == len(positions(ranges))


@given(RANGES)
def test_the_ranges_of_a_union_are_sorted_not_empty_and_do_not_touch(ranges: list[Range]) -> None:
    merged = union(ranges)
    assert all(start < end for _, start, end in merged)
    assert all(a[0] < b[0] or (a[0] == b[0] and a[2] < b[1]) for a, b in pairwise(merged))


@given(RANGES)
def test_a_union_of_a_union_is_itself(ranges: list[Range]) -> None:
    assert union(union(ranges)) == union(ranges)


@given(RANGES, RANGES)
def test_shared_counts_the_common_positions_from_either_side(one: list[Range], other: list[Range]) -> None:
    common = len(positions(one) & positions(other))
    assert shared(union(one), union(other)) == shared(union(other), union(one)) == common


def test_length_counts_repeated_ranges_as_often_as_given() -> None:
    assert length([("a", 0, 4), ("a", 0, 4), ("b", 2, 3)]) == 9


def test_equal_positions_of_different_documents_are_different_positions() -> None:
    assert union([("a", 0, 4), ("b", 4, 8)]) == [("a", 0, 4), ("b", 4, 8)]
    assert shared([("a", 0, 4)], [("b", 0, 4)]) == 0


def test_nothing_has_no_length_and_shares_nothing() -> None:
    assert union([]) == [] and length([]) == 0 and shared([], [("a", 0, 4)]) == 0
