"""Which passage supports a sentence, by a rule that everybody can check.

A passage supports a sentence when every number of it and at least half of its words stand in the passage, or
in the title and headings above it, and one of them in the passage itself. Words are compared by their first
letters, and common ones do not count. The rule looks for words, not for sense: it does not notice a "not",
and finds no support across languages.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

from ragwright.generation.passages import Numbered, Standing
from ragwright.generation.words import numbers, stems

_MOST_PASSAGES = 3  # that support a sentence together, where none does alone
_SECTION_NUMBER = re.compile(r"^\s*\d{1,2}(?:\.\d{1,3})*\.?\s+")


@dataclass(frozen=True, slots=True)
class _Signs:
    """What a text is compared by: its words and numbers, together."""

    words: frozenset[str]
    numbers: frozenset[str]

    @classmethod
    def of(cls, text: str) -> _Signs:
        return cls(stems(text), numbers(text))

    def __or__(self, other: _Signs) -> _Signs:
        return _Signs(self.words | other.words, self.numbers | other.numbers)

    def shared(self, other: _Signs) -> int:
        """How many words and numbers both hold."""
        return len(self.words & other.words) + len(self.numbers & other.numbers)


def _supports(passages: Sequence[_Signs], above: _Signs, claim: _Signs) -> bool:
    """Whether passages under a title and headings support a sentence together."""
    own = reduce(or_, passages)
    both = own | above
    enough = claim.numbers <= both.numbers and 2 * len(claim.words & both.words) >= len(claim.words)
    return enough and own.shared(claim) > 0


class Support:
    """The passages of a prompt, to be asked which of them support a sentence."""

    def __init__(self, documents: Sequence[Numbered]) -> None:
        self._documents = {each.number: each for each in documents}
        self._signs: dict[int, tuple[_Signs, list[_Signs]]] = {}

    def passages(self, claim: str, number: int) -> list[Standing]:
        """The passages of one of the prompt's documents that support a sentence.

        Args:
            claim: The sentence.
            number: Of the document; one that there is not supports nothing.

        Returns:
            The one that shares most words with it; where none is enough alone, those that are together, in
            text order; empty where nothing is.
        """
        document = self._documents.get(number)
        said = _Signs.of(claim)
        if document is None or not (said.words or said.numbers):
            return []
        above, signs = self._signs_of(document)
        order = sorted(range(len(signs)), key=lambda place: -signs[place].shared(said))
        alone = [[place] for place in order]
        together = [order[:count] for count in range(2, min(_MOST_PASSAGES, len(order)) + 1)]
        for chosen in alone + together:
            if _supports([signs[place] for place in chosen], above, said):
                return [Standing(document.hit, document.hit.evidence[place]) for place in sorted(chosen)]
        return []

    def _signs_of(self, document: Numbered) -> tuple[_Signs, list[_Signs]]:
        """Those of the title and headings, and those of each passage."""
        if document.number not in self._signs:
            hit = document.hit
            above = "\n".join(_SECTION_NUMBER.sub("", each) for each in (hit.title, *hit.chunk.headings))
            self._signs[document.number] = _Signs.of(above), [_Signs.of(each.text) for each in hit.evidence]
        return self._signs[document.number]
