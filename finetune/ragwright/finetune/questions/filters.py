"""Filters of single questions, each a pure function: what it keeps, what it drops or changes, and why."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ragwright.core.types import Span
from ragwright.finetune.questions.asking import question_id
from ragwright.finetune.questions.english import base_of, is_said_often, word_list
from ragwright.finetune.questions.surface import words_of
from ragwright.finetune.questions.vocabulary import stems
from ragwright.finetune.values import Audited, LabelledQuestion

TextOf = Callable[[str], str | None]
"""The canonical text of a source; None where there is no such document."""


@dataclass(frozen=True, slots=True)
class Filtered:
    """What a filter makes of questions.

    Attributes:
        kept: In their order, changed ones in their place.
        audit: A row for each that was dropped or changed.
    """

    kept: tuple[LabelledQuestion, ...]
    audit: tuple[Audited, ...] = ()


def audited(question: LabelledQuestion, rule: str, reason: str, *, dropped: bool = True) -> Audited:
    """The row that says what became of a question."""
    row: Mapping[str, Any] = {
        "question": question.text,
        "origin": question.origin,
        "recipe": question.recipe,
        "task": question.task,
        "references": [
            {"source": span.document_id, "start": span.start, "end": span.end, "text": quote}
            for span, quote in zip(question.references, question.quotes, strict=True)
        ],
    }
    return Audited(question.id, rule, reason, dropped, row)


def verified(questions: Iterable[LabelledQuestion], text_of: TextOf) -> Filtered:
    """Questions whose references stand in the documents, character by character.

    A quote that stands elsewhere in its document, and once, is moved there: the document has changed since.
    """
    kept: list[LabelledQuestion] = []
    audit: list[Audited] = []
    for question in questions:
        placed = [_placed(*pair, text_of) for pair in zip(question.references, question.quotes, strict=True)]
        spans = tuple(span for span in placed if span is not None)
        if len(spans) < len(placed) or not spans:
            lost = next(
                (quote for span, quote in zip(placed, question.quotes, strict=True) if span is None), ""
            )
            reason = f"{_short(lost)} does not stand at its place in the document, nor once elsewhere in it"
            audit.append(audited(question, "not_in_source", reason))
        elif spans != question.references:
            moved = replace(question, id=question_id(question.text, spans), references=spans)
            audit.append(audited(question, "moved", "a quote stands at another place now", dropped=False))
            kept.append(moved)
        else:
            kept.append(question)
    return Filtered(tuple(kept), tuple(audit))


def _placed(span: Span, quote: str, text_of: TextOf) -> Span | None:
    text = text_of(span.document_id)
    if text is None or not quote.strip():
        return None
    if text[span.start : span.end] == quote and span.start < span.end:
        return span
    first = text.find(quote)
    if first < 0 or text.find(quote, first + 1) >= 0:
        return None
    return Span(span.document_id, first, first + len(quote))


_ACCORDING = re.compile(
    r",?\s*\b(?:according to|as (?:stated|described|mentioned|explained|defined) in|"
    r"(?:described |mentioned )?in) "
    r"(?:the|this) (?:text|passage|document|paragraph|excerpt|section|article|context|above|given text)\b,?",
    re.IGNORECASE,
)
_POINTING = re.compile(
    r"\b(?:the|this|that|these) (?:above|following|foregoing|aforementioned|latter|former|passage|excerpt|"
    r"paragraph|context|given text|provided text|previous section)\b|\bthe (?:text|author|speaker|writer)\b|"
    r"\b(?:here(?:in|of|by|under)?|aforementioned|above|below|following|foregoing)\b(?! \d)|"
    r"\b(?:figure|fig\.|table|equation|appendix) (?:s?\d|[A-Z]\b|[IVX]+\b)|\b(?:this|these|those)\b|"
    r"\bthe said\b|\b(?:any|no|some) such\b|\bsuch (?!as\b|an?\b)\w+",
    re.IGNORECASE,
)
_THAT = re.compile(r"\b([\w’']+) that ([\w’'-]+)", re.IGNORECASE)


def self_contained(questions: Iterable[LabelledQuestion]) -> Filtered:
    """Questions that are understood without the passage before one's eyes.

    "According to the text" is taken away. What points into the passage ("the above", "this section", "Table
    3"), or has a pronoun before anything that it can stand for, is dropped.
    """
    kept: list[LabelledQuestion] = []
    audit: list[Audited] = []
    for question in questions:
        text = _repaired(question.text)
        reason = why_dependent(text)
        if reason:
            audit.append(audited(question, "passage_dependent", reason))
            continue
        if text != question.text:
            reason = f'it reads "{text}" now, without the words that point to the passage'
            audit.append(audited(question, "reworded", reason, dropped=False))
            question = replace(question, id=question_id(text, question.references), text=text)
        kept.append(question)
    return Filtered(tuple(kept), tuple(audit))


def _repaired(text: str) -> str:
    line = _ACCORDING.sub(" ", text)
    if line == text:
        return text
    line = " ".join(line.replace(" ?", "?").replace(" ,", ",").split()).lstrip(", ")
    return line[:1].upper() + line[1:]


def why_dependent(text: str) -> str:
    """Why a question is not understood without its passage; "" where it is.

    >>> why_dependent("What does it mean?"), why_dependent("What does the pump do when it runs hot?")
    ('"it" stands for nothing that was named before', '')
    """
    if found := _POINTING.search(text):
        return f'"{found[0]}" points to the passage'
    for found in _THAT.finditer(text):
        before, after = found[1].lower(), found[2].lower()
        names = base_of(before, "base") is not None or before in word_list("prepositions")
        if names and before not in word_list("saying_words") and not _begins_clause(after):
            return f'"that {found[2]}" points to the passage'
    named = False
    for word in words_of(text):
        small = word.lower().partition("'")[0]
        if small in word_list("third_pronouns") and not named:
            return f'"{word}" stands for nothing that was named before'
        named = named or _names(small)
    return "" if named else "it names nothing that it is about"


def _names(word: str) -> bool:
    """Whether a small word can be what a question is about."""
    if word in word_list("question_words") or is_said_often(word):
        return False
    return base_of(word) not in word_list("empty_verbs")


def _begins_clause(word: str) -> bool:
    known = word_list("determiners") | word_list("modals") | word_list("pronouns")
    return word in known or word in ("i", "we", "you", "is", "are", "was", "were", "has", "have")


_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def consistent_answers(questions: Iterable[LabelledQuestion]) -> Filtered:
    """Questions of language models whose short answer rests on the quotes.

    Every number of the answer stands in a quote, and half of its words do. Questions of other origins, and
    those without an answer, are kept.
    """
    kept: list[LabelledQuestion] = []
    audit: list[Audited] = []
    for question in questions:
        reason = _unsupported(question) if question.origin == "model" and question.answer else ""
        if reason:
            audit.append(audited(question, "answer_unsupported", reason))
        else:
            kept.append(question)
    return Filtered(tuple(kept), tuple(audit))


def _unsupported(question: LabelledQuestion) -> str:
    told = " ".join(question.quotes)
    missing = set(_NUMBER.findall(question.answer)) - set(_NUMBER.findall(told))
    if missing:
        return f"the answer's {sorted(missing)[0]} stands in none of its quotes"
    said = stems(question.answer)
    if said and 2 * len(said & stems(told)) < len(said):
        return f"fewer than half of the words of the answer {_short(question.answer)} stand in its quotes"
    return ""


def applied(
    questions: Sequence[LabelledQuestion], filters: Iterable[Callable[[Sequence[LabelledQuestion]], Filtered]]
) -> Filtered:
    """What several filters leave, one after the other."""
    kept, audit = tuple(questions), list[Audited]()
    for each in filters:
        done = each(kept)
        kept = done.kept
        audit.extend(done.audit)
    return Filtered(kept, tuple(audit))


def _short(text: str, most: int = 60) -> str:
    line = " ".join(text.split())
    return f'"{line}"' if len(line) <= most else f'"{line[:most]}..."'
