"""How alike an answer and a reference answer are, by their words; no language model takes part.

All three measures lie between 0 and 1, are symmetric, and are 1 for equal texts.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence

_CITATION = r"\[\d+(?:\s*[,;–-]\s*\d+)*\]"  # [1], [2, 3], [4-6]
_RAFT_QUOTE = r"##(?:begin|end)_quote##"
_MARKERS = re.compile(f"{_CITATION}|{_RAFT_QUOTE}")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_WORDS = re.compile(r"[^\W_]+")
_COLUMNS = 2048


def without_markers(text: str) -> str:
    """A text without citation numbers in brackets and without RAFT's quote markers.

    >>> without_markers("It is ##begin_quote##35 Nm##end_quote## [1][2, 3].").split()
    ['It', 'is', '35', 'Nm', '.']
    """
    return _MARKERS.sub(" ", text)


def normalised(text: str) -> str:
    """A text as the SQuAD and KILT evaluations compare it.

    In this order: lower case; ASCII punctuation removed; the words *a*, *an* and *the* removed; white space
    made single. Rajpurkar et al. 2016, "SQuAD: 100,000+ Questions for Machine Comprehension of Text";
    Petroni et al. 2021, "KILT: a Benchmark for Knowledge Intensive Language Tasks". Other punctuation stays,
    as in both, so that values may be set beside published ones.

    >>> normalised("The pump's  torque: 35 Nm.")
    'pumps torque 35 nm'
    """
    plain = text.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", plain).split())


def exact_match(answer: str, reference: str) -> float:
    """1 where both texts are equal once normalised, else 0 (Rajpurkar et al. 2016)."""
    return float(normalised(answer) == normalised(reference))


def token_f1(answer: str, reference: str) -> float:
    """The harmonic mean of precision and recall of normalised words (Rajpurkar et al. 2016).

    Words are what stands between white space after normalisation; one that stands several times is shared as
    often as it stands in both. Where either text is left without words, 1 if both are, else 0, as for the
    unanswerable questions of SQuAD 2.0 (Rajpurkar, Jia and Liang 2018).

    >>> token_f1("35 Nm, cold", "the torque is 35 Nm")  # 2 of 3 words, 2 of 4 words
    0.5714285714285714
    """
    one, other = normalised(answer).split(), normalised(reference).split()
    return _f_measure((Counter(one) & Counter(other)).total(), len(one), len(other))


def rouge_l(answer: str, reference: str) -> float:
    """The F-measure of the longest common subsequence of words.

    Sentence-level ROUGE-L of Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries", over the
    text as a whole: recall is the subsequence's length over the reference's, precision over the answer's,
    and beta is 1, where ROUGE 1.5.5 weighs recall almost alone. The summary level (union of subsequences
    sentence by sentence) is left out, as are stemming and stop words. Words are runs of Unicode letters and
    digits, their case folded; a script written without spaces gives one word between two signs. Where either
    text has no words, 1 if neither has, else 0.

    >>> rouge_l("police kill the gunman", "police killed the gunman")  # Lin's example: 3 of 4
    0.75
    """
    one, other = words(answer), words(reference)
    return _f_measure(common_subsequence(one, other), len(one), len(other))


def words(text: str) -> list[str]:
    """Runs of Unicode letters and digits in text order, composed (NFC) and their case folded.

    >>> words("Öl_Druck: 4.5 BAR")
    ['öl', 'druck', '4', '5', 'bar']
    """
    return _WORDS.findall(unicodedata.normalize("NFC", text).casefold())


def common_subsequence(one: Sequence[str], other: Sequence[str]) -> int:
    """The length of the longest common subsequence of two word lists.

    Hyyrö 2004, "Bit-parallel LCS-length Computation Revisited": a row of the table is one integer, whose
    zeros are the places where the length grows by one. Taken `_COLUMNS` words of `other` at a time, with the
    carries of the additions handed on, so that memory is linear.

    >>> common_subsequence("a b c d".split(), "b x d a".split())
    2
    """
    carries = [0] * len(one)
    length = 0
    for start in range(0, len(other), _COLUMNS):
        columns = other[start : start + _COLUMNS]
        places: dict[str, int] = {}
        for place, word in enumerate(columns):
            places[word] = places.get(word, 0) | 1 << place
        all_ones = (1 << len(columns)) - 1
        row = all_ones
        for step, word in enumerate(one):
            matches = row & places.get(word, 0)
            total = row + matches + carries[step]
            carries[step] = total >> len(columns)
            row = (total | (row - matches)) & all_ones
        length += len(columns) - row.bit_count()
    return length


def _f_measure(shared: int, one: int, other: int) -> float:
    """2PR / (P + R), which is the share of both lengths that is shared."""
    if not one or not other:
        return float(one == other)
    return 2 * shared / (one + other)
