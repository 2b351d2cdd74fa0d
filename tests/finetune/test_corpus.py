"""Chunks by place, evidence inside of them, and texts compared by their words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.finetune.cut import corpus, cut

from ragwright.core.types import Span
from ragwright.finetune.corpus import evidence_in, overlap_of_words, passage_of, words

TEXT = "The tide gate opens at six. Its key hangs beside the door.\n\nThe crane lifts forty tons."
spans = st.tuples(st.integers(0, len(TEXT)), st.integers(0, len(TEXT))).map(
    lambda pair: Span("a.md", min(pair), max(pair))
)


@given(st.lists(spans, max_size=5), st.integers(3, 40))
def test_exactly_the_chunks_that_hold_a_visible_character_of_a_reference_answer(
    references: list[Span], size: int
) -> None:
    chunks = cut("a.md", TEXT, size=size)
    found = {chunk.id for chunk in corpus(("a.md", chunks)).answering(references)}
    for chunk in chunks:
        shared = "".join(
            TEXT[max(span.start, chunk.span.start) : min(span.end, chunk.span.end)]
            for span in references
            if span.start < chunk.span.end and chunk.span.start < span.end
        )
        assert (chunk.id in found) == bool(shared.strip())


@given(st.lists(spans, max_size=5), st.integers(3, 40), st.sampled_from(["", "Harbour > Gate\n"]))
def test_evidence_reads_what_the_references_say_and_nothing_else(
    references: list[Span], size: int, context: str
) -> None:
    wanted = {place for span in references for place in range(span.start, span.end)}
    for chunk in cut("a.md", TEXT, size=size, context=context):
        passage = passage_of(chunk, "a.md", references)
        assert passage.text == context + chunk.text
        shift, last, covered = chunk.span.start - len(context), -1, set[int]()
        for start, end in passage.evidence:
            assert last < start < end <= len(passage.text), "ascending, not touching, inside"
            assert passage.text[start:end] == TEXT[start + shift : end + shift]
            assert passage.text[start:end].strip() == passage.text[start:end]
            covered |= set(range(start + shift, end + shift))
            last = end
        inside = wanted & set(range(chunk.span.start, chunk.span.end))
        assert covered <= inside, "nothing that no reference names"
        assert all(TEXT[place].isspace() for place in inside - covered), "nothing visible is lost"


def test_a_reference_into_another_document_is_no_evidence() -> None:
    [chunk] = cut("a.md", TEXT, size=len(TEXT))
    assert evidence_in(chunk, [Span("b.md", 0, 10)], source="a.md") == ()


def test_chunks_that_overlap_are_all_found() -> None:
    whole, parts = cut("a.md", TEXT, size=200), cut("b.md", TEXT, size=20)
    both = corpus(("a.md", [*whole, *parts]))
    assert {each.id for each in both.answering([Span("a.md", 30, 32)])} == {whole[0].id, parts[1].id}
    assert [both.place(each.id) for each in whole] == [("a.md", 1)], (
        "behind the shorter one that starts with it"
    )
    assert both.place("unknown") is None


@pytest.mark.parametrize(
    ("phrase", "text", "held"),
    [("tide GATE", "the tide-gate", True), ("tide", "tides", False), ("forty tons", "forty\n tons!", True)],
)
def test_a_phrase_is_found_by_whole_words_whatever_the_signs_and_the_case(
    phrase: str, text: str, held: bool
) -> None:
    assert (words(phrase) in words(text)) is held


def test_texts_are_alike_by_the_share_of_their_runs_of_words() -> None:
    one = "one two three four five six seven eight"
    assert overlap_of_words(one, one.upper() + ".") == 1.0
    assert overlap_of_words(one, "zero " + one + " nine") == 1.0, "the shorter stands in the longer"
    assert overlap_of_words(one, "one two three four five 6 7 8") == 0.25
    assert overlap_of_words("short text", "a short text in a longer one") == 0.0
    assert overlap_of_words("", one) == 0.0


def test_the_share_of_chunks_that_hold_a_phrase_is_told() -> None:
    chunks = corpus(("a.md", cut("a.md", "red. blue. red. ", size=5)), ("b.md", cut("b.md", "red.", size=5)))
    assert chunks.share_holding(words("red")) == 0.75 or chunks.share_holding(words("red")) == 0.6
