"""The words of a collection: how rare each is, which are names, and the key phrases of a sentence."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from ragwright.finetune.questions.asking import Subject
from ragwright.finetune.questions.english import base_of, is_said_often, singular, verbs_of, word_list
from ragwright.finetune.questions.surface import plain, words_of

_BREAK = re.compile(r"[.,;:!?()\[\]{}\"“”|/=<>]|\s[-–—]\s")
_LONGEST_PHRASE = 4  # words
_NAME_SHARE = 0.8  # a word that is capital so often where it need not be is a name
_INSIDE = re.compile(r"(?<=[a-z0-9,;] )[^\W\d_][\w’'-]*")


@dataclass(frozen=True, slots=True)
class Phrase:
    """A run of words that says what a sentence is about.

    Attributes:
        text: As it stands there.
        weight: The rarity of its words, summed.
    """

    text: str
    weight: float


@dataclass(frozen=True, slots=True)
class Counts:
    """How often words stand where.

    Attributes:
        stems: In how many texts each stem stands.
        titles: In how many titles of documents each stem stands.
        inside: How often a word, in small letters, stands where a sentence does not begin.
        capital: How often it is capital there.
    """

    stems: Counter[str] = field(default_factory=Counter)
    titles: Counter[str] = field(default_factory=Counter)
    inside: Counter[str] = field(default_factory=Counter)
    capital: Counter[str] = field(default_factory=Counter)

    def add(self, text: str) -> None:
        """Count the words of a text; one without capitals tells nothing of names."""
        self.stems.update({stem(word) for word in words_of(text)})
        if text.islower():
            return
        for word in _INSIDE.findall(" ".join(text.split())):
            self.inside[word.lower()] += 1
            self.capital[word.lower()] += word[0].isupper()


class Vocabulary:
    """What is known of the words of a collection."""

    def __init__(self, counts: Counts, *, texts: int) -> None:
        """Take the counts.

        Args:
            counts: Of the words of these texts.
            texts: How many texts there are.
        """
        self._counts, self._texts = counts, max(1, texts)

    @classmethod
    def of(cls, subjects: Iterable[Subject]) -> Vocabulary:
        """The words of every chunk of these documents."""
        counts, texts = Counts(), 0
        for subject in subjects:
            counts.titles.update({stem(word) for word in words_of(subject.document.title)})
            for chunk in subject.chunks:
                texts += 1
                counts.add(chunk.text)
        return cls(counts, texts=texts)

    def rarity(self, word: str) -> float:
        """How rare a word is, 0..1: the logarithm of its inverse share of the texts, over the largest."""
        count = self._counts.stems[stem(word)]
        return math.log((1 + self._texts) / (1 + count)) / math.log(1 + self._texts)

    def is_name(self, word: str) -> bool:
        """Whether a word is written with a capital where it need not be, such as a name or an acronym."""
        small = word.strip("’'").lower()
        capital, inside = self._counts.capital[small], self._counts.inside[small]
        return (inside > 0 and capital >= _NAME_SHARE * inside) or word[1:] != word[1:].lower()

    def may_be_name(self, word: str) -> bool:
        """Whether a word is a name, or never stands where it would show that it is none."""
        small = word.lower()
        return self.is_name(word) or (not self._counts.inside[small] and not is_said_often(small))

    def content(self, text: str) -> list[str]:
        """The words of a text that say something of its subject, as they stand there."""
        return [word for word in words_of(text) if not is_said_often(word)]

    def small_start(self, text: str, *, surely: bool = False) -> str:
        """A text as it stands inside a sentence: its first letter is small, but for a name's.

        Args:
            text: Any.
            surely: Whether the text is a heading or a term, so that a capital letter says nothing; else a
                word that the collection never writes small keeps it.

        >>> words = Vocabulary(Counts(), texts=1)
        >>> words.small_start("The A exam"), words.small_start("Web Storage")
        ('the A exam', 'Web Storage')
        """
        first, second = (*words_of(text)[:2], "", "")[:2]
        if (
            not first
            or not text.startswith(first)
            or (not first[1:].islower() and first not in ("A", first.lower()))
        ):
            return text
        if first.lower() in word_list("determiners") | word_list("prepositions"):
            return text[0].lower() + text[1:]
        is_title = second[:1].isupper() and len(second) > 1 and not surely
        keeps = self.is_name(first) if surely else self.may_be_name(first) and not verbs_of(first)
        return text if keeps or is_title else text[0].lower() + text[1:]

    def phrases(self, text: str) -> list[Phrase]:
        """Runs of words without stop words and finite verbs, heaviest first.

        After Rose et al. 2010, "Automatic keyword extraction from individual documents", with rarity in
        place of the degree of a word.
        """
        found = {run.lower(): run for part in _BREAK.split(plain(text)) for run in self._runs(part)}
        phrases = [Phrase(run, sum(map(self.rarity, run.split()))) for run in found.values()]
        return sorted(phrases, key=lambda phrase: (-phrase.weight, phrase.text))

    def _runs(self, part: str) -> Iterator[str]:
        run: list[str] = []
        before = behind = ""
        for word in (*part.split(), ""):
            is_part = (
                word and not is_said_often(word) and not word.endswith("ly") and not _is_finite(word, run)
            )
            if is_part:
                before = before if run else behind
                run.append(word)
                continue
            if run and before.lower() in word_list("before_verbs") and base_of(run[0], "base"):
                run.pop(0)
            if kept := self._kept(run):
                yield " ".join(kept)
            run, behind = [], word

    def _kept(self, run: Sequence[str]) -> list[str]:
        """A run without adverbs and verbs at its ends; empty for what is no phrase."""
        words = list(run)
        while words and (
            _is_verb(words[0]) or words[0].endswith("ly") or words[0] in word_list("weak_adjectives")
        ):
            words.pop(0)
        while words and (_is_verb(words[-1]) or words[-1].endswith("ly") or words[-1].isdigit()):
            words.pop()
        if not 0 < len(words) <= _LONGEST_PHRASE or not any(any(map(str.isalpha, word)) for word in words):
            return []
        if words[0].lower() in word_list("number_words"):
            return []
        return words if len(words) > 1 or (len(words[0]) > 3 and not base_of(words[0])) else []

    def sign_of(self, title: str, *, most: int = 3) -> str:
        """The words of a title that tell its document from the others, such as "Kestrel 330"; "" without any.

        They are a name or a number that few titles hold, with the capital words before it.

        Args:
            title: Of a document.
            most: Words of the run.
        """
        words = words_of(title)
        telling = [place for place, word in enumerate(words) if self._tells(word)]
        if not telling:
            return ""
        last = min(telling, key=lambda place: (self._counts.titles[stem(words[place])], place))
        first = last
        while (
            first > 0 and last - first + 1 < most and words[first].isdigit() and words[first - 1][0].isupper()
        ):
            first -= 1
        return " ".join(words[first : last + 1])

    def _tells(self, word: str) -> bool:
        """Whether a word of a title names something: it has a digit or a point inside, or is a name."""
        return any(map(str.isdigit, word)) or "." in word or (self.is_name(word) and not is_said_often(word))


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """What words are compared by: the base form of a verb, else the singular, in small letters.

    >>> stem("Collected") == stem("collecting"), stem("parties")
    (True, 'party')
    """
    small = word.lower().replace("’", "'").removesuffix("'s").strip("'")
    return base_of(small) or singular(small)


def stems(text: str) -> frozenset[str]:
    """Stems of the words of a text that say something of its subject."""
    return frozenset(stem(word) for word in words_of(text) if not is_said_often(word))


def _is_finite(word: str, run: Sequence[str]) -> bool:
    """Whether a word is the verb of its sentence rather than a part of a phrase."""
    return (
        bool(run)
        and word.islower()
        and base_of(word, "third", "past") is not None
        and not word.endswith("ings")
    )


def _is_verb(word: str) -> bool:
    return (
        word.islower()
        and base_of(word, "third", "past", "participle", "gerund", "base") is not None
        and (word.endswith(("ed", "ing")) or base_of(word, "base") is None)
    )
