"""The parts of a collection: what is trained on, what chooses settings, and what is reported.

Documents are dealt out, never questions, and documents of nearly the same text go together. A document keeps
its part when others are added. A collection of fewer than three such groups is dealt out by stretches of its
documents.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from ragwright.finetune.questions.asking import Subject
from ragwright.finetune.questions.filters import audited
from ragwright.finetune.questions.near_texts import near_texts
from ragwright.finetune.values import Audited, LabelledQuestion, Part

PART = "part"
"""Key of a question's metadata: the part that it belongs to."""

PARTS: tuple[Part, ...] = get_args(Part)
_ORDER: tuple[Part, ...] = ("test", "dev", "train")  # the smaller ones are served first
_STRETCHES = 20  # of one document
_FEWEST = 3  # groups that can be dealt out to three parts


@dataclass(frozen=True, slots=True)
class Shares:
    """How a collection is dealt out.

    Attributes:
        dev: Share of the groups whose questions choose settings, 0..1.
        test: Share whose questions are reported, 0..1.
        seed: Of the order in which groups are dealt out.
    """

    dev: float
    test: float
    seed: int = 0

    def of(self, part: Part) -> float:
        """The share of a part."""
        return {"train": 1.0 - self.dev - self.test, "dev": self.dev, "test": self.test}[part]


@dataclass(frozen=True, slots=True)
class Split:
    """Who belongs to which part.

    Attributes:
        shares: It was made with.
        by: What was dealt out.
        parts: By source; by stretches, a source is of the part that most of it went to.
        groups: Documents of nearly the same text, where there are two or more.
        apart: Documents that are nearly the same as some of two parts: no question of theirs belongs to any.
    """

    shares: Shares
    by: Literal["document", "stretch"]
    parts: Mapping[str, Part]
    groups: tuple[tuple[str, ...], ...] = ()
    apart: tuple[str, ...] = ()
    stretches: Mapping[tuple[str, int], Part] = field(default_factory=dict)
    lengths: Mapping[str, int] = field(default_factory=dict)

    def part_of(self, question: LabelledQuestion) -> Part | None:
        """The part of a question; None for one whose references belong to several, or to none."""
        if self.by == "document":
            found = {self.parts.get(source) for source in question.sources}
        else:
            found = {
                self.stretches.get(self._stretch(span.document_id, span.start))
                for span in question.references
            }
        return found.pop() if len(found) == 1 else None

    def _stretch(self, source: str, offset: int) -> tuple[str, int]:
        return source, stretch_of(offset, self.lengths.get(source, 1))


def split(subjects: Sequence[Subject], shares: Shares, *, former: Split | None = None) -> Split:
    """Deal documents out.

    Args:
        subjects: Every document.
        shares: How.
        former: An earlier split, whose documents keep their parts; one of other shares, another seed, or
            by stretches counts for nothing.

    Returns:
        Near the shares by the number of groups; each part has one at least.
    """
    texts = {subject.source: subject.document.text for subject in subjects}
    groups = grouped(sorted(texts), near_texts(texts))
    if len(groups) < _FEWEST:
        return _by_stretches(texts, groups, shares)
    kept = former.parts if former and former.by == "document" and former.shares == shares else {}
    parts: dict[str, Part] = {}
    apart: list[str] = []
    open_groups = []
    for group in groups:
        known = {kept[source] for source in group if source in kept}
        if len(known) > 1:  # a new document is nearly the same as documents of two parts
            parts.update({source: kept[source] for source in group if source in kept})
            apart += [source for source in group if source not in kept]
        elif known:
            parts.update(dict.fromkeys(group, known.pop()))
        else:
            open_groups.append(group)
    parts.update(_dealt(open_groups, groups, parts, shares))
    several = tuple(tuple(group) for group in groups if len(group) > 1)
    return Split(shares, "document", dict(sorted(parts.items())), several, tuple(apart))


def grouped(keys: Iterable[str], pairs: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Keys that pairs connect, directly or through others, each group and the groups in order."""
    parent = {key: key for key in keys}

    def root(key: str) -> str:
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for one, other in pairs:
        first, second = sorted((root(one), root(other)))
        parent[second] = first
    groups: dict[str, list[str]] = {}
    for key in parent:
        groups.setdefault(root(key), []).append(key)
    return list(groups.values())


def stretch_of(offset: int, length: int) -> int:
    """The number of the stretch of a document that an offset lies in, from 0."""
    return min(_STRETCHES - 1, _STRETCHES * offset // max(1, length))


def _dealt(
    open_groups: Sequence[Sequence[str]],
    groups: Sequence[Sequence[str]],
    parts: Mapping[str, Part],
    shares: Shares,
) -> dict[str, Part]:
    """Groups without a part, each in the order of its digest, to the part that lacks most."""
    have = dict.fromkeys(PARTS, 0)
    for group in groups:
        if group[0] in parts:
            have[parts[group[0]]] += 1
    dealt: dict[str, Part] = {}
    for group in sorted(open_groups, key=lambda group: _digest(group[0], shares.seed)):
        part = max(_ORDER, key=lambda part: shares.of(part) * len(groups) - have[part] + (have[part] == 0))
        have[part] += 1
        dealt.update(dict.fromkeys(group, part))
    return dealt


def _by_stretches(texts: Mapping[str, str], groups: Sequence[Sequence[str]], shares: Shares) -> Split:
    """Stretches of the same number in documents of one group go together."""
    lengths = {source: len(text) for source, text in texts.items()}
    units = [[f"{group[0]} {number}"] for group in groups for number in range(_STRETCHES)]
    dealt = _dealt(units, units, {}, shares)
    stretches = {
        (source, number): dealt[f"{group[0]} {number}"]
        for group in groups
        for source in group
        for number in range(_STRETCHES)
    }
    most: dict[str, Part] = {}
    for source in texts:
        own = [part for (name, _), part in stretches.items() if name == source]
        most[source] = max(PARTS, key=own.count)
    several = tuple(tuple(group) for group in groups if len(group) > 1)
    return Split(shares, "stretch", most, several, stretches=stretches, lengths=lengths)


def _digest(name: str, seed: int) -> str:
    return hashlib.sha256(f"{seed} {name}".encode("utf-8", "surrogatepass")).hexdigest()


def parted(
    questions: Iterable[LabelledQuestion], found: Split, passage_of: Callable[[LabelledQuestion], str]
) -> tuple[list[LabelledQuestion], list[Audited]]:
    """Questions with their part in the metadata, without those that leak.

    A question falls whose references belong to several parts, and one to train with or to choose by whose
    passage is nearly the text of a passage that a later part asks for.

    Args:
        questions: To be dealt out.
        found: Who belongs to which part.
        passage_of: The text that a question asks for.
    """
    kept: list[LabelledQuestion] = []
    audit: list[Audited] = []
    for question in questions:
        part = found.part_of(question)
        if part is None:
            reason = "its references belong to documents of several parts, or of none"
            audit.append(audited(question, "several_parts", reason))
        else:
            kept.append(replace(question, metadata={**question.metadata, PART: part}))
    passages = {question.id: passage_of(question) for question in kept}
    leaking = dict(_leaks(kept, passages))
    for question in kept:
        if question.id in leaking:
            reason = f"its passage is nearly that of {leaking[question.id]}, which is held out"
            audit.append(audited(question, "leak", reason))
    return [question for question in kept if question.id not in leaking], audit


def _leaks(questions: Sequence[LabelledQuestion], passages: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Questions of an earlier part, each with one of a later part whose passage is nearly the same."""
    by_text: dict[str, list[LabelledQuestion]] = {}
    for question in questions:
        by_text.setdefault(passages[question.id], []).append(question)
    pairs = [(text, text) for text in by_text] + near_texts({text: text for text in by_text})
    for one, other in pairs:
        for first in by_text[one]:
            for second in by_text[other]:
                places = PARTS.index(first.metadata[PART]), PARTS.index(second.metadata[PART])
                if places[0] != places[1]:
                    early, late = (first, second) if places[0] < places[1] else (second, first)
                    yield early.id, late.id
