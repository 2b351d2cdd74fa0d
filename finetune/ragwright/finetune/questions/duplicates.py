"""Questions that say the same: near-duplicates fall, and equal ones are made one or told apart."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ragwright.core.types import Span
from ragwright.finetune.corpus import words
from ragwright.finetune.questions.asking import question_id
from ragwright.finetune.questions.english import word_list
from ragwright.finetune.questions.filters import Filtered, audited
from ragwright.finetune.questions.round_trip import WITHIN
from ragwright.finetune.questions.surface import words_of
from ragwright.finetune.questions.vocabulary import stem
from ragwright.finetune.values import Audited, LabelledQuestion

SIMILAR = 0.8
"""Share of common words among all words of two questions, from which on they are near-duplicates."""


@dataclass(frozen=True, slots=True)
class _Said:
    """What a question is compared by: stems and numbers, and apart from them how it asks."""

    words: frozenset[str]
    asks: frozenset[str]
    text: str

    @classmethod
    def of(cls, text: str) -> _Said:
        small = [word.lower() for word in words_of(text)]
        asking, common = word_list("question_words"), word_list("common_in_questions")
        return cls(
            frozenset(stem(word) for word in small if word not in asking | common), asking & set(small), text
        )


class Asked:
    """The questions that were asked before, by document, to find near-duplicates among them.

    Questions that ask alike are compared by the Jaccard similarity of their words. Only those that share one
    of their rarer words are looked at: prefix filtering (Chaudhuri et al. 2006, "A primitive operator for
    similarity joins") loses none.
    """

    def __init__(self, *, similar: float = SIMILAR) -> None:
        """None yet; `similar` is the share from which on two are near-duplicates, above 0."""
        self._similar = similar
        self._counts: Counter[str] = Counter()
        self._holding: dict[tuple[str, str], list[_Said]] = defaultdict(list)

    def near(self, question: LabelledQuestion) -> str:
        """The text of a question about one of its documents that says nearly the same, or ""."""
        own = _Said.of(question.text)
        for source in question.sources:
            for word in sorted(own.words):
                for other in self._holding.get((source, word), ()):
                    common = len(own.words & other.words)
                    if own.asks == other.asks and common >= self._similar * len(own.words | other.words):
                        return other.text
        return ""

    def add(self, question: LabelledQuestion) -> None:
        """Remember a question."""
        own = _Said.of(question.text)
        # Whatever is so similar to n words has one of any so many of them: the rarest are looked up least.
        needed = len(own.words) - math.ceil(self._similar * len(own.words)) + 1
        rarest = sorted(own.words, key=lambda word: (self._counts[word], word))[: max(1, needed)]
        for source in question.sources:
            for word in rarest:
                self._holding[source, word].append(own)
        self._counts.update(own.words)


def without_near_duplicates(questions: Iterable[LabelledQuestion], asked: Asked) -> Filtered:
    """Questions that say something which was not asked of their documents before; those kept are remembered.

    Equal wordings pass: `united` makes one question of them.
    """
    kept: list[LabelledQuestion] = []
    audit: list[Audited] = []
    for question in questions:
        near = asked.near(question)
        if near and words(near) != words(question.text):
            audit.append(audited(question, "near_duplicate", f'it is nearly "{near}"'))
            continue
        asked.add(question)
        kept.append(question)
    return Filtered(tuple(kept), tuple(audit))


def united(questions: Sequence[LabelledQuestion]) -> Filtered:
    """Questions whose equal wording has one answer.

    Equal questions about the same document become one with all their references, which need not be
    neighbours. Equal questions about several documents are each asked within their own.
    """
    groups: dict[str, list[LabelledQuestion]] = defaultdict(list)
    for question in questions:
        groups[words(question.text) or question.text].append(question)
    kept: dict[str, LabelledQuestion] = {}
    audit: list[Audited] = []
    for group in groups.values():
        by_source: dict[frozenset[str], list[LabelledQuestion]] = defaultdict(list)
        for question in group:
            by_source[question.sources].append(question)
        for same in by_source.values():
            one, rows = _one(same)
            audit += rows
            if len(by_source) > 1:
                one, rows = _within(one)
                audit += rows
            kept[same[0].id] = one
    return Filtered(tuple(kept[q.id] for q in questions if q.id in kept), tuple(audit))


def _one(same: Sequence[LabelledQuestion]) -> tuple[LabelledQuestion, list[Audited]]:
    """One question of several that are worded alike and asked of the same documents."""
    first = same[0]
    if len(same) == 1:
        return first, []
    spans = {span: quote for each in same for span, quote in zip(each.references, each.quotes, strict=True)}
    ordered = sorted(
        span for span in spans if not any(_holds(other, span) for other in spans if other != span)
    )
    one = replace(
        first,
        id=question_id(first.text, ordered),
        references=tuple(ordered),
        quotes=tuple(spans[span] for span in ordered),
        answer=first.answer if len({each.answer for each in same}) == 1 else "",
    )
    rows = [
        audited(each, "united", f"{one.id} asks the same and has its references too") for each in same[1:]
    ]
    changed = audited(
        first, "united", f"it is {one.id} now, with the references of {len(same)}", dropped=False
    )
    return one, [changed, *rows]


def _holds(outer: Span, inner: Span) -> bool:
    return outer.document_id == inner.document_id and outer.start <= inner.start and inner.end <= outer.end


def _within(question: LabelledQuestion) -> tuple[LabelledQuestion, list[Audited]]:
    """A question that other documents answer too, to be asked within its own where it has but one."""
    if WITHIN in question.metadata or len(question.sources) != 1:
        return question, []
    source = next(iter(question.sources))
    reason = f"the same is asked of other documents; it is asked within {source}"
    changed = replace(question, metadata={**question.metadata, WITHIN: source})
    return changed, [audited(question, "asked_within", reason, dropped=False)]
