"""Recall, precision, IoU and Precision Omega in the exact mode."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ragwright.core.errors import InputError
from ragwright.core.types import Span
from ragwright.eval.overlap import Characters, ChunkMap, Overlap, TokenUnits, overlap, precision_omega

CHARACTERS = Characters()
UNIQUE = ("recall", "precision", "iou")
SPANS = st.tuples(st.sampled_from("ab"), st.integers(0, 40), st.integers(1, 12)).map(
    lambda drawn: Span(drawn[0], drawn[1], drawn[1] + drawn[2])
)
REFERENCES = st.lists(SPANS, min_size=1, max_size=4)
RETRIEVED = st.lists(SPANS, max_size=8)
# "The pump hums." in words: 0-3, 4-8, 9-13, 13-14; the spaces belong to no token.
WORDS = np.array([[0, 3], [4, 8], [9, 13], [13, 14]])


def words(source: str) -> NDArray[np.int64]:
    """Twenty words of three letters in every document, a token without characters before them."""
    return np.array([(0, 0)] + [(at, at + 3) for at in range(0, 80, 4)])


UNITS = st.sampled_from([CHARACTERS, TokenUnits(words)])


def characters(spans: list[Span]) -> set[tuple[str, int]]:
    return {(span.document_id, at) for span in spans for at in range(span.start, span.end)}


def tokens(source_span: Span) -> set[tuple[str, int]]:
    """Numbers of the words that the span touches."""
    return {
        (source_span.document_id, number)
        for number, at in enumerate(range(0, 80, 4))
        if any(at <= place < at + 3 for place in range(source_span.start, source_span.end))
    }


def test_a_hand_computed_case_of_all_five_measures() -> None:
    """References 10 + 10 characters; found 5..15 twice, 12..22 and another document's 4: 10 are in both."""
    references = [Span("a", 10, 20), Span("a", 40, 50)]
    retrieved = [Span("a", 5, 15), Span("a", 12, 22), Span("a", 5, 15), Span("b", 10, 14)]
    assert overlap(references, retrieved, CHARACTERS) == Overlap(10 / 20, 10 / 21, 10 / 31, 10 / 34, 10 / 44)


def test_references_that_overlap_each_other_count_once() -> None:
    found = overlap([Span("a", 0, 10), Span("a", 5, 15)], [Span("a", 0, 5)], CHARACTERS)
    assert (found.recall, found.precision, found.iou) == (5 / 15, 1.0, 5 / 15)


def test_spans_that_only_touch_share_nothing() -> None:
    found = overlap([Span("a", 10, 20)], [Span("a", 0, 10), Span("a", 20, 30)], CHARACTERS)
    assert found == Overlap(0, 0, 0, 0, 0)
    assert (
        precision_omega([Span("a", 10, 20)], ChunkMap([Span("a", 0, 10), Span("a", 20, 30)]), CHARACTERS) == 0
    )


def test_nothing_retrieved_scores_zero_everywhere() -> None:
    assert overlap([Span("a", 10, 20)], [], CHARACTERS) == Overlap(0, 0, 0, 0, 0)


@pytest.mark.parametrize("references", [[], [Span("a", 3, 3)]])
def test_a_question_without_reference_is_refused_in_words(references: list[Span]) -> None:
    with pytest.raises(InputError, match="leave questions without references out"):
        overlap(references, [Span("a", 0, 5)], CHARACTERS)
    with pytest.raises(InputError, match="leave questions without references out"):
        precision_omega(references, ChunkMap([Span("a", 0, 5)]), CHARACTERS)


def test_a_token_touched_partly_counts_whole() -> None:
    """Reference 'pump' (1 token), found 'he pu' (2 tokens, one of them the reference's)."""
    found = overlap([Span("a", 4, 8)], [Span("a", 1, 6)], TokenUnits(lambda _: WORDS))
    assert found == Overlap(1.0, 1 / 2, 1 / 2, 1 / 2, 1 / 2)


def test_a_reference_between_tokens_cannot_be_scored_in_tokens() -> None:
    with pytest.raises(InputError, match="hold none of the cl100k tokens counted"):
        overlap([Span("a", 3, 4)], [], TokenUnits(lambda _: WORDS, name="cl100k tokens"))


def test_tokens_that_share_one_character_are_all_touched_by_it() -> None:
    """A byte-level tokenizer cuts an ideograph in three: its one character is three tokens."""
    units = TokenUnits(lambda _: np.array([[0, 1], [1, 2], [1, 2], [1, 2], [2, 5]]))
    assert units.ranges([Span("a", 1, 2), Span("a", 0, 2), Span("a", 2, 3), Span("a", 2, 2)]) == [
        ("a", 1, 4), ("a", 0, 4), ("a", 4, 5), ("a", 0, 0)
    ]  # fmt: skip


def test_a_text_without_tokens_has_none() -> None:
    assert TokenUnits(lambda _: np.empty((0, 2), np.int64)).ranges([Span("a", 0, 9)]) == [("a", 0, 0)]


def test_offsets_out_of_text_order_are_refused() -> None:
    with pytest.raises(InputError, match="'a' do not ascend"):
        TokenUnits(lambda _: WORDS[::-1]).ranges([Span("a", 0, 4)])


def test_the_offsets_of_a_document_are_asked_for_once() -> None:
    asked = []

    def offsets_of(source: str) -> NDArray[np.int64]:
        asked.append(source)
        return WORDS

    units = TokenUnits(offsets_of)
    units.ranges([Span("a", 0, 4), Span("b", 0, 4), Span("a", 4, 8)])
    assert asked == ["a", "b"]


@given(SPANS)
def test_token_units_are_the_words_with_a_character_inside(span: Span) -> None:
    [(source, start, end)] = TokenUnits(words).ranges([span])
    assert {(source, number) for number in range(start, end)} == tokens(span)


@given(REFERENCES, UNITS)
def test_full_overlap_gives_one(references: list[Span], units: Characters) -> None:
    if not any(tokens(span) for span in references):
        return
    found = overlap(references, references, units)
    assert (found.recall, found.precision, found.iou) == (1, 1, 1)


@given(REFERENCES, RETRIEVED)
def test_no_overlap_gives_zero(references: list[Span], retrieved: list[Span]) -> None:
    elsewhere = [Span("c", span.start, span.end) for span in retrieved]
    assert overlap(references, elsewhere, CHARACTERS) == Overlap(0, 0, 0, 0, 0)


@given(REFERENCES, RETRIEVED)
def test_the_unique_measures_are_those_of_sets_of_characters(
    references: list[Span], retrieved: list[Span]
) -> None:
    wanted, got = characters(references), characters(retrieved)
    found = overlap(references, retrieved, CHARACTERS)
    assert found.recall == len(wanted & got) / len(wanted)
    assert found.precision == (len(wanted & got) / len(got) if got else 0)
    assert found.iou == len(wanted & got) / len(wanted | got)


@given(REFERENCES, RETRIEVED)
def test_every_value_lies_between_zero_and_one(references: list[Span], retrieved: list[Span]) -> None:
    found = overlap(references, retrieved, CHARACTERS)
    assert all(0 <= value <= 1 for value in astuple(found))
    assert found.precision_penalised <= found.precision and found.iou_penalised <= found.iou <= found.recall


@given(st.data(), REFERENCES, RETRIEVED)
def test_order_changes_nothing(data: st.DataObject, references: list[Span], retrieved: list[Span]) -> None:
    shuffled = data.draw(st.permutations(retrieved))
    wanted = data.draw(st.permutations(references))
    assert overlap(wanted, shuffled, CHARACTERS) == overlap(references, retrieved, CHARACTERS)


@given(st.data(), REFERENCES, RETRIEVED)
def test_repetition_changes_nothing_but_the_penalised_measures(
    data: st.DataObject, references: list[Span], retrieved: list[Span]
) -> None:
    again = data.draw(st.lists(st.sampled_from(retrieved), max_size=4)) if retrieved else []
    once, twice = (overlap(references, found, CHARACTERS) for found in (retrieved, retrieved + again))
    assert [getattr(twice, name) for name in UNIQUE] == [getattr(once, name) for name in UNIQUE]
    assert twice.precision_penalised <= once.precision_penalised
    assert twice.iou_penalised <= once.iou_penalised


@given(st.data(), REFERENCES, RETRIEVED.filter(bool))
def test_cutting_a_span_in_two_changes_nothing_in_characters(
    data: st.DataObject, references: list[Span], retrieved: list[Span]
) -> None:
    first, *rest = retrieved
    at = data.draw(st.integers(first.start, first.end))
    halves = [Span(first.document_id, first.start, at), Span(first.document_id, at, first.end), *rest]
    assert overlap(references, halves, CHARACTERS) == overlap(references, retrieved, CHARACTERS)


@given(REFERENCES, st.lists(SPANS, max_size=20))
def test_a_chunk_map_finds_the_chunks_that_overlap_or_touch(
    references: list[Span], chunks: list[Span]
) -> None:
    """Chunks overlap and nest here, so that ends do not ascend with starts."""
    found = ChunkMap(chunks).overlapping(references)
    assert set(found) == {chunk for chunk in chunks if any(chunk.overlaps(span) for span in references)}
    near = {
        chunk
        for chunk in chunks
        for span in references
        if chunk.document_id == span.document_id and chunk.start <= span.end and span.start <= chunk.end
    }
    assert set(ChunkMap(chunks).touching(references)) == near


def test_empty_chunks_are_never_found() -> None:
    assert ChunkMap([Span("a", 5, 5)]).overlapping([Span("a", 0, 9)]) == []
    assert ChunkMap([Span("a", 0, 9)]).overlapping([Span("a", 5, 5)]) == []


def test_a_hand_computed_precision_omega() -> None:
    """Chunks of ten; a reference over 5 + 10 characters and one past the last chunk: 15 of 20 + 4."""
    chunks = ChunkMap([Span("a", at, at + 10) for at in range(0, 50, 10)])
    assert precision_omega([Span("a", 15, 30), Span("a", 50, 54)], chunks, CHARACTERS) == 15 / 24


def test_precision_omega_counts_overlapping_chunks_once() -> None:
    chunks = ChunkMap([Span("a", 0, 20), Span("a", 10, 30), Span("a", 20, 40), Span("b", 0, 40)])
    assert precision_omega([Span("a", 12, 18)], chunks, CHARACTERS) == 6 / 30


@given(REFERENCES, st.lists(SPANS, max_size=20))
def test_precision_omega_is_that_of_every_chunk_against_every_reference(
    references: list[Span], chunks: list[Span]
) -> None:
    wanted = characters(references)
    got = characters([chunk for chunk in chunks if any(chunk.overlaps(span) for span in references)])
    omega = precision_omega(references, ChunkMap(chunks), CHARACTERS)
    assert omega == (len(wanted & got) / len(wanted | got))
    assert omega == (overlap(references, ChunkMap(chunks).overlapping(references), CHARACTERS).iou)


@given(REFERENCES, st.lists(SPANS, max_size=20))
def test_precision_omega_in_tokens_is_that_of_sets_of_tokens(
    references: list[Span], chunks: list[Span]
) -> None:
    wanted = set().union(*(tokens(span) for span in references))
    if not wanted:
        return
    got = [chunk for chunk in chunks if any(chunk.overlaps(span) for span in references)]
    found = set().union(*(tokens(span) for span in got))
    omega = precision_omega(references, ChunkMap(chunks), TokenUnits(words))
    assert omega == len(wanted & found) / len(wanted | found)
