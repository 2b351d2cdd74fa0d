"""What of a reply counts: the answer that was given, its quotes and its citations.

Nothing here reads `Citation.state`: a system does not mark its own work.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from ragwright.core.types import Citation, Span
from ragwright.eval.values import Outcome, Reply

_NUMBER_BEFORE = re.compile(r"\d[.,]?$")
_NUMBER_BEHIND = re.compile(r"[.,]?\d")


def asked(outcomes: Sequence[Outcome], *, answers: bool | None = None) -> list[Outcome]:
    """The outcomes of questions that an answer was asked for, in order.

    Args:
        outcomes: Of one run.
        answers: True: an answer was asked for to every question; False: to none. None: not known, so these
            are the ones with a reply and, in a run that has any reply, the failed ones.
    """
    if answers is not None:
        return list(outcomes) if answers else []
    answering = any(outcome.reply for outcome in outcomes)
    return [outcome for outcome in outcomes if outcome.reply or (answering and outcome.error)]


def given(outcome: Outcome) -> Reply | None:
    """The answer; None for a refusal, and for a question that failed whatever was reached before."""
    reply = outcome.reply
    return None if outcome.error or reply is None or reply.refused else reply


def refused(outcome: Outcome) -> bool:
    """Whether the system said that it does not answer; a failed question, or one without reply, did not."""
    return outcome.reply is not None and outcome.reply.refused and not outcome.error


def quote_fidelity(reply: Reply, text_of: Callable[[str], str | None]) -> float | None:
    """The share of an answer's quotes that stand verbatim in the cited document, anywhere in it.

    Character by character: neither case nor white space is made equal. A quote that stands only where it
    would cut a number (`5 Nm` of `35 Nm`) does not stand there, unless its span says exactly that place.

    Args:
        reply: An answer.
        text_of: Canonical text of a source, or None for an unknown one: none of its quotes stand.

    Returns:
        Standing quotes over citations with a quote; None where no citation has one.
    """
    quoted = [citation for citation in reply.citations if citation.quote.strip()]
    if not quoted:
        return None
    texts = {source: text_of(source) for source in dict.fromkeys(each.span.document_id for each in quoted)}
    return sum(_stands(each, texts[each.span.document_id]) for each in quoted) / len(quoted)


def citation_precision(reply: Reply, references: Sequence[Span]) -> float | None:
    """The share of an answer's citations that touch a reference.

    Returns:
        Citations whose span shares a character with a reference over all citations, one that is listed
        twice counting twice; None for an answer without citations.
    """
    spans = [citation.span for citation in reply.citations]
    return sum(_touches(span, references) for span in spans) / len(spans) if spans else None


def citation_recall(reply: Reply | None, references: Sequence[Span]) -> float:
    """The share of references that a citation of the answer touches.

    Args:
        reply: An answer; None for a refusal, whose nearest passages are no citations: 0.
        references: At least one.

    Returns:
        References that share a character with a citation's span over all references.
    """
    spans = [citation.span for citation in reply.citations] if reply else []
    return sum(_touches(reference, spans) for reference in references) / len(references)


def _touches(span: Span, others: Iterable[Span]) -> bool:
    return any(span.overlaps(other) for other in others)


def _stands(citation: Citation, text: str | None) -> bool:
    if text is None:
        return False
    quote, span = citation.quote, citation.span
    if span.start >= 0 and text[span.start : span.end] == quote:
        return True
    start = text.find(quote)
    while start >= 0 and _cuts_a_number(text, start, start + len(quote)):
        start = text.find(quote, start + 1)
    return start >= 0


def _cuts_a_number(text: str, start: int, end: int) -> bool:
    """Whether a number goes on beyond one of the ends."""
    before = text[start].isdigit() and _NUMBER_BEFORE.search(text[max(start - 2, 0) : start])
    behind = text[end - 1].isdigit() and _NUMBER_BEHIND.match(text[end : end + 2])
    return bool(before or behind)
