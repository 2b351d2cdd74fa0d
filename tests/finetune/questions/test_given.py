"""Questions of people: reviewed feedback becomes references, and nothing else does."""

from __future__ import annotations

from typing import Any

from tests.finetune.questions.material import FERRY, question, subjects

from ragwright.finetune.questions.asking import Request
from ragwright.finetune.questions.given import NOT_ANSWERING, GivenQuestions, of_feedback

DOGS = "Dogs travel free of charge on the upper\ndeck."
SOURCES = {"d1": "ferry.txt"}


def citation(marker: int, quote: str = DOGS, document: str = "d1", state: str = "exact") -> dict[str, Any]:
    start = FERRY.index(quote)
    span = {"document_id": document, "start": start, "end": start + len(quote)}
    return {"marker": marker, "span": span, "quote": quote, "state": state}


def feedback(*ratings: tuple[int | None, int], **more: Any) -> dict[str, Any]:
    row = {
        "trace_id": "t1",
        "question": "Do dogs pay?",
        "query": "Do dogs pay on the ferry?",
        "history": [],
        "answer": "No [1].",
        "refused": False,
        "citations": [citation(1), citation(2, "The ferry leaves the quay at seven")],
        "ratings": [{"marker": marker, "rating": rating} for marker, rating in ratings],
        "reviewed": True,
    }
    return row | more


def test_a_citation_that_was_rated_up_is_a_reference() -> None:
    questions, audit = of_feedback([feedback((1, 1), (2, -1))], SOURCES)
    assert not audit and questions[0].quotes == (DOGS,)
    span = questions[0].references[0]
    assert FERRY[span.start : span.end] == DOGS and span.document_id == "ferry.txt"
    assert questions[0].metadata[NOT_ANSWERING][0]["start"] == 0
    assert (questions[0].text, questions[0].origin) == ("Do dogs pay?", "feedback")


def test_an_answer_that_was_rated_up_gives_all_its_citations_but_those_rated_down() -> None:
    questions, _ = of_feedback([feedback((None, 1)), feedback((None, 1), (2, -1))], SOURCES)
    assert [len(each.references) for each in questions] == [2, 1]


def test_a_follow_up_question_is_taken_as_it_was_searched_for() -> None:
    questions, _ = of_feedback([feedback((1, 1), history=[{"role": "user", "text": "Ferry?"}])], SOURCES)
    assert questions[0].text == "Do dogs pay on the ferry?"


def test_what_nobody_reviewed_refused_or_rated_down_is_not_used() -> None:
    rows = [
        feedback((1, 1), reviewed=False),
        feedback((None, 1), refused=True),
        feedback((None, -1)),
        feedback((1, 1), citations=[citation(1, document="gone")]),
        feedback((1, 1), citations=[citation(1, state="missing")]),
        feedback((1, 1), (1, -1)),
    ]
    questions, audit = of_feedback(rows, SOURCES)
    assert not questions and len(audit) == len(rows) and all(row.dropped for row in audit)


def test_every_given_question_is_asked_once_and_those_without_a_chunk_are_told() -> None:
    placed = question("Do dogs pay?", ("ferry.txt", DOGS))
    nowhere = question("Why?", ("ferry.txt", DOGS))
    source = GivenQuestions([placed], origin="user")
    requests = [Request(each, chunk, wanted=9) for each in subjects() for chunk in each.chunks]
    assert [each.text for reply in source.ask(requests) for each in reply.questions] == ["Do dogs pay?"]
    assert not any(reply.questions for reply in source.ask(requests)) and not source.unplaced()
    left = GivenQuestions([nowhere], origin="user")
    assert [row.rule for row in left.unplaced()] == ["no_chunk"]
