"""Wording that is not the document's own: other words, fewer words, and how much is still copied.

Who asks does not know the words of the answer. A retriever that is tuned with questions that repeat them
learns to match words, which it can do already.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from random import Random

from ragwright.finetune.questions.english import plural, synonyms, word_list
from ragwright.finetune.questions.tokens import IN_NOUNS, tokens_of
from ragwright.finetune.questions.vocabulary import Vocabulary, stem, stems

_LONGEST_OBJECT = 8  # words
_ADJECTIVES = (
    "al",
    "ant",
    "ent",
    "ic",
    "ive",
    "able",
    "ible",
    "ous",
    "ary",
    "ed",
    "ful",
    "less",
    "ing",
    "ory",
)


class Loosener:
    """Puts words in place of others, as the collection's glossary and common English have them."""

    def __init__(self, glossary: Mapping[str, Iterable[str]], *, english: bool = True) -> None:
        """Make one.

        Args:
            glossary: Term to its synonyms, of the domain's profile.
            english: Whether common English synonyms are used as well.
        """
        rows: dict[str, tuple[str, ...]] = dict(synonyms("nouns")) if english else {}
        for term, others in glossary.items():
            every = (term, *others)
            for word in every:
                rest = tuple(each for each in every if each != word)
                key = word if word.isupper() else word.lower()
                rows[key] = tuple(dict.fromkeys((*rows.get(key, ()), *rest)))
        self._nouns = rows
        self._verbs = synonyms("verbs") if english else {}
        longest_first = sorted(rows, key=len, reverse=True)
        self._pattern = re.compile(
            rf"(?<![\w-])({'|'.join(re.escape(each) for each in longest_first)})(e?s)?(?![\w-])"
            if rows
            else r"(?!)",
            re.IGNORECASE,
        )

    def nouns(self, text: str, chance: Random, *, share: float) -> str:
        """A text in which some nouns have given way to their synonyms.

        Args:
            text: Any.
            chance: Draws which, and by what.
            share: Of the words that have synonyms, how many are replaced, 0..1.
        """

        def put(match: re.Match[str]) -> str:
            if match[1].isupper():  # an acronym may stand for something else here
                return match[0]
            others = self._nouns.get(match[1].lower(), ())
            if not others or chance.random() >= share:
                return match[0]
            other = chance.choice(others)
            return plural(other) if match[2] and not other.isupper() else other

        return self._pattern.sub(put, text)

    def verb(self, base: str, chance: Random, *, share: float) -> str:
        """A base form, or with this chance a synonym's."""
        others = self._verbs.get(base, ())
        return chance.choice(others) if others and chance.random() < share else base


def shortened(phrase: str, *, most: int = _LONGEST_OBJECT) -> str:
    """The core of a noun phrase: without words that limit nothing, and cut before what only describes it.

    Args:
        phrase: An object, as it stands in its sentence.
        most: Words.

    Returns:
        "" where it has no core of so few words.

    >>> shortened("certain personal information that you provide through the site"), shortened("it")
    ('personal information', '')
    """
    tokens = tokens_of(phrase)
    kept: list[str] = []
    start = end = 0
    joined = False
    for token in tokens:
        joined = token.small in (",", "and", "or")
        if not token.is_word and token.text not in IN_NOUNS:
            break
        if (
            kept
            and token.small in word_list("core_ends")
            and (len(kept) > 1 or kept[0].lower() not in word_list("determiners"))
        ):
            break
        if len(kept) >= most:
            return ""
        if not kept and token.small in word_list("weak_adjectives"):
            continue
        start = start if kept else token.start
        kept.append(token.text)
        end = token.end
    while len(kept) > 1 and (kept[-1].lower() in word_list("adverbs") or kept[-1].lower().endswith("ly")):
        end -= len(kept.pop())
        end = start + len(phrase[start:end].rstrip())
    core = phrase[start:end].strip()
    if joined and kept and kept[-1].lower().endswith(_ADJECTIVES):
        return ""
    if not kept or kept[-1].lower() in word_list("dangling") | word_list("prepositions"):
        return ""
    return "" if len(kept) == 1 and kept[0].lower() in word_list("pronouns") else core


def copied(question: str, passage: str, vocabulary: Vocabulary) -> float:
    """How much of the rare words of a passage a question repeats, 0..1, weighted by their rarity."""
    wanted = {word: vocabulary.rarity(word) for word in stems(passage)}
    total = sum(wanted.values())
    asked = {stem(word) for word in question.replace("?", " ").split()} | stems(question)
    return sum(weight for word, weight in wanted.items() if word in asked) / total if total else 0.0
