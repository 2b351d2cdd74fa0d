"""Texts and queries become terms by the same rules, in every language."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwright.retrieval.terms import LANGUAGES, Terms, rarity_of_unseen

ENGLISH = Terms()


def test_case_and_endings_do_not_matter_and_stop_words_count_nothing() -> None:
    assert ENGLISH.of_query("Pumps") == ENGLISH.of_query("the pump") == ENGLISH.of_query("PUMPING")
    assert ENGLISH.of_query("the of and") == {}


def test_a_word_weighs_more_the_more_often_it_stands_there_and_never_more_than_k1_allows() -> None:
    (term,) = ENGLISH.of_query("gasket")
    weights = [ENGLISH.of_text("gasket " * times + "pump " * (80 - times))[term] for times in (1, 2, 8, 80)]
    assert weights == sorted(weights)
    assert 0 < weights[0] < weights[-1] < 2.21


def test_a_word_weighs_less_in_a_longer_text() -> None:
    (term,) = ENGLISH.of_query("gasket")
    short, long = (ENGLISH.of_text("gasket " + "pump " * length)[term] for length in (5, 500))
    assert short > long


def test_synonyms_weigh_less_and_the_questions_own_words_keep_one() -> None:
    weights = ENGLISH.of_query("heart attack", expansions={"myocardial infarction attack": 0.5, "heart": 0.2})
    own, synonyms = ENGLISH.of_query("heart attack"), ENGLISH.of_query("myocardial infarction")
    assert weights == {**dict.fromkeys(synonyms, 0.5), **dict.fromkeys(own, 1.0)}


def test_a_term_of_two_synonyms_keeps_the_better_weight() -> None:
    for expansions in ({"seal ring": 0.2, "seal": 0.7}, {"seal": 0.7, "seal ring": 0.2}):
        weights = ENGLISH.of_query("gasket", expansions=expansions)
        assert weights[next(iter(ENGLISH.of_query("seal")))] == 0.7


@given(st.text(max_size=80))
def test_any_text_gives_positive_weights_and_a_query_the_same_terms(text: str) -> None:
    document, query = ENGLISH.of_text(text), ENGLISH.of_query(text)
    assert set(document) == set(query)
    assert all(weight > 0 for weight in document.values())
    assert set(query.values()) <= {1.0}


@pytest.mark.parametrize("language", [*LANGUAGES, "xx"])
def test_every_language_has_terms(language: str) -> None:
    assert Terms(language).of_query("Zylinderkopfdichtung 4711")


def test_an_unseen_term_is_rarer_the_more_chunks_do_not_hold_it() -> None:
    rarities = [rarity_of_unseen(chunks) for chunks in (0, 1, 100, 10_000)]
    assert rarities == sorted(rarities)
    assert rarities[0] > 0
