"""A folded text knows where each of its characters stands in the original."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwright.generation.folding import FoldedText, find_whole, fold, normalise
from ragwright.generation.neutralise import LOOKALIKES

SIGNS = st.text(alphabet=st.sampled_from("ab1 .\n\t“”–ﬁß½…\u00ad\u200bé\u0301<[‹⟦İﷺ🚂\u2028"), max_size=30)


@given(SIGNS, SIGNS, SIGNS)
def test_what_is_found_is_equal_there_once_both_are_made_equal(before: str, wanted: str, after: str) -> None:
    text = before + wanted + after
    place = FoldedText(text).find(normalise(wanted))
    if place is not None:
        assert normalise(text[place[0] : place[1]]) == normalise(wanted) != ""


@given(SIGNS, SIGNS)
def test_a_text_between_spaces_and_words_of_others_is_found(one: str, other: str) -> None:
    wanted = f"x{one}x"
    assert FoldedText(f"{other} zz {wanted.upper()} zz {other}").find(normalise(wanted.upper())) is not None


@given(st.text())
def test_the_folded_text_is_the_normalised_one(text: str) -> None:
    assert FoldedText(text).text == normalise(text)


@given(st.text(), st.text())
def test_folding_goes_character_by_character(one: str, other: str) -> None:
    assert fold(one) + fold(other) == fold(one + other)


@pytest.mark.parametrize(
    ("text", "wanted", "place"),
    [
        ("at 35 Nm", "35 nm", 3),
        ("at 35 Nm", "5 nm", -1),
        ("at 3.5 Nm, 5 Nm", "5 nm", 11),
        ("at 35.5 Nm", "at 35", -1),
        ("at 35. Then", "at 35", 0),
        ("at -5 degrees", "5 degrees", -1),
        ("2-5 degrees", "5 degrees", 2),
        ("the valves", "the valve", -1),
        ("valves and a valve", "valve", 13),
        ("弁を開く", "弁を", 0),
        ("cafe\u0301", "cafe", -1),
    ],
)
def test_no_word_and_no_number_is_cut(text: str, wanted: str, place: int) -> None:
    assert find_whole(fold(text), wanted) == place


def test_lookalikes_are_folded_to_what_they_stand_for() -> None:
    for plain, lookalike in LOOKALIKES.items():
        assert fold(lookalike) == fold(plain)


def test_folding_and_searching_megabytes_takes_no_time_to_speak_of() -> None:
    text = "The valve – at 3.5 bar –  opens. " * 60_000
    started = time.perf_counter()
    folded = FoldedText(text)
    assert folded.find(normalise("the valve - at 4 bar")) is None
    assert folded.find(normalise("THE VALVE – at 3.5 bar")) == (0, 22)
    assert time.perf_counter() - started < 10, "2 MB; it takes less than half a second"


def test_a_text_that_repeats_itself_is_given_up_in_bounded_time() -> None:
    started = time.perf_counter()
    assert FoldedText("5" * 2_000_000).find("55") is None
    assert time.perf_counter() - started < 10
