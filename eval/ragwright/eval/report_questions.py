"""The questions as data for the page's script, small enough for hundreds of them.

Every chunk stands once, however often it was found, and its text is packed. Where the texts together take too
much room even so, each keeps what is gold or evidence for some question, with less and less around it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from ragwright.core.types import Citation, Span
from ragwright.eval.report_facts import Facts
from ragwright.eval.report_html import Markup, clean
from ragwright.eval.report_record import total_seconds
from ragwright.eval.report_texts import covered, fitting
from ragwright.eval.values import Found, Outcome, Reply

_PAGE_BYTES = 1_990_000  # a little under 2 MB
_GOLD_SHOWN = 700
_GOLD_FOUND = 240
_GOLD_TEXTS = 8  # references of one question whose text is shown: whole documents can be many
_PLACES_SHOWN = 4
_SLOW_PERCENT = 95


def payload(facts: Facts, *, rest: int = 0) -> dict[str, Any]:
    """Everything the page's script shows of the questions.

    Args:
        facts: Of the run.
        rest: Bytes of everything else on the page.

    Returns:
        `measures` (names), `leading` (indices of the measures shown first), `compared` (whether there is a
        baseline), `sources`, `score_names`, `chunks` as [source, start, end, title, headings, page], `texts`
        (of the chunks, packed by `pack`), and `questions` as mappings of `id, text, answer, metadata, flags,
        gold, hits, reply, seconds, error, values, before`, of which what is empty is left out. Sources and
        chunks are named by index.
    """
    writer = _Writer(facts)
    questions = [writer.question(each) for each in facts.outcomes]
    data = {
        "measures": [clean(each) for each in writer.measures],
        "leading": [writer.measures.index(each) for each in facts.leading],
        "compared": facts.baseline is not None,
        "chunks": writer.chunk_rows(),
        "sources": [clean(each) for each in writer.sources],
        "score_names": [clean(each) for each in writer.score_names],
        "questions": questions,
    }
    room = _PAGE_BYTES - rest - len(script_json(data).encode())
    return {**data, "texts": fitting(writer.marked_chunks(), room)}


def script_json(data: Mapping[str, Any]) -> Markup:
    r"""Data as JSON that cannot end the script element it stands in.

    >>> print(script_json({"text": "</script><!--"}))
    {"text":"\u003c/script\u003e\u003c!--"}
    """
    written = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        written = written.replace(character, f"\\u{ord(character):04x}")
    return Markup(written)


def flags(outcome: Outcome, facts: Facts, *, slow_from: float) -> list[str]:
    """Which filters show a question.

    Args:
        outcome: Of the question.
        facts: Of the run.
        slow_from: Seconds from which a question is slow.

    Returns:
        Some of `failed` (no result, zero on the deciding measure, or the wrong choice between answer and
        refusal), `changed` (another value of that measure than in the baseline), `empty` (nothing was found),
        `slow`, `error`, `unanswerable` and `refused`.
    """
    key, main = outcome.question.id, facts.main
    value = facts.values[main].get(key) if main else None
    before = facts.baseline_values.get(main, {}).get(key) if main else None
    wrong = any(facts.values.get(name, {}).get(key) == 1.0 for name in _WRONG)
    states = {
        "failed": bool(outcome.error) or value == 0.0 or wrong,
        "changed": value is not None and before is not None and abs(value - before) > 1e-9,
        "empty": not outcome.found,
        "slow": bool(outcome.seconds) and total_seconds(outcome) > slow_from,
        "error": bool(outcome.error),
        "unanswerable": not outcome.question.references,
        "refused": bool(outcome.reply and outcome.reply.refused),
    }
    return [name for name, holds in states.items() if holds]


_WRONG = ("answered_unanswerable", "refused_answerable")


class _Writer:
    """Numbers sources, chunks and scores as they first appear."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.measures = list(facts.values)
        self.sources: dict[str, int] = {}
        self.score_names: dict[str, int] = {}
        self.chunks: dict[str, tuple[int, Found]] = {}
        self.marks: dict[str, set[tuple[int, int]]] = {}
        baseline = facts.baseline.outcomes if facts.baseline else ()
        self.before = {each.question.id: each for each in baseline}
        times = [total_seconds(each) for each in facts.outcomes if each.seconds]
        self.slow_from = float(np.percentile(times, _SLOW_PERCENT)) if times else 0.0

    def question(self, outcome: Outcome) -> dict[str, Any]:
        """One question, with what it needs and no more."""
        question, key = outcome.question, outcome.question.id
        fields: dict[str, Any] = {
            "id": clean(key),
            "text": clean(question.text),
            "answer": clean(question.answer),
            "metadata": {clean(str(name)): clean(str(value)) for name, value in question.metadata.items()},
            "flags": flags(outcome, self.facts, slow_from=self.slow_from),
            "gold": [self._gold(outcome, index) for index in range(len(question.references))],
            "hits": [self._hit(found, outcome) for found in outcome.found],
            "reply": self._reply(outcome.reply) if outcome.reply else None,
            "seconds": {clean(name): round(value, 6) for name, value in outcome.seconds.items()},
            "error": clean(outcome.error),
            "values": self._values(self.facts.values, key),
            "before": self._values(self.facts.baseline_values, key) if key in self.before else None,
        }
        return {name: value for name, value in fields.items() if value not in ("", None, [], {})}

    def chunk_rows(self) -> list[list[Any]]:
        """Every chunk that was found, in the order in which it was, without its text."""
        return [
            [*self._place(each.span), clean(each.title), [clean(name) for name in each.headings], each.page]
            for _, each in self.chunks.values()
        ]

    def marked_chunks(self) -> list[tuple[Found, list[tuple[int, int]]]]:
        """The same chunks, each with the ranges that are gold or evidence for some question."""
        return [(each, sorted(self.marks[each.chunk_id])) for _, each in self.chunks.values()]

    def _hit(self, found: Found, outcome: Outcome) -> list[Any]:
        """[chunk, score, parts of the score, evidence, rank in the baseline's run, other places]."""
        number, _ = self.chunks.setdefault(found.chunk_id, (len(self.chunks), found))
        marks = self.marks.setdefault(found.chunk_id, set())
        marks |= {(each.span.start, each.span.end) for each in found.evidence}
        marks |= {
            _shared(each, found.span) for each in outcome.question.references if each.overlaps(found.span)
        }
        for name in found.scores:
            self.score_names.setdefault(name, len(self.score_names))
        parts: list[float | None] = [
            _short(found.scores[name]) if name in found.scores else None for name in self.score_names
        ]
        evidence = [[each.span.start, each.span.end, _short(each.score)] for each in found.evidence]
        places = [self._place(each.span) for each in found.places[:_PLACES_SHOWN]]
        old = self.before.get(outcome.question.id)
        return [number, _short(found.score), parts, evidence, _old_rank(found, old), places]

    def _gold(self, outcome: Outcome, index: int) -> list[Any]:
        """[source, start, end, share in evidence, share in chunks, text around, rank beyond the hits]."""
        reference = outcome.question.references[index]
        evidence = covered(reference, (each.span for found in outcome.found for each in found.evidence))
        chunks = covered(reference, (found.span for found in outcome.found))
        text = _excerpt(outcome, index, whole=chunks < 1.0)
        rank = None if chunks > 0.0 else _rank_of(reference, outcome)
        return [*self._place(reference), round(evidence, 4), round(chunks, 4), text, rank]

    def _reply(self, reply: Reply) -> dict[str, Any]:
        citations = [self._citation(each, reply.text) for each in reply.citations]
        return {
            "text": clean(reply.text),
            "citations": citations,
            "refused": reply.refused,
            "support": _short(reply.support),
            "tokens": [reply.usage.prompt_tokens, reply.usage.completion_tokens],
        }

    def _citation(self, citation: Citation, answer: str) -> list[Any]:
        """[marker, source, start, end, quote unless the answer holds it, state, title, page]."""
        quote = "" if citation.quote in answer else _cut(citation.quote, most=_GOLD_FOUND)
        place = self._place(citation.span)
        return [citation.marker, *place, quote, citation.state, clean(citation.title), citation.page]

    def _values(self, values: Mapping[str, Mapping[str, float]], key: str) -> list[float | None]:
        return [_finite(values.get(measure, {}).get(key)) for measure in self.measures]

    def _place(self, span: Span) -> list[int]:
        return [self._source(span.document_id), span.start, span.end]

    def _source(self, source: str) -> int:
        return self.sources.setdefault(source, len(self.sources))


def _old_rank(found: Found, baseline: Outcome | None) -> int | None:
    """The baseline's rank of this chunk, or of one that holds at least half of it; 0 for none."""
    if baseline is None:
        return None
    for rank, each in enumerate(baseline.found, start=1):
        if each.chunk_id == found.chunk_id or 2 * covered(found.span, [each.span]) >= 1.0:
            return rank
    return 0


def _rank_of(reference: Span, outcome: Outcome) -> int | None:
    """At which rank of the longer ranking a chunk touches a reference; None where it does not."""
    ranks = (rank for rank, each in enumerate(outcome.ranked, start=1) if each.span.overlaps(reference))
    return next(ranks, None)


def _excerpt(outcome: Outcome, index: int, *, whole: bool) -> list[str] | None:
    """What stands before, in and after a reference; None where the run does not tell.

    A reference that a hit shows anyway is given short and alone, one far down a long list not at all.
    """
    if index >= min(len(outcome.gold), _GOLD_TEXTS):
        return None
    if not whole:
        return ["", _cut(outcome.gold[index], most=_GOLD_FOUND), ""]
    before, after = outcome.around[index] if index < len(outcome.around) else ("", "")
    return [clean(before), _cut(outcome.gold[index]), clean(after)]


def _shared(one: Span, other: Span) -> tuple[int, int]:
    return max(one.start, other.start), min(one.end, other.end)


def _cut(text: str, *, most: int = _GOLD_SHOWN) -> str:
    return clean(text) if len(text) <= most else clean(text[:most]) + " …"


def _short(value: float) -> float | None:
    """A number with four digits, which is what a reader can use."""
    finite = _finite(value)
    return None if finite is None else _plain(float(f"{finite:.4g}"))


def _finite(value: float | None) -> float | None:
    return _plain(round(value, 5)) if value is not None and np.isfinite(value) else None


def _plain(value: float) -> float:
    """A whole number without its useless `.0`."""
    return int(value) if value == int(value) else value
