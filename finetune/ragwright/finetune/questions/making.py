"""Questions of a collection: asked for in rounds, filtered, more where there are few, dealt out to parts."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ragwright.core.types import Chunk, Span
from ragwright.finetune.questions.asking import QuestionSource, Request, Subject
from ragwright.finetune.questions.coverage import Coverage, coverage, scarce_tasks
from ragwright.finetune.questions.duplicates import Asked, united, without_near_duplicates
from ragwright.finetune.questions.filters import (
    Filtered,
    applied,
    audited,
    consistent_answers,
    self_contained,
    verified,
)
from ragwright.finetune.questions.round_trip import SearchWithin, round_trip
from ragwright.finetune.questions.splitting import Shares, Split, parted, split
from ragwright.finetune.values import Audited, LabelledQuestion, Origin, Search

_GIVEN: frozenset[Origin] = frozenset({"user", "feedback", "dataset"})
"""Questions that are there already: all of them are taken."""

_ROUNDS = 6
_BATCH = 64  # requests between two looks at what is scarce
_SURVIVE = 0.6  # of what is made, until it is known


@dataclass(frozen=True, slots=True)
class Amount:
    """How many questions are made.

    Attributes:
        per_chunk: Most of one chunk.
        most: Most in all.
    """

    per_chunk: int
    most: int


@dataclass(frozen=True, slots=True)
class Trial:
    """How a question shows that it can be answered.

    Attributes:
        search: Asks the whole collection.
        within: Asks one document.
        depth: So many hits are looked at.
    """

    search: Search
    within: SearchWithin
    depth: int


@dataclass(frozen=True, slots=True)
class Made:
    """Questions, and how they came to be.

    Attributes:
        questions: Each with its part, in the order of their places.
        audit: What was dropped or changed, and why.
        coverage: What is asked about, and what is not.
        split: Who belongs to which part.
        asked: How many questions the sources gave.
    """

    questions: tuple[LabelledQuestion, ...]
    audit: tuple[Audited, ...]
    coverage: Coverage
    split: Split
    asked: int


Told = Callable[[int], None]
"""Is told how many questions are kept so far."""


def make_questions(
    subjects: Sequence[Subject],
    sources: Sequence[QuestionSource],
    *,
    trial: Trial,
    amount: Amount,
    shares: Shares,
    former: Split | None = None,
    told: Told = lambda kept: None,
) -> Made:
    """Make questions of documents.

    Args:
        subjects: Every document.
        sources: Asked in this order; what a later one says again falls.
        trial: How a question shows that it can be answered.
        amount: How many.
        shares: How documents are dealt out to parts.
        former: An earlier split, whose documents keep their parts.
        told: Told how many are kept, after every batch.

    Raises:
        ServiceError: A language model behind a source does not answer.
    """
    making = _Making(subjects, trial, amount, told)
    for source in sources:
        making.ask(source)
    whole = united(making.kept)
    found = split(subjects, shares, former=former)
    passages = _Passages(subjects)
    dealt, leaking = parted(whole.kept, found, passages.of)
    order = {subject.source: number for number, subject in enumerate(subjects)}
    dealt.sort(
        key=lambda question: (
            order.get(question.references[0].document_id, 0),
            question.references,
            question.id,
        )
    )
    audit = (*making.audit, *whole.audit, *leaking)
    return Made(tuple(dealt), audit, coverage(subjects, dealt), found, making.asked)


@dataclass
class _Making:
    """What is made so far."""

    subjects: Sequence[Subject]
    trial: Trial
    amount: Amount
    told: Told
    kept: list[LabelledQuestion] = field(default_factory=list)
    audit: list[Audited] = field(default_factory=list)
    asked: int = 0
    _asked: Asked = field(default_factory=Asked)
    _ids: set[str] = field(default_factory=set)
    _wordings: dict[str, set[str]] = field(default_factory=dict)
    _kept_of: Counter[str] = field(default_factory=Counter)
    _tasks: Counter[str] = field(default_factory=Counter)
    _texts: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._texts = {subject.source: subject.document.text for subject in self.subjects}

    def ask(self, source: QuestionSource) -> None:
        """Ask a source in rounds for more where there are few, until there are enough or it has none."""
        exhausted: set[str] = set()
        given = source.origin in _GIVEN
        for _ in range(1 if given else _ROUNDS):
            wanted = list(self._wanted(exhausted, everything=given))
            if not wanted:
                return
            for start in range(0, len(wanted), _BATCH):
                if not given and len(self.kept) >= self.amount.most:
                    return
                self._batch(source, wanted[start : start + _BATCH], exhausted)

    def _wanted(self, exhausted: set[str], *, everything: bool) -> Iterator[tuple[Subject, Chunk, int]]:
        """Chunks of which more is wanted, and how many; those of the thinnest sections first."""
        places = [(subject, chunk) for subject in self.subjects for chunk in subject.chunks]
        if everything:
            yield from ((subject, chunk, self.amount.most) for subject, chunk in places)
            return
        left = math.ceil((self.amount.most - len(self.kept)) / self._survival())
        thinness = self._thinness()
        open_places = [
            (s, c) for s, c in places if c.id not in exhausted and self._kept_of[c.id] < self.amount.per_chunk
        ]
        open_places.sort(
            key=lambda place: (thinness[place[0].source, place[1].headings], _digest(place[1].id))
        )
        for subject, chunk in open_places:
            if left <= 0:
                return
            wanted = self.amount.per_chunk - self._kept_of[chunk.id]
            left -= wanted
            yield subject, chunk, wanted

    def _survival(self) -> float:
        """Which share of what sources give is kept."""
        return max(0.2, len(self.kept) / self.asked) if self.asked > 4 * _BATCH else _SURVIVE

    def _thinness(self) -> dict[tuple[str, tuple[str, ...]], float]:
        """Questions per character of each section."""
        sizes: Counter[tuple[str, tuple[str, ...]]] = Counter()
        counts: Counter[tuple[str, tuple[str, ...]]] = Counter()
        for subject in self.subjects:
            for chunk in subject.chunks:
                sizes[subject.source, chunk.headings] += len(chunk.text)
                counts[subject.source, chunk.headings] += self._kept_of[chunk.id]
        return {key: counts[key] / max(1, size) for key, size in sizes.items()}

    def _batch(
        self, source: QuestionSource, wanted: Sequence[tuple[Subject, Chunk, int]], exhausted: set[str]
    ) -> None:
        scarce = scarce_tasks(self._tasks)
        requests = [
            Request(subject, chunk, count, frozenset(self._wordings.get(chunk.id, ())), scarce)
            for subject, chunk, count in wanted
        ]
        drafted: list[LabelledQuestion] = []
        chunk_of: dict[Span, str] = {}
        for request, reply in zip(requests, source.ask(requests), strict=True):
            self.audit += reply.audit
            if not reply.questions:
                exhausted.add(request.chunk.id)
            wordings = self._wordings.setdefault(request.chunk.id, set())
            wordings.update(question.text.casefold() for question in reply.questions)
            chunk_of.update((question.references[0], request.chunk.id) for question in reply.questions)
            drafted += reply.questions
        self.asked += len(drafted)
        self._keep(self._filtered(drafted), chunk_of, given=source.origin in _GIVEN)

    def _filtered(self, drafted: Sequence[LabelledQuestion]) -> Filtered:
        trial = self.trial
        return applied(
            drafted,
            (
                lambda questions: verified(questions, self._text_of),
                self_contained,
                consistent_answers,
                lambda questions: round_trip(
                    questions, search=trial.search, within=trial.within, depth=trial.depth
                ),
                lambda questions: without_near_duplicates(questions, self._asked),
            ),
        )

    def _keep(self, filtered: Filtered, chunk_of: Mapping[Span, str], *, given: bool) -> None:
        self.audit += filtered.audit
        fresh: list[LabelledQuestion] = []
        for question in filtered.kept:
            if question.id in self._ids:
                self.audit.append(audited(question, "asked_twice", "it was asked of the same place before"))
            else:
                self._ids.add(question.id)
                fresh.append(question)
        left = len(fresh) if given else max(0, self.amount.most - len(self.kept))
        self.audit += (audited(each, "enough", "there are as many as were wanted") for each in fresh[left:])
        fresh = fresh[:left]
        self.kept += fresh
        self._tasks.update(question.task for question in fresh)
        places = (chunk_of.get(question.references[0]) for question in fresh)
        self._kept_of.update(place for place in places if place is not None)
        self.told(len(self.kept))

    def _text_of(self, source: str) -> str | None:
        return self._texts.get(source)


class _Passages:
    """The text that a question asks for."""

    def __init__(self, subjects: Sequence[Subject]) -> None:
        self._subjects = {subject.source: subject for subject in subjects}

    def of(self, question: LabelledQuestion) -> str:
        """The chunk that holds the start of the first reference; the quote where none does."""
        span = question.references[0]
        subject = self._subjects.get(span.document_id)
        chunk = subject.chunk_at(span.start) if subject else None
        return chunk.text if chunk else question.quotes[0]


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
