"""Which questions lean on the ones before, and what they take from them: rules for English and German.

A question leans on the others when it opens as an afterthought ("and in winter?"), when it refers to
something that it does not name ("how often does it need oil?"), or when it is too short to have a subject
("why?").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from ragwright.generation.folding import fold
from ragwright.generation.followup_words import (
    ASKS,
    DETERMINERS,
    ENGLISH_PRONOUNS,
    GENERIC,
    GERMAN_PRONOUNS,
    GERMAN_WORDS,
    META,
    PREPOSITIONS,
    VERBS,
)
from ragwright.generation.words import STOP_WORDS, content_words, numbers, stem, words

_LONGEST = 500  # characters; a longer question has its subject in it
_MOST_EARLIER = 4  # questions that terms are taken from
_MOST_TERMS = 8
_MOST_IN_FRAGMENT = 3  # words of content in a question without a verb

_AFTERTHOUGHT = re.compile(
    r"(?:and |but |or )?(?:what|how) about\b|(?:and |but )?what if\b|same (?:for|with)\b"
    r"|(?:und |aber )?(?:was ist|wie (?:ist|sieht|steht) (?:es|das)) (?:mit|bei|um|für|in|im)\b"
    r"|(?:und |aber )?was wenn\b",
    re.IGNORECASE,
)
_JOINS_ON = re.compile(r"(?:and|but|or|also|und|aber|oder|auch)\b[\s,]*", re.IGNORECASE)
_IT_SAYS_NOTHING = re.compile(
    r"\b(?:does|did|will|would|can) it (?:take|cost|make sense|matter)\b|\bit takes?\b"
    r"|\b(?:is|was|it is|it's) (?:it )?(?:possible|allowed|permitted|necessary|required|safe|legal|true)\b"
    r"|\bes gibt\b|\bgibt es\b|\bdauert es\b|\bgeht es um\b|\bhandelt es sich\b|\bkommt es\b"
    r"|\bist es (?:möglich|erlaubt|nötig|notwendig|zulässig|verboten|wahr|sicher)\b",
    re.IGNORECASE,
)
_THAT = re.compile(
    r"(?:^|\b(?:is|was|does|did|do|about|for|of|with|in|on|from|than|after|before|why|how) )that\b(?! is\b)"
    r"|\bthat(?: one)?\s*[?.!]*$|\bth(?:is|at) one\b|\bthe (?:same|other|others|first one|second one)\b",
    re.IGNORECASE,
)


def terms_taken(question: str, earlier: Sequence[str]) -> list[str]:
    """Terms that a question takes from earlier ones, in their order; none when it stands alone.

    Args:
        question: The last one.
        earlier: Of the same person, oldest first.

    >>> terms_taken("And in winter?", ["What oil does the compressor need?"])
    ['oil', 'compressor']
    """
    if not earlier or stands_alone(question):
        return []
    taken: list[str] = []
    for before in reversed(earlier[-_MOST_EARLIER:]):
        taken = terms(before) + taken
        if stands_alone(before):
            break
    named = {stem(word) for word in words(question)}
    if numbers(question):  # another size, year or model is meant than before
        taken = [term for term in taken if not any(sign.isdigit() for sign in term)]
    unique: dict[str, str] = {}
    for term in taken:
        if stem(term) not in named:
            unique.setdefault(stem(term), term)
    return list(unique.values())[:_MOST_TERMS]


def terms(question: str) -> list[str]:
    """What a question is about: its nouns where German shows them by capitals, else its words of content."""
    content = [word for word in content_words(question[:_LONGEST]) if fold(word) not in META | GENERIC]
    plain = [fold(word) for word in words(question)]
    if sum(word in GERMAN_WORDS for word in plain) >= 2 and (nouns := _nouns(content)):
        return nouns
    return content


def _nouns(content: Sequence[str]) -> list[str]:
    return [word for word in content if word[0].isupper() or word[0].isdigit()]


def stands_alone(question: str) -> bool:
    """Whether a question can be understood without the ones before.

    >>> [stands_alone(each) for each in ("Why?", "How often is it oiled?", "How often is the pump oiled?")]
    [False, False, True]
    """
    if len(question) > _LONGEST:
        return True
    text = question.strip()
    return not (_is_afterthought(text) or _is_fragment(text) or _refers_back(text))


def _is_afterthought(text: str) -> bool:
    if _AFTERTHOUGHT.match(text):
        return True
    joint = _JOINS_ON.match(text)
    if not joint:
        return False
    rest = words(text[joint.end() :])
    asks = bool(rest) and fold(rest[0]) in ASKS
    return not asks or len(content_words(" ".join(rest))) < _MOST_IN_FRAGMENT


def _is_fragment(text: str) -> bool:
    """Whether there is no subject, or no verb."""
    plain = [fold(word) for word in words(text)]
    content = [word for word in plain if word not in STOP_WORDS and word not in META]
    if not content:
        return True
    if plain[0] in PREPOSITIONS and len(content) <= _MOST_IN_FRAGMENT:
        return not any(word in ASKS for word in plain)
    return len(plain) <= 3 and len(content) == 1 and not any(word in VERBS for word in plain)


def _refers_back(text: str) -> bool:
    """Whether a pronoun stands for something that the question has not named before it."""
    if _THAT.search(text):
        return True
    spoken = words(_IT_SAYS_NOTHING.sub(" ", text))
    places = [place for place in range(len(spoken)) if _is_pronoun(spoken, place)]
    return any(_is_left_open(spoken[:place]) for place in places)


def _is_pronoun(spoken: Sequence[str], place: int) -> bool:
    word = spoken[place]
    plain = fold(word)
    if plain in ("it", "this") or plain in ENGLISH_PRONOUNS:
        return True
    if place and word[0].isupper():  # "Sie" inside a sentence is a form of address
        return False
    behind = spoken[place + 1 : place + 3]
    if plain == "das":
        return not any(after[0].isupper() for after in behind)
    if plain == "sein":  # else it is the verb
        return any(after[0].isupper() for after in behind[:1])
    return plain == "es" or plain in GERMAN_PRONOUNS


def _is_left_open(before: Sequence[str]) -> bool:
    """Whether nothing before a pronoun can be what it means: no article with a word of content behind it."""
    if before and fold(before[-1]) in ("between", "among", "of", "about", "zwischen"):
        return True
    return not any(
        fold(article) in DETERMINERS and fold(noun) not in STOP_WORDS for article, noun in pairwise(before)
    )
