"""Texts and queries become terms by the same rules, in every language."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwright.core.types import Chunk, Span
from ragwright.retrieval.terms import LANGUAGES, Best, Rarities, Terms, rarity_of_unseen

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


@given(st.lists(st.text(max_size=30), max_size=5), st.text(max_size=20))
def test_the_terms_of_parts_are_those_of_the_context_and_of_each_sentence_alone(
    sentences: list[str], context: str
) -> None:
    text, starts = (
        "|".join(sentences),
        [sum(len(s) + 1 for s in sentences[:n]) for n in range(len(sentences))],
    )
    spans = tuple(Span("d", 7 + a, 7 + a + len(s)) for a, s in zip(starts, sentences, strict=True))
    chunk = Chunk("c", Span("d", 7, 7 + len(text)), text, context, (), None, spans, 9)
    parts = ENGLISH.of_parts(chunk)
    assert len(parts.ends) == 1 + len(sentences)
    for ids, part in zip(np.split(parts.ids, parts.ends[:-1]), [context, *sentences], strict=True):
        assert len(set(ids.tolist())) == len(ids)
        assert set(ids.tolist()) == set(ENGLISH.of_text(part))


@pytest.mark.parametrize("language", [*LANGUAGES, "xx"])
def test_every_language_has_terms(language: str) -> None:
    assert Terms(language).of_query("Zylinderkopfdichtung 4711")


def test_an_unseen_term_is_rarer_the_more_chunks_do_not_hold_it() -> None:
    rarities = [rarity_of_unseen(chunks) for chunks in (0, 1, 100, 10_000)]
    assert rarities == sorted(rarities)
    assert rarities[0] > 0


class CountingIndex:
    """Answers with a score that tells how often it was written to."""

    def __init__(self) -> None:
        self.written = 1.0
        self.asked: list[int] = []

    def best(self, terms: Sequence[int]) -> list[Best | None]:
        self.asked.extend(terms)
        return [Best(self.written, [term], [1.0]) for term in terms]


def test_each_term_is_asked_for_once_until_the_index_changes() -> None:
    index = CountingIndex()
    rarities = Rarities(index.best, lambda: 1)
    assert rarities.of([1, 2, 2]) == rarities.of([2, 1]) == {1: 1.0, 2: 1.0}
    assert index.asked == [1, 2]
    index.written = 2.0
    rarities.clear()
    assert rarities.of([1]) == {1: 2.0}


def test_what_was_asked_before_a_change_is_not_kept_after_it() -> None:
    asked, changed = threading.Event(), threading.Event()
    index = CountingIndex()

    def slow(terms: Sequence[int]) -> list[Best | None]:
        answer = index.best(terms)
        asked.set()
        assert changed.wait(5)
        return answer

    rarities = Rarities(slow, lambda: 1)
    with ThreadPoolExecutor(max_workers=1) as other:
        early = other.submit(rarities.of, [1])
        assert asked.wait(5)
        index.written = 2.0
        rarities.clear()
        changed.set()
        assert early.result() == {1: 1.0}
    assert rarities.of([1]) == {1: 2.0}


def test_threads_that_ask_while_another_clears_get_every_term() -> None:
    rarities = Rarities(CountingIndex().best, lambda: 1)
    wanted = range(50)
    over = threading.Event()

    def clear() -> None:
        while not over.is_set():
            rarities.clear()

    with ThreadPoolExecutor(max_workers=3) as threads:
        threads.submit(clear)
        answers = [threads.submit(rarities.of, wanted) for _ in range(300)]
        try:
            assert all(answer.result() == dict.fromkeys(wanted, 1.0) for answer in answers)
        finally:
            over.set()


def test_memory_is_bounded_and_starts_anew_when_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ragwright.retrieval.terms._MOST_KNOWN", 3)
    index = CountingIndex()
    rarities = Rarities(index.best, lambda: 1)
    for terms in ([1, 2], [3, 4], [3, 4], [5, 6, 7, 8], [1]):
        assert rarities.of(terms) == dict.fromkeys(terms, 1.0)
    assert index.asked == [1, 2, 3, 4, 5, 6, 7, 8, 1]
