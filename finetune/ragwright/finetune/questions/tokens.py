"""Words and signs of a clause with their places in its text."""

from __future__ import annotations

import re
from dataclasses import dataclass

BE = frozenset({"is", "are", "was", "were"})
HAVE = frozenset({"has", "have", "had"})
DO = frozenset({"do", "does", "did"})

_TOKEN = re.compile(r"[$€£]?[^\W_]+(?:[-’'.,&/][^\W_]+)*[%’']?|[^\w\s]")
IN_NOUNS = "-’'$€£%/&"
"""Signs that stand inside a noun phrase."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word or a sign of a clause, with its half-open place in the clause's text."""

    text: str
    start: int
    end: int

    @property
    def small(self) -> str:
        """In small letters, with a plain apostrophe."""
        return self.text.lower().replace("’", "'")

    @property
    def is_word(self) -> bool:
        """Whether it is a word or a number, rather than a sign."""
        return self.text[0].isalnum() or len(self.text) > 1


def tokens_of(text: str) -> list[Token]:
    """The words and signs of a text, in order.

    >>> [token.text for token in tokens_of("It's $4.5 (net).")]
    ["It's", '$4.5', '(', 'net', ')', '.']
    """
    return [Token(match.group(), match.start(), match.end()) for match in _TOKEN.finditer(text)]
