"""Passages that mislead a generator: about something else, or saying the opposite of the document.

A faithful answer to a question does not change when the first are added, and does when the second replace
the real ones; a support check should notice both.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random
from typing import Protocol, TypeVar

from ragwright.core.types import Question


class FromSource(Protocol):
    """A passage that knows its document's source: `Hit` and `Found` do."""

    @property
    def source(self) -> str:
        """The document's source."""
        ...


AnyPassage = TypeVar("AnyPassage", bound=FromSource)


def irrelevant(
    question: Question, pool: Sequence[AnyPassage], *, count: int, seed: int = 0
) -> tuple[AnyPassage, ...]:
    """Passages of documents in which no reference of the question lies.

    Args:
        question: Its references name documents by their source.
        pool: Passages to choose from; one that also stands in a reference's document is not chosen.
        count: How many are wanted.
        seed: Equal seeds choose equally for one question and pool.

    Returns:
        Different members of the pool in random order; fewer than `count` when there are no more.
    """
    relevant = {reference.document_id for reference in question.references}
    others = [passage for passage in pool if relevant.isdisjoint(_sources(passage))]
    generator = Random(f"{seed}\nirrelevant\n{question.id}")
    return tuple(generator.sample(others, min(count, len(others))))


def _sources(passage: FromSource) -> set[str]:
    """Every document that holds the passage's text: `Hit` and `Found` name the other places differently."""
    places = (*getattr(passage, "places", ()), *getattr(passage, "duplicates", ()))
    return {passage.source, *(place.source for place in places)}


_NUMBER = re.compile(r"(?<![\w.,/-])[0-9]+(?:[.,][0-9]+)*(?![\w/-]|[.,][0-9])")
_YEAR = re.compile(r"(?:1[5-9]|20)[0-9]{2}")
_SENTENCE_END = re.compile(r"((?<=[.!?])\s+|\n+)")

_DENIALS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), instead)
    for pattern, instead in (
        # a denial is taken away before one is put in
        (r"\bcannot\b", "can"),
        (
            r"\b(is|are|was|were|do|does|did|can|could|may|must|shall|should|will|would|has|have|had) not\b",
            r"\1",
        ),
        (r"\b(is|are|was|were|do|does|did|could|must|should|would|has|have|had)n['’]t\b", r"\1"),
        (r"\bno longer\b", "still"),
        (r"\bnever\b", "always"),
        (r"\balways\b", "never"),
        (r"\b(is|are|was|were|could|may|must|shall|should|will|would|can)\b(?!\s*[?,])", r"\1 not"),
    )
)


def contradict(text: str, *, seed: int = 0) -> str | None:
    """A copy of a passage that contradicts it.

    Every number that stands alone becomes another of the same length, equal ones alike; numbers inside codes
    and dates with hyphens stay. In every sentence without such a number one negation is taken away or put
    in, by English rules.

    Args:
        text: A passage.
        seed: Another seed makes other numbers.

    Returns:
        Another text; None when it holds nothing that can be changed.
    """
    changed: dict[str, str] = {}
    numbers = dict.fromkeys(_NUMBER.findall(text))
    for number in numbers:
        # seeded by the number alone, so that a passage and a quote of it say the same
        generator = Random(f"{seed}\ncontradict\n{number}")
        changed[number] = _other_number(number, generator, taken={*numbers, *changed.values()})
    parts = _SENTENCE_END.split(text)  # sentences, and at odd places what stands between them
    copy = "".join(_opposite(part, changed) for part in parts)
    return copy if copy != text else None


def _opposite(sentence: str, changed: dict[str, str]) -> str:
    """A sentence with its numbers changed, or else one negation more or less."""
    copy = _NUMBER.sub(lambda found: changed.get(found[0], found[0]), sentence)
    if copy != sentence:
        return copy
    for pattern, instead in _DENIALS:
        copy, count = pattern.subn(instead, sentence, count=1)
        if count:
            return copy
    return sentence


def _other_number(number: str, generator: Random, *, taken: set[str]) -> str:
    """The number with one digit changed: the last of a year, else the first that is not zero."""
    place = (
        len(number) - 1
        if _YEAR.fullmatch(number)
        else next((place for place, sign in enumerate(number) if sign in "123456789"), 0)
    )
    digits = [digit for digit in "123456789" if digit != number[place]]
    others = [number[:place] + digit + number[place + 1 :] for digit in digits]
    return generator.choice([other for other in others if other not in taken] or others)
