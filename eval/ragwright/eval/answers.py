"""Answers measured without a language model: their words, their quotes, their citations, and refusal.

    measure                one row for each question ...                value
    exact_match            with a reference answer                      0 or 1, best of the reference answers
    token_f1               with a reference answer                      best of the reference answers
    rouge_l                with a reference answer                      best of the reference answers
    quote_fidelity         answered with at least one quote             quotes that stand / quotes
    citation_precision     answerable, answered with citations          citations that touch / citations
    citation_recall        answerable                                   references touched / references
    answered_unanswerable  unanswerable                                 1 answered, 0 refused
    refused_answerable     answerable                                   1 refused, 0 answered

A question is answerable when it has references. A refusal's nearest passages are no citations of an answer:
it has citation recall 0 and no row of citation precision or quote fidelity, and so has a failed question.
Precision and fidelity thus speak of what was said, recall and refusal of every question; read them together.

Citations are judged by their spans, not by entailment, which citation precision and recall mean in Gao et
al. 2023, "Enabling Large Language Models to Generate Text with Citations" (ALCE). Both sides of refusal are
the two errors of Rajpurkar, Jia and Liang 2018, "Know What You Don't Know: Unanswerable Questions for SQuAD".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ragwright.core.types import Question
from ragwright.eval.replies import asked, citation_precision, citation_recall, given, quote_fidelity, refused
from ragwright.eval.risk import RiskPoint, risk_coverage
from ragwright.eval.text_match import exact_match, rouge_l, token_f1, without_markers
from ragwright.eval.values import Outcome, Row

__all__ = ["RiskPoint", "answer_rows", "risk_coverage"]

_TEXT_MEASURES = (("exact_match", exact_match), ("token_f1", token_f1), ("rouge_l", rouge_l))


def answer_rows(
    outcomes: Sequence[Outcome], *, text_of: Callable[[str], str | None], answers: bool | None = None
) -> list[Row]:
    """Rows of every answer measure that applies, by question in the order given.

    Args:
        outcomes: Those that failed in a run that answers take the worst value of every measure that applies,
            1 for the two where lower is better.
        text_of: Canonical text of a source; None for an unknown one.
        answers: True: every question was to be answered, and one without a reply failed. False: none was, and
            there are no rows. None: not known; a run answers if it has any reply, and outcomes with neither
            reply nor error are left out.

    Returns:
        Values between 0 and 1; see the module for which question has which row.
    """
    return [
        Row(outcome.question.id, measure, value)
        for outcome in asked(outcomes, answers=answers)
        for measure, value in _values(outcome, text_of)
    ]


def _values(outcome: Outcome, text_of: Callable[[str], str | None]) -> Iterator[tuple[str, float]]:
    yield from _text_values(outcome)
    answer, references = given(outcome), outcome.question.references
    fidelity = quote_fidelity(answer, text_of) if answer else None
    if fidelity is not None:
        yield "quote_fidelity", fidelity
    if not references:
        yield "answered_unanswerable", float(not refused(outcome))
        return
    precision = citation_precision(answer, references) if answer else None
    if precision is not None:
        yield "citation_precision", precision
    yield "citation_recall", citation_recall(answer, references)
    yield "refused_answerable", float(answer is None)


def _text_values(outcome: Outcome) -> Iterator[tuple[str, float]]:
    """Likeness to the reference answers.

    A refusal scores 0 on an answerable question. Where an unanswerable one states a reference answer ("the
    manual does not say"), a refusal's text is compared as any other.
    """
    references = _reference_answers(outcome.question)
    text = _compared_text(outcome)
    for measure, likeness in _TEXT_MEASURES:
        if references:
            best = 0.0 if text is None else max(likeness(text, reference) for reference in references)
            yield measure, best


def _compared_text(outcome: Outcome) -> str | None:
    """What is held to the reference answers; None scores 0."""
    reply = outcome.reply
    if reply is None or outcome.error or (reply.refused and outcome.question.references):
        return None
    return without_markers(reply.text)


def _reference_answers(question: Question) -> list[str]:
    """The question's answer and those of `metadata["answers"]`, blank ones left out, each once."""
    others = question.metadata.get("answers")
    stated = [question.answer, *(others if isinstance(others, list | tuple) else ())]
    texts = (without_markers(each) for each in stated if isinstance(each, str) and each.strip())
    return list(dict.fromkeys(texts))
