"""Answers are exact quotes in reading order, or a refusal."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwright.core.answering import answered
from ragwright.core.types import (
    Answer,
    AnswerEvent,
    AnswerRequest,
    Chunk,
    Delta,
    Document,
    Evidence,
    Hit,
    Span,
)
from ragwright.generation.deltas import join
from ragwright.generation.extractive import ExtractiveGenerator
from ragwright.generation.refusal import REFUSAL

SENTENCES = [f"Sentence {number} of the manual." for number in range(9)]
TEXT = " ".join(SENTENCES)


class Documents(dict[str, Document]):
    """Canonical texts by id."""

    def document(self, document_id: str) -> Document | None:
        return self.get(document_id)


def _documents(**texts: str) -> Documents:
    return Documents({key: Document(key, f"{key}.md", key.upper(), text) for key, text in texts.items()})


def _evidence(document: str, number: int, score: float) -> Evidence:
    start = TEXT.index(SENTENCES[number])
    return Evidence(Span(document, start, start + len(SENTENCES[number])), SENTENCES[number], score)


def _hit(document: str, *evidence: tuple[int, float]) -> Hit:
    chunk = Chunk(document, Span(document, 0, len(TEXT)), TEXT, "", ("Manual", "Pumps"), 3, (), 99)
    spans = tuple(_evidence(document, number, score) for number, score in evidence)
    return Hit(chunk, f"{document}.md", document.upper(), 1.0, {}, spans)


def _answer(generator: ExtractiveGenerator, hits: list[Hit]) -> Answer:
    return answered(generator, AnswerRequest("?", tuple(hits)))


def _generator(documents: Documents, *, spans: int = 4, support: float = 0.3) -> ExtractiveGenerator:
    return ExtractiveGenerator(documents, spans=spans, support=support, nearest=2)


def test_quotes_come_as_they_read_with_the_best_document_first() -> None:
    hits = [_hit("a", (1, 0.5), (6, 0.7)), _hit("b", (2, 0.6), (8, 0.9))]
    answer = _answer(_generator(_documents(a=TEXT, b=TEXT)), hits)
    places = [(c.marker, c.span.document_id, c.quote) for c in answer.citations]
    assert places == [
        (1, "b", SENTENCES[2]),
        (2, "b", SENTENCES[8]),
        (3, "a", SENTENCES[1]),
        (4, "a", SENTENCES[6]),
    ]
    assert answer.text == "\n\n".join(f"{quote} [{marker}]" for marker, _, quote in places)
    assert (answer.refused, answer.support, answer.hits) == (False, 0.9, tuple(hits))


def _events(generator: ExtractiveGenerator, hits: list[Hit]) -> list[AnswerEvent]:
    async def collected() -> list[AnswerEvent]:
        return [event async for event in generator.stream(AnswerRequest("?", tuple(hits)))]

    return asyncio.run(collected())


def test_each_quote_is_a_piece_with_its_citation_and_its_mark() -> None:
    hits = [_hit("a", (1, 0.5), (6, 0.7)), _hit("b", (8, 0.9))]
    *pieces, answer = _events(_generator(_documents(a=TEXT, b=TEXT)), hits)
    deltas = [piece for piece in pieces if isinstance(piece, Delta)]
    assert isinstance(answer, Answer)
    assert len(deltas) == len(pieces) == 3
    assert [delta.citations for delta in deltas] == [(citation,) for citation in answer.citations]
    whole = join(deltas)
    assert (whole.text, whole.citations, whole.marks) == (answer.text, answer.citations, answer.marks)
    assert [answer.text[mark.start : mark.end] for mark in answer.marks] == ["[1]", "[2]", "[3]"]


def test_a_refusal_is_one_piece() -> None:
    generator = _generator(_documents(a=TEXT))
    delta, answer = _events(generator, [_hit("a", (1, 0.1))])
    assert delta == Delta(REFUSAL)
    assert isinstance(answer, Answer)
    assert (answer.text, len(answer.citations), answer.marks) == (REFUSAL, 1, ())
    assert generator.name == "extractive"


def test_a_citation_says_where_its_quote_stands() -> None:
    (citation,) = _answer(_generator(_documents(a=TEXT)), [_hit("a", (4, 0.8))]).citations
    assert TEXT[citation.span.start : citation.span.end] == citation.quote == SENTENCES[4]
    assert (citation.source, citation.title, citation.headings) == ("a.md", "A", ("Manual", "Pumps"))
    assert (citation.page, citation.state) == (3, "exact")


def test_only_the_best_quotes_are_shown() -> None:
    hits = [_hit("a", *((number, 0.5 + number / 100) for number in range(9)))]
    answer = _answer(_generator(_documents(a=TEXT), spans=3), hits)
    assert [citation.quote for citation in answer.citations] == SENTENCES[6:]


@pytest.mark.parametrize(("score", "refused"), [(0.299, True), (0.3, False), (0.0, True)])
def test_evidence_below_the_wanted_support_is_refused_with_the_nearest_passages(
    score: float, refused: bool
) -> None:
    hits = [_hit("a", (1, score), (2, score / 2), (3, score / 3))]
    answer = _answer(_generator(_documents(a=TEXT)), hits)
    assert answer.refused is refused
    assert (answer.text == REFUSAL) is refused
    assert answer.support == score
    assert len(answer.citations) == (2 if refused else 3)
    assert [c.marker for c in answer.citations] == list(range(1, len(answer.citations) + 1))


@pytest.mark.parametrize("hits", [[], [_hit("a")]])
def test_without_evidence_the_answer_is_a_refusal(hits: list[Hit]) -> None:
    answer = _answer(_generator(_documents(a=TEXT), support=0.0), hits)
    assert (answer.refused, answer.text, answer.citations, answer.support) == (True, REFUSAL, (), 0.0)


@pytest.mark.parametrize(
    "changed",
    [
        TEXT.replace("Sentence 4", "Sentence 5"),
        "x" + TEXT,
        TEXT[:60],
        TEXT.upper(),
        TEXT.replace(" ", "\u00a0"),
        "",
        None,
    ],
)
def test_what_no_longer_stands_in_the_document_is_never_quoted(changed: str | None) -> None:
    documents = _documents(b=TEXT) if changed is None else _documents(a=changed, b=TEXT)
    alone = _answer(_generator(documents), [_hit("a", (4, 0.9))])
    assert (alone.refused, alone.text, alone.citations) == (True, REFUSAL, ())
    answer = _answer(_generator(documents), [_hit("a", (4, 0.9)), _hit("b", (2, 0.5))])
    assert [citation.quote for citation in answer.citations] == [SENTENCES[2]]
    assert not answer.refused
    assert answer.support == 0.5, "what is not shown supports nothing"


def test_a_weak_rest_is_refused_when_the_strong_quote_no_longer_stands() -> None:
    documents = _documents(a="changed", b=TEXT)
    answer = _answer(_generator(documents), [_hit("a", (4, 0.9)), _hit("b", (2, 0.1))])
    assert answer.refused
    assert [citation.quote for citation in answer.citations] == [SENTENCES[2]]


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 8), st.floats(0.0, 1.0)), max_size=12),
    st.integers(1, 5),
    st.floats(0.0, 1.0),
)
def test_every_quote_shown_is_exact_and_markers_count_from_one(
    found: list[tuple[str, int, float]], spans: int, support: float
) -> None:
    documents = _documents(a=TEXT, b=TEXT.replace("Sentence 3", "Section 3"))
    hits = [_hit(document, (number, score)) for document, number, score in found]
    answer = _answer(_generator(documents, spans=spans, support=support), hits)
    assert len(answer.citations) <= (2 if answer.refused else spans)
    assert [c.marker for c in answer.citations] == list(range(1, len(answer.citations) + 1))
    for citation in answer.citations:
        assert documents[citation.span.document_id].text[citation.span.start : citation.span.end] == (
            citation.quote
        )
    assert answer.refused or (answer.support >= support and answer.citations)
