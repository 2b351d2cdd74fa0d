"""Whether a text can stand as a question of its own: whole, short, and understood without the document."""

from __future__ import annotations

import re

from ragwright.finetune.questions.english import word_list
from ragwright.finetune.questions.surface import words_of

_SHORTEST, _LONGEST = 3, 22  # words of a question
_LONGEST_CHARACTERS = 160
_STRAY = re.compile(r"https?:|www\.|@|[|\\<>{}\[\]=_#*`~]|\.\.|--|[;:]\s|\"[^\"]*$")
_BARE_VOWEL = re.compile(r"\ba (?=(?!uni|us|eu|one|once)[aeiou])")
_BARE_CONSONANT = re.compile(r"\ban (?=(?!hour|hono|heir)[b-df-hj-np-tv-z])")
_REPEATED = re.compile(r"\b(\w+)\s+\1\b", re.IGNORECASE)
_PAIRS = (("(", ")"), ("[", "]"), ("“", "”"))


def finished(text: str) -> str:
    """A question with a capital first letter, single spaces and a question mark.

    >>> finished("what  is the limit .")
    'What is the limit?'
    """
    line = " ".join(text.split()).strip(" .,;:-–—?!")
    line = _BARE_CONSONANT.sub("a ", _BARE_VOWEL.sub("an ", line))
    return line[:1].upper() + line[1:] + "?" if line else ""


def worded(text: str) -> str:
    """A question with its mark, or keywords as they are, in one line."""
    return finished(text) if text.rstrip().endswith("?") else " ".join(text.split())


def is_whole(question: str) -> bool:
    """Whether a question has a sound form: no stray signs, brackets in pairs, no word twice, no open end."""
    words = words_of(question)
    if not _SHORTEST <= len(words) <= _LONGEST or len(question) > _LONGEST_CHARACTERS:
        return False
    if _STRAY.search(question) or _REPEATED.search(question):
        return False
    if any(question.count(left) != question.count(right) for left, right in _PAIRS):
        return False
    last = words[-1].lower()
    return last not in word_list("dangling") and (
        last not in word_list("prepositions") or last in word_list("stranded")
    )
