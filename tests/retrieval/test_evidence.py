"""Evidence stands inside its chunk, never twice, and grows as the dial is turned to generous."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragwright.core.protocols import PartTerms, StoredChunk
from ragwright.core.types import Chunk, Evidence, Span
from ragwright.retrieval.evidence import select_evidence
from ragwright.retrieval.evidence_score import QuerySigns, score_sentences

TEXT = "".join(f"S{number} {'word ' * (number % 4)}end. " for number in range(40))
SENTENCES = [(TEXT.index(f"S{n} "), TEXT.index(f"S{n + 1} ") - 1) for n in range(39)]


def _chunk(first: int, last: int, document: str, seed: int) -> StoredChunk:
    sentences = tuple(Span(document, a, b) for a, b in SENTENCES[first : last + 1])
    span = Span(document, sentences[0].start, sentences[-1].end)
    chunk = Chunk(f"{document}{first}-{last}", span, TEXT[span.start : span.end], "", (), None, sentences, 9)
    vectors = np.random.default_rng(seed).normal(size=(len(sentences), 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    numbers = np.arange(first, first + len(sentences))  # a sentence's number is the one term it holds
    terms = PartTerms(numbers.astype(np.uint32), np.arange(len(sentences) + 1, dtype=np.uint32))
    return StoredChunk(chunk, f"{document}.md", document, {}, vectors, terms)


CHUNKS = st.lists(
    st.builds(
        lambda first, length, document, seed: _chunk(first, min(first + length, 38), document, seed),
        st.integers(0, 38),
        st.integers(0, 8),
        st.sampled_from("ab"),
        st.integers(0, 99),
    ),
    max_size=5,
)
SIGNS = st.builds(
    lambda rarities: QuerySigns(
        np.asarray([0.6, 0.8, 0.0, 0.0], np.float32),
        dict.fromkeys(rarities, 1.0),
        frozenset(rarities),
        rarities,
    ),
    st.dictionaries(st.integers(0, 38), st.floats(0.1, 5.0), max_size=4),
)


def _select(
    chunks: list[StoredChunk], signs: QuerySigns, *, share: float = 0.6, budget: int | None = None
) -> list[tuple[Evidence, ...]]:
    return select_evidence(
        chunks,
        score_sentences(chunks, signs),
        share=share,
        budget=budget,
        count_tokens=lambda text: len(text.split()),
    )


def _characters(evidence: list[tuple[Evidence, ...]]) -> set[tuple[str, int]]:
    return {
        (each.span.document_id, place)
        for spans in evidence
        for each in spans
        for place in range(each.span.start, each.span.end)
    }


@given(CHUNKS, SIGNS, st.floats(0.0, 1.0))
def test_evidence_lies_in_its_chunk_in_text_order_and_is_the_text_that_stands_there(
    chunks: list[StoredChunk], signs: QuerySigns, share: float
) -> None:
    for chunk, spans in zip(chunks, _select(chunks, signs, share=share), strict=True):
        assert list(spans) == sorted(spans, key=lambda each: each.span.start)
        for each in spans:
            assert chunk.chunk.span.start <= each.span.start < each.span.end <= chunk.chunk.span.end
            assert each.text == TEXT[each.span.start : each.span.end]
            assert 0.0 <= each.score <= 1.0 + 1e-6


@given(CHUNKS, SIGNS, st.floats(0.0, 1.0))
def test_no_character_is_evidence_twice(chunks: list[StoredChunk], signs: QuerySigns, share: float) -> None:
    evidence = [each for spans in _select(chunks, signs, share=share) for each in spans]
    for place, one in enumerate(evidence):
        assert not any(one.span.overlaps(other.span) for other in evidence[place + 1 :])


@given(CHUNKS, SIGNS, st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_a_higher_share_keeps_a_part_of_the_same_sentences(
    chunks: list[StoredChunk], signs: QuerySigns, one: float, other: float
) -> None:
    few, many = (_sentences(chunks, signs, share) for share in (max(one, other), min(one, other)))
    assert few <= many


def _sentences(chunks: list[StoredChunk], signs: QuerySigns, share: float) -> set[tuple[str, int]]:
    """Starts of the sentences inside the evidence: merging adds the white space between neighbours."""
    characters = _characters(_select(chunks, signs, share=share))
    return {key for key in characters if any(key[1] == start for start, _ in SENTENCES)}


@given(CHUNKS, SIGNS, st.integers(0, 60))
def test_the_budget_is_never_exceeded_and_only_takes_away(
    chunks: list[StoredChunk], signs: QuerySigns, budget: int
) -> None:
    bounded = _select(chunks, signs, share=0.2, budget=budget)
    assert sum(len(each.text.split()) for spans in bounded for each in spans) <= budget
    assert _characters(bounded) <= _characters(_select(chunks, signs, share=0.2))


@settings(max_examples=25)
@given(CHUNKS, SIGNS)
def test_with_no_share_at_all_every_sentence_is_evidence(
    chunks: list[StoredChunk], signs: QuerySigns
) -> None:
    wanted = {(s.document_id, s.start) for chunk in chunks for s in chunk.chunk.sentences}
    positive = any((scores > 0).any() for scores in score_sentences(chunks, signs))
    assert not positive or wanted <= _characters(_select(chunks, signs, share=0.0))


def _scored(*scores: float, share: float) -> list[Evidence]:
    """Evidence of one chunk whose sentences S0, S1, ... have these scores."""
    chunk = _chunk(0, len(scores) - 1, "a", 1)
    each = [np.asarray(scores, np.float32)]
    return list(select_evidence([chunk], each, share=share, budget=None, count_tokens=len)[0])


def test_neighbours_become_one_span_with_the_better_score() -> None:
    first, second = _scored(0.1, 0.5, 0.4, 0.1, 0.1, 0.45, share=0.8)
    assert (first.text[:2], "S2 " in first.text, second.text[:2]) == ("S1", True, "S5")
    assert [first.score, second.score] == pytest.approx([0.5, 0.45])


def test_one_sentence_between_two_kept_ones_is_kept_and_two_are_not() -> None:
    (bridged,) = _scored(0.1, 0.5, 0.1, 0.5, 0.1, share=0.8)
    assert (bridged.text[:2], "S2 " in bridged.text, "S3 " in bridged.text) == ("S1", True, True)
    assert len(_scored(0.1, 0.5, 0.1, 0.1, 0.5, share=0.8)) == 2


def test_chunks_without_sentences_or_nothing_at_all_have_no_evidence() -> None:
    span = Span("a", 0, 3)
    terms = PartTerms(np.zeros(0, np.uint32), np.zeros(1, np.uint32))
    chunk = Chunk("c", span, "...", "", (), None, (), 3)
    empty = StoredChunk(chunk, "a.md", "a", {}, np.zeros((0, 4), np.float32), terms)
    signs = QuerySigns(np.zeros(4, np.float32), {}, frozenset(), {})
    assert _select([empty], signs) == [()]
    assert _select([], signs) == []
