"""Sentences as people would read them aloud: without markup, list marks and numbers, and without headings.

The plain text is only for making questions of it. References are ranges of the document, which is never
changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ragwright.core.types import BlockKind, Chunk
from ragwright.finetune.questions.asking import Range, Subject
from ragwright.finetune.questions.english import word_list

_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*\)")
_MARKS = re.compile(r"[*_`~]{1,3}(?=\S)|(?<=\S)[*_`~]{1,3}|^\s*>+\s?|^\s*#{1,6}\s+", re.MULTILINE)
_LIST_MARK = re.compile(
    r"^\s*(?:[-*+•‣▪◦·–]\s+|(?:step\s+)?\(?(?:\d{1,3}(?:\.\d{1,3})*|[a-zA-Z]|[ivxlc]{1,5})[.):](?=\s)\s*"
    r"|\d{1,3}(?:\.\d{1,3})+\s+(?=[A-Z(]))",
    re.IGNORECASE,
)
_WIKI_HEADING = re.compile(r"(?:=\s){1,4}[^=\n]{1,80}?(?:\s=){1,4}(?=\s|$)")
_SPACE_BEFORE = re.compile(r"\s+([,.;:!?)\]%])|([(\[])\s+")
_JOINED = re.compile(r"\s@([-,.])@\s")  # how some corpora write a sign inside a word
_NUMBERING = re.compile(
    r"^\s*(?:(?:chapter|section|part|article|appendix|annex|item|note|question|step|§{1,2})\s*)?"
    r"(?:\d{1,3}(?:\.\d{1,3})*|[ivxlc]{1,6}|[a-z])?[.):\-–—]+\s+(?=\S)|^\s*\d{1,3}(?:\.\d{1,3})*\s+(?=[A-Z])",
    re.IGNORECASE,
)
_TITLE_WORD = re.compile(r"[\"“(]?[A-Z0-9][\w'’&/.-]*[,:)\"”]?")
_LONGEST_GLUED = 9  # words
_WORD = re.compile(r"[^\W_]+(?:[-’'.&/][^\W_]+)*")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a chunk.

    Attributes:
        start: First character in the document.
        end: One past the last.
        text: Its plain text, without a heading before it.
        heading: A heading that stands before it in one line with it, or "".
        kind: Of the block that it stands in.
    """

    start: int
    end: int
    text: str
    heading: str
    kind: BlockKind

    @property
    def range(self) -> Range:
        """Where it stands."""
        return self.start, self.end


def sentences_of(subject: Subject, chunk: Chunk) -> list[Sentence]:
    """The sentences of a chunk that say something, in text order; headings and page furniture left out."""
    return [sentence for sentence in _sentences(subject, chunk) if sentence.text]


def _sentences(subject: Subject, chunk: Chunk) -> Iterator[Sentence]:
    names = subject.openers
    for span in chunk.sentences:
        first = _WORD.search(subject.text(span.start, span.end))
        block = subject.block_at(span.start + (first.start() if first else 0))
        kind: BlockKind = block.kind if block else "paragraph"
        if kind in ("title", "furniture"):
            continue
        text = plain(subject.text(span.start, span.end))
        heading = ""
        if kind == "paragraph":
            heading, text = without_heading(text, names)
        yield Sentence(span.start, span.end, text, heading, kind)


def plain(text: str) -> str:
    """A text in one line without the marks of Markdown, list marks, and white space before signs.

    >>> plain("1. **Check** all [witness  marks](m.md) .")
    'Check all witness marks.'
    """
    text = _MARKS.sub("", _LINK.sub(r"\1", _WIKI_HEADING.sub("", text)))
    line = _JOINED.sub(r"\1", " ".join(text.split()))
    return _SPACE_BEFORE.sub(r"\1\2", _LIST_MARK.sub("", line)).strip()


def heading_text(text: str) -> str:
    """A heading without its number and the signs around it.

    >>> heading_text("## 4.1 Check for water"), heading_text("Section 3: Fees:")
    ('Check for water', 'Fees')
    """
    return _NUMBERING.sub("", plain(text)).strip(" .:;–—-|=").strip()


def without_heading(text: str, names: frozenset[str] = frozenset()) -> tuple[str, str]:
    """A heading that stands before a sentence in the same line, and the sentence.

    Texts that lost their line breaks hold "Do Not Track We do not respond to such signals." A heading is two
    words or more that begin with capitals, before a word that sentences begin with.

    Args:
        text: A sentence.
        names: Other words that sentences of the document begin with, such as who speaks in it.

    >>> without_heading("Do Not Track We do not respond to such signals.")
    ('Do Not Track', 'We do not respond to such signals.')
    >>> without_heading("Kaleida Health may disclose it.")
    ('', 'Kaleida Health may disclose it.')
    """
    words = text.split(" ")
    for place in range(1, min(len(words) - 2, _LONGEST_GLUED + 1)):
        if _opens(words[place : place + 3], names) and _is_heading(words[:place]):
            return " ".join(words[:place]).strip(" :.-–—"), " ".join(words[place:])
        if not _TITLE_WORD.fullmatch(words[place]) and not _is_small(words[place]):
            break
    return "", text


def _opens(words: list[str], names: frozenset[str]) -> bool:
    """Whether a sentence can begin with these three words; a name may be two."""
    first, second, third = words
    if first in names:
        return second[:1].islower() or third[:1].islower()
    return first[:1].isupper() and first.lower() in word_list("sentence_openers") and second[:1].islower()


def _is_small(word: str) -> bool:
    """Whether headings write a word small."""
    return word.lower() in word_list("heading_words")


def _is_heading(words: list[str]) -> bool:
    """Whether words before a sentence can be a heading."""
    telling = [word for word in words if not _is_small(word)]
    if not telling or not all(map(_TITLE_WORD.fullmatch, telling)) or _is_small(words[-1].strip(",:;.")):
        return False
    return (len(telling) > 1 or len(telling[0]) > 5) and not words[-1].endswith(",")


def words_of(text: str) -> list[str]:
    """The words of a text as they stand there, hyphens and apostrophes inside them kept."""
    return _WORD.findall(text)
