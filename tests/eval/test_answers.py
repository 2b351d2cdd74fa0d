"""Answers are measured by their words, quotes, citations and refusals, with stated denominators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwright.core.types import Citation, CitationState, Question, Span
from ragwright.eval.answers import answer_rows
from ragwright.eval.measures import MEASURES
from ragwright.eval.values import Outcome, Reply

TEXT = "Fit the seal. Torque: 35 Nm. Check twice. Torque: 35 Nm."
TEXTS = {"pump.md": TEXT}
SEAL, TORQUE, CHECK = Span("pump.md", 0, 13), Span("pump.md", 14, 28), Span("pump.md", 29, 41)


def _cite(span: Span, quote: str | None = None, state: CitationState = "exact") -> Citation:
    shown = TEXT[span.start : span.end] if quote is None else quote
    return Citation(1, span, shown, state, span.document_id, "Pump")


def _reply(text: str = "", *citations: Citation, refused: bool = False) -> Reply:
    return Reply(text, citations, refused=refused, support=0.5)


def _question(*references: Span, answer: str = "", **metadata: Any) -> Question:
    return Question("q", "How tight?", references, answer, metadata)


def _values(question: Question, reply: Reply | None, error: str = "") -> dict[str, float]:
    rows = answer_rows([Outcome(question, reply=reply, error=error)], text_of=TEXTS.get)
    assert all(row.question_id == "q" for row in rows)
    return {row.measure: row.value for row in rows}


def test_an_answer_that_quotes_and_cites_the_reference_is_right_in_every_way() -> None:
    reply = _reply("##begin_quote##Torque: 35 Nm.##end_quote## [1]", _cite(TORQUE))
    assert _values(_question(TORQUE, answer="torque 35 nm"), reply) == {
        "exact_match": 1.0,
        "token_f1": 1.0,
        "rouge_l": 1.0,
        "quote_fidelity": 1.0,
        "citation_precision": 1.0,
        "citation_recall": 1.0,
        "refused_answerable": 0.0,
    }


def test_citations_and_references_have_denominators_of_their_own() -> None:
    reply = _reply("x", _cite(TORQUE), _cite(Span("pump.md", 20, 24)), _cite(CHECK))
    values = _values(_question(TORQUE, SEAL), reply)
    assert values["citation_precision"] == pytest.approx(2 / 3)
    assert values["citation_recall"] == pytest.approx(1 / 2)


def test_a_citation_that_ends_where_the_reference_begins_or_is_of_another_document_does_not_touch() -> None:
    reply = _reply("x", _cite(Span("pump.md", 0, 14)), _cite(Span("other.md", 14, 28), "x"))
    values = _values(_question(TORQUE), reply)
    assert (values["citation_precision"], values["citation_recall"]) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("quote", "stands"),
    [
        ("Torque: 35 Nm.", True),
        ("torque: 35 Nm.", False),  # verbatim means the case, too
        ("Torque:  35 Nm.", False),
        ("Torque: 53 Nm.", False),
        ("5 Nm", False),  # cuts a number
        ("Torque: 3", False),
        ("Check twice", True),  # elsewhere in the document
    ],
)
def test_a_quote_is_faithful_where_it_stands_verbatim_in_the_document(quote: str, stands: bool) -> None:
    values = _values(_question(TORQUE), _reply("x", _cite(TORQUE, quote)))
    assert values["quote_fidelity"] == float(stands)


def test_a_quote_may_cut_a_number_only_where_its_span_says_so_and_stands_where_another_place_is_whole() -> (
    None
):
    def faithful(text: str, span: Span) -> float:
        reply = _reply("x", Citation(1, span, "5 mm", "exact", "a", "A"))
        row = answer_rows([Outcome(_question(), reply=reply)], text_of={"a": text}.get)[0]
        return row.value

    elsewhere = Span("a", 50, 54)
    assert faithful("2.5 mm", elsewhere) == faithful("15 mm", elsewhere) == 0.0
    assert faithful("2.5 mm or 5 mm", elsewhere) == faithful("2.5 mm", Span("a", 2, 6)) == 1.0


def test_the_state_that_the_system_gives_its_own_quotes_is_not_believed() -> None:
    for state in ("exact", "missing"):
        forged, true = _cite(TORQUE, "Torque: 99 Nm.", state), _cite(TORQUE, None, state)
        assert _values(_question(TORQUE), _reply("x", forged, true))["quote_fidelity"] == 0.5


def test_quotes_of_an_unknown_document_are_not_faithful_and_blank_ones_are_no_quotes() -> None:
    unknown, blank = _cite(Span("lost.md", 0, 3), "Fit"), _cite(TORQUE, " ")
    assert _values(_question(TORQUE), _reply("x", unknown, blank))["quote_fidelity"] == 0.0
    assert "quote_fidelity" not in _values(_question(TORQUE), _reply("x", blank))


def test_an_answer_without_citations_has_recall_0_and_no_precision() -> None:
    values = _values(_question(TORQUE), _reply("35 Nm"))
    assert values == {"citation_recall": 0.0, "refused_answerable": 0.0}


def test_a_refusal_of_an_answerable_question_scores_0_even_if_its_nearest_passages_are_right() -> None:
    reply = _reply("Torque: 35 Nm.", _cite(TORQUE), refused=True)
    assert _values(_question(TORQUE, answer="Torque: 35 Nm."), reply) == {
        "exact_match": 0.0,
        "token_f1": 0.0,
        "rouge_l": 0.0,
        "citation_recall": 0.0,
        "refused_answerable": 1.0,
    }


def test_an_unanswerable_question_asks_only_whether_it_was_refused() -> None:
    assert _values(_question(), _reply("No.", refused=True)) == {"answered_unanswerable": 0.0}
    answered = _values(_question(), _reply("x", _cite(TORQUE)))
    assert answered == {"quote_fidelity": 1.0, "answered_unanswerable": 1.0}


def test_a_refusal_is_compared_with_what_an_unanswerable_question_states_as_its_answer() -> None:
    values = _values(_question(answer="Not stated."), _reply("Not stated", refused=True))
    assert values["exact_match"] == 1.0


def test_the_best_of_several_reference_answers_counts_for_each_measure() -> None:
    question = _question(TORQUE, answer="hand tight", answers=["35 Nm", "", 35, "thirty five Nm"])
    values = _values(question, _reply("35 Nm [1]"))
    assert (values["exact_match"], values["token_f1"], values["rouge_l"]) == (1.0, 1.0, 1.0)
    assert _values(_question(TORQUE, answers=["35 Nm"]), _reply("35 Nm"))["exact_match"] == 1.0
    assert "exact_match" not in _values(_question(TORQUE, answers="35 Nm"), _reply("35 Nm"))


def test_a_failed_question_takes_the_worst_value_of_every_measure_that_applies() -> None:
    well = Outcome(Question("w", "?", (TORQUE,)), reply=_reply("x", _cite(TORQUE)))
    failed = [
        Outcome(Question("a", "?", (TORQUE,), "35 Nm"), error="timeout"),
        Outcome(Question("u", "?"), reply=_reply(refused=True), error="timeout"),
    ]
    rows = [row for row in answer_rows([well, *failed], text_of=TEXTS.get) if row.question_id != "w"]
    assert {(row.question_id, row.measure) for row in rows} == {
        *(("a", name) for name in ("exact_match", "token_f1", "rouge_l")),
        ("a", "citation_recall"),
        ("a", "refused_answerable"),
        ("u", "answered_unanswerable"),
    }
    assert all(row.value == (1.0 if MEASURES[row.measure].better == "lower" else 0.0) for row in rows)


def test_questions_that_no_answer_was_asked_for_have_no_rows() -> None:
    outcomes = [Outcome(_question(TORQUE, answer="35 Nm")), Outcome(_question(TORQUE), error="timeout")]
    assert answer_rows(outcomes, text_of=TEXTS.get) == []


def test_where_every_question_failed_it_is_told_whether_answers_were_asked_for() -> None:
    failed = [
        Outcome(Question("a", "?", (TORQUE,), "35 Nm"), error="timeout"),
        Outcome(Question("u", "?"), error="timeout"),
        Outcome(Question("n", "?")),  # no reply, though nothing failed
    ]
    rows = answer_rows(failed, text_of=TEXTS.get, answers=True)
    assert {(row.question_id, row.measure): row.value for row in rows} == {
        ("a", "exact_match"): 0.0,
        ("a", "token_f1"): 0.0,
        ("a", "rouge_l"): 0.0,
        ("a", "citation_recall"): 0.0,
        ("a", "refused_answerable"): 1.0,
        ("u", "answered_unanswerable"): 1.0,
        ("n", "answered_unanswerable"): 1.0,
    }
    assert answer_rows(failed, text_of=TEXTS.get) == []


def test_a_run_that_was_not_to_answer_has_no_rows_whatever_it_said() -> None:
    outcomes = [Outcome(_question(TORQUE), reply=_reply("x", _cite(TORQUE)))]
    assert answer_rows(outcomes, text_of=TEXTS.get, answers=False) == []
    assert answer_rows(outcomes, text_of=TEXTS.get, answers=True) == answer_rows(outcomes, text_of=TEXTS.get)


SPANS = st.tuples(st.sampled_from(["pump.md", "b.md"]), st.integers(0, 50), st.integers(1, 9)).map(
    lambda drawn: Span(drawn[0], drawn[1], drawn[1] + drawn[2])
)


@given(st.lists(SPANS, max_size=4), st.lists(SPANS, max_size=4), st.booleans(), st.text(max_size=9))
def test_every_value_lies_between_0_and_1_and_every_measure_is_known(
    references: Sequence[Span], cited: Sequence[Span], refused: bool, text: str
) -> None:
    reply = _reply(text, *(_cite(span) for span in cited), refused=refused)
    for measure, value in _values(_question(*references, answer="Nm"), reply).items():
        assert 0.0 <= value <= 1.0
        assert measure in MEASURES


@given(st.lists(SPANS, min_size=1, max_size=4))
def test_citing_every_reference_is_full_precision_and_recall(references: Sequence[Span]) -> None:
    values = _values(_question(*references), _reply("x", *(_cite(span) for span in references)))
    assert (values["citation_precision"], values["citation_recall"]) == (1.0, 1.0)
