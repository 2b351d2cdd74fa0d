"""Likeness of texts: the published definitions on hand-computed cases, and what holds for every text."""

from __future__ import annotations

from collections import Counter
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwright.eval.text_match import (
    common_subsequence,
    exact_match,
    normalised,
    rouge_l,
    token_f1,
    without_markers,
    words,
)

MEASURES = (exact_match, token_f1, rouge_l)
WORDS = st.lists(
    st.sampled_from(["the", "pump", "needs", "35", "Nm", "torque,", "a", "A", "Cold"]), max_size=12
)
TEXTS = st.one_of(st.text(max_size=40), WORDS.map(" ".join))


@given(TEXTS)
def test_equal_texts_are_fully_alike(text: str) -> None:
    assert [measure(text, text) for measure in MEASURES] == [1.0, 1.0, 1.0]


@given(TEXTS, TEXTS)
def test_every_measure_lies_between_0_and_1_and_is_symmetric(one: str, other: str) -> None:
    for measure in MEASURES:
        assert 0.0 <= measure(one, other) <= 1.0
        assert measure(one, other) == measure(other, one)


@given(st.lists(st.sampled_from(["red", "blue"]), min_size=1), st.lists(st.sampled_from(["x", "y"])))
def test_texts_without_a_common_word_are_not_alike(one: list[str], other: list[str]) -> None:
    assert [measure(" ".join(one), " ".join(other)) for measure in MEASURES] == [0.0, 0.0, 0.0]


@given(TEXTS, TEXTS)
def test_order_can_only_cost_rouge_l_what_the_bag_of_the_same_words_shares(one: str, other: str) -> None:
    left, right = words(one), words(other)
    shared = (Counter(left) & Counter(right)).total()
    bag = 2 * shared / (len(left) + len(right)) if left and right else float(left == right)
    assert rouge_l(one, other) <= bag


@given(TEXTS, TEXTS)
def test_an_exact_match_has_full_f1(one: str, other: str) -> None:
    assert token_f1(one, other) >= exact_match(one, other)


@given(
    st.lists(st.sampled_from("abc"), max_size=20),
    st.lists(st.sampled_from("abc"), max_size=20),
    st.sampled_from([1, 3, 2048]),
)
def test_the_common_subsequence_is_that_of_the_textbook_table_whatever_is_taken_at_a_time(
    one: list[str], other: list[str], columns: int
) -> None:
    row = [0] * (len(other) + 1)
    for word in one:
        before, row = row, [0]
        for place, wanted in enumerate(other):
            row.append(before[place] + 1 if word == wanted else max(before[place + 1], row[place]))
    with patch("ragwright.eval.text_match._COLUMNS", columns):
        assert common_subsequence(one, other) == row[-1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  Answer, a test!", "answer test"),
        ("re-use an O-ring", "reuse oring"),  # punctuation goes without leaving a space, as in SQuAD's script
        ("atheist", "atheist"),  # articles are whole words
        ("the", ""),
    ],
)
def test_texts_are_normalised_as_squad_does(text: str, expected: str) -> None:
    assert normalised(text) == expected


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("the cat sat on the mat", "cat mat", 2 * (2 / 4) * (2 / 2) / (2 / 4 + 2 / 2)),
        (
            "no no no",
            "no yes",
            2 * (1 / 3) * (1 / 2) / (1 / 3 + 1 / 2),
        ),  # a word is shared as often as in both
        ("the", "a", 1.0),  # neither has a word left
        ("the", "pump", 0.0),
    ],
)
def test_token_f1_by_hand(answer: str, reference: str, expected: float) -> None:
    assert token_f1(answer, reference) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("police kill the gunman", "police killed the gunman", 3 / 4),  # Lin 2004, section 3.1
        ("the gunman kill police", "police killed the gunman", 2 / 4),
        ("the gunman police killed", "police killed the gunman", 2 / 4),
        ("Füllmenge: 4 l", "fu\u0308llmenge 4 L", 1.0),  # composed and decomposed letters are equal
        ("!!!", "???", 1.0),
        ("!!!", "pump", 0.0),
    ],
)
def test_rouge_l_by_hand(answer: str, reference: str, expected: float) -> None:
    assert rouge_l(answer, reference) == pytest.approx(expected)


def test_only_citation_numbers_and_quote_markers_are_taken_out() -> None:
    text = "See ##begin_quote##35 Nm##end_quote## [1], [2, 3] and [4–6], not list[i] or [see 7]."
    assert " ".join(without_markers(text).split()) == "See 35 Nm , and , not list[i] or [see 7]."
