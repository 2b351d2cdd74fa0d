"""A sentence's score is what its meaning, its words and its chunk's words say, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwright.core.protocols import PartTerms, StoredChunk
from ragwright.core.types import Chunk, Span
from ragwright.retrieval import evidence_model
from ragwright.retrieval.evidence_score import QuerySigns, _presence, read_signs, score_sentences
from ragwright.retrieval.terms import Terms

WORDS = ("pump", "bolt", "oil", "rest")
ENGLISH = Terms()
VECTOR = np.asarray([1.0, 0.0], np.float32)


def _terms_of(texts: Sequence[str]) -> PartTerms:
    ids = [[WORDS.index(word) for word in text.split() if word in WORDS] for text in texts]
    flat = np.array([each for part in ids for each in part], np.uint32)
    return PartTerms(flat, np.cumsum([len(part) for part in ids], dtype=np.uint32))


def _query(*, weights: Mapping[int, float], own: set[int], rarities: Mapping[int, float]) -> QuerySigns:
    return QuerySigns(VECTOR, weights, own, rarities)


QUERY = _query(weights={0: 1.0, 1: 1.0}, own={0, 1}, rarities={0: 3.0, 1: 1.0})


def _chunk(*sentences: str, cosines: tuple[float, ...] = (), context: str = "") -> StoredChunk:
    text = " ".join(sentences)
    starts = [sum(len(each) + 1 for each in sentences[:place]) for place in range(len(sentences))]
    spans = tuple(Span(text, start, start + len(each)) for start, each in zip(starts, sentences, strict=True))
    chunk = Chunk(text, Span(text, 0, len(text)), text, context, (), None, spans, 9)
    heights = np.asarray(cosines or (0.0,) * len(sentences), np.float32)
    vectors = np.stack([heights, np.sqrt(1 - heights**2)], axis=1)
    return StoredChunk(chunk, "a.md", "a", {}, vectors, _terms_of([context, *sentences]))


def test_the_score_of_a_small_case_is_the_one_that_was_computed_by_hand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    numbers = {"MEANING": 0.5, "WORDS": 0.3, "CHUNK_WORDS": 0.2}
    for name, value in numbers.items():
        monkeypatch.setattr(f"ragwright.retrieval.evidence_score.{name}", value)
    chunks = [
        _chunk("pump a", "bolt b", "rest c", cosines=(0.8, 0.4, 0.0)),
        _chunk("bolt d", "rest e", cosines=(0.2, 0.6)),
    ]
    signs = read_signs(chunks, QUERY, before=0.5, after=0.25)
    # Two chunks hold the bolt and one holds the pump.
    bolt, pump = math.log1p(0.5 / 2.5), math.log1p(1.5 / 1.5)
    words = np.array([pump + 0.25 * bolt, bolt + 0.5 * pump, 0.25 * pump + 0.5 * bolt, bolt, 0.5 * bolt])
    np.testing.assert_allclose(signs.words, words / (bolt + pump))
    np.testing.assert_allclose(signs.meaning, [0.8, 0.4, 0.0, 0.2, 0.6], rtol=1e-6)
    # The pump's rarity in the index is 3 of 4, the bolt's 1.
    np.testing.assert_allclose(signs.chunk_words, [1.0, 1.0, 1.0, 0.25, 0.25])
    assert signs.support() == pytest.approx((0.8 + 1.0) / 2)
    monkeypatch.setattr("ragwright.retrieval.evidence_score.read_signs", lambda *_: signs)
    scores = np.concatenate(score_sentences(chunks, QUERY))
    share = words / words[0]
    behind = 1 - (
        0.5 * np.array([1.0, 0.5, 0.0, 0.25, 0.75]) + 0.3 * share + 0.2 * np.array([1, 1, 1, 0.25, 0.25])
    )
    np.testing.assert_allclose(scores, 0.9 * (1 - behind), rtol=1e-6)


def test_the_weights_are_shares_and_a_near_word_counts_less_than_the_sentences_own() -> None:
    weights = (evidence_model.MEANING, evidence_model.WORDS, evidence_model.CHUNK_WORDS)
    assert sum(weights) == pytest.approx(1.0)
    assert min(weights) > 0.0
    assert 0.0 <= evidence_model.AFTER <= evidence_model.BEFORE < 1.0


CHUNKS = st.lists(
    st.builds(
        lambda words, cosine, context: _chunk(*words, cosines=(cosine,) * len(words), context=context),
        st.lists(st.sampled_from([*WORDS, "pump bolt", "oil pump"]), max_size=4),
        st.floats(-1.0, 1.0),
        st.sampled_from(["", "pump\n", "oil\n"]),
    ),
    max_size=5,
)


@given(CHUNKS)
def test_scores_lie_between_0_and_1_and_the_best_is_the_support(chunks: list[StoredChunk]) -> None:
    scores = score_sentences(chunks, QUERY)
    assert [len(each) for each in scores] == [len(chunk.chunk.sentences) for chunk in chunks]
    together = np.concatenate([*scores, np.zeros(1, np.float32)])
    assert together.min() >= 0.0
    assert together.max() == pytest.approx(read_signs(chunks, QUERY).support())
    assert together.max() <= 1.0


@given(CHUNKS)
@pytest.mark.slow
def test_the_order_of_the_chunks_changes_no_score(chunks: list[StoredChunk]) -> None:
    turned = list(reversed(chunks))
    for one, other in zip(score_sentences(chunks, QUERY), score_sentences(turned, QUERY)[::-1], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


TEXTS = st.lists(
    st.sampled_from(["the pump", "pumps turn", "oil, oil", "a bolt of it", "of the", "", "!?", "Öl"]),
    max_size=5,
)


@given(st.lists(st.tuples(TEXTS, st.sampled_from(["", "Pumps\n", "the\n"])), max_size=4))
def test_stored_terms_score_as_reading_the_texts_would(found: list[tuple[list[str], str]]) -> None:
    chunks = [_chunk(*texts, context=context) for texts, context in found]
    chunks = [replace(chunk, terms=ENGLISH.of_parts(chunk.chunk)) for chunk in chunks]
    weights = ENGLISH.of_query("pump of oil", expansions={"bolt": 0.5})
    own = ENGLISH.of_query("pump of oil")
    query = QuerySigns(VECTOR, weights, frozenset(own), {term: 1.0 + term % 7 for term in weights})
    read = [each for each in found if each[0]]
    held = np.array([[t in ENGLISH.of_text(s) for texts, _ in read for s in texts] for t in weights], bool)
    heading = np.array([[t in ENGLISH.of_text(context) for _, context in read] for t in weights], bool)
    if read:
        seen = _presence([chunk for chunk in chunks if chunk.chunk.sentences], query)
        np.testing.assert_array_equal(seen[0], held)
        np.testing.assert_array_equal(seen[1], heading)
    assert len(read_signs(chunks, query).words) == sum(len(texts) for texts, _ in found)


def test_a_word_that_every_found_chunk_holds_tells_less_than_one_of_equal_rarity_that_few_hold() -> None:
    query = _query(weights={0: 1.0, 1: 1.0}, own={0, 1}, rarities={0: 2.0, 1: 2.0})
    chunks = [_chunk("pump a", "rest b", "rest c", "bolt d"), _chunk("pump e"), _chunk("pump f")]
    pump, _, _, bolt = score_sentences(chunks, query)[0]
    assert bolt > pump


def test_a_synonym_adds_and_never_more_than_the_questions_own_words_could() -> None:
    query = _query(weights={0: 1.0, 2: 0.5}, own={0}, rarities={0: 2.0, 2: 2.0})
    words = read_signs([_chunk("pump oil"), _chunk("oil"), _chunk("rest")], query).words
    assert words[0] == 1.0
    assert 0.0 < words[1] < 1.0
    assert words[2] == 0.0


def test_a_word_of_the_heading_counts_for_every_sentence_below_it() -> None:
    plain, headed = (
        read_signs([_chunk("bolt a", "rest b"), _chunk("pump c", context=context)], QUERY)
        for context in ("", "Bolt\nbolt\n")
    )
    assert headed.chunk_words[2] > plain.chunk_words[2]
    assert headed.words[2] > plain.words[2]


def test_words_reach_two_sentences_far_and_never_into_another_chunk() -> None:
    query = _query(weights={0: 1.0}, own={0}, rarities={0: 1.0})
    chunks = [_chunk("rest a"), _chunk("pump b", "rest c", "rest d", "rest e")]
    words = read_signs(chunks, query, before=0.5, after=0.25).words
    np.testing.assert_allclose(words, [0.0, 1.0, 0.5, 0.25, 0.0])


def test_a_question_of_stop_words_is_answered_by_meaning_alone() -> None:
    query = _query(weights={}, own=set(), rarities={})
    low, high = score_sentences([_chunk("pump a", "rest b", cosines=(0.2, 0.4))], query)[0]
    assert (high, low < high) == (pytest.approx(0.2), True)


def test_where_nothing_fits_at_all_every_score_is_0() -> None:
    assert score_sentences([], QUERY) == []
    other = _chunk("rest a", "rest b", cosines=(-0.5, -0.1))
    assert score_sentences([other], QUERY)[0].tolist() == [0.0, 0.0]
