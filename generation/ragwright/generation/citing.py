"""Checking citations while an answer is written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ragwright.core.types import Citation, Delta, Span
from ragwright.generation.locating import Locator
from ragwright.generation.markers import (
    Code,
    FinalAnswer,
    MarkerLexer,
    Prose,
    Quote,
    Reference,
    Stray,
    Token,
)
from ragwright.generation.passages import Numbered, Texts, citation
from ragwright.generation.supporting import Support
from ragwright.generation.thinking import WithoutThinking
from ragwright.generation.words import words
from ragwright.generation.writing import AnswerWriter

_LONGEST_CLAIM = 2_000  # characters before a marker in which its sentence is looked for
_MOST_SPACES = 8  # between a quote and its number
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’»)*_]*\s+|[。！？]|\n+")
_LIST_MARK = re.compile(r"\s*(?:\d{1,3}[.)]|[-*+•])\s+")


class CitationReader:
    """Turns what a model writes into text whose citations are checked.

    Feed it pieces of any size: how the text was split changes nothing but where deltas end. Memory is bounded
    by the longest quote, and time is linear to the text and to the documents that quotes are looked up in.

    - A quote between RAFT's marks is shown in quotation marks, with the document's own characters and a
      marker. One that stands nowhere is left out.
    - `[n]` becomes the markers of those passages of the prompt's document n that support the sentence before
      it. Where none does, it is left out.
    - Markers count from 1 in the order in which they appear; a span keeps its number.
    - `<ANSWER>:` becomes a new paragraph. The reasoning before it is shown, since the quotes stand there;
      what a model thinks between `<think>` and `</think>` is not.

    Attributes:
        citations: Those shown so far, in marker order.
        dropped: Quotes that stand nowhere, as the model wrote them.
        verified: Whether one of the citations stands in a passage that the model was given.
    """

    def __init__(self, documents: Sequence[Numbered], texts: Texts) -> None:
        """Make a reader.

        Args:
            documents: Those of the prompt.
            texts: Canonical texts of their documents.
        """
        self.citations: list[Citation] = []
        self.dropped: list[str] = []
        self.verified = False
        self._locator = Locator(documents, texts)
        self._support = Support(documents)
        self._thinking = WithoutThinking()
        self._lexer = MarkerLexer()
        self._writer = AnswerWriter()
        self._claims = _Claims()
        self._markers: dict[Span, int] = {}
        self._new: list[Citation] = []
        self._quote: str | None = None  # complete, but it is not known yet whether a number follows
        self._spaces = ""  # behind it

    @property
    def holds(self) -> bool:
        """Whether text is held back that may be part of a quote or of a marker."""
        return self._lexer.holds or self._quote is not None

    def feed(self, text: str) -> Delta | None:
        """What can be shown with the next piece of text; None when there is nothing."""
        self._read(self._lexer.feed(self._thinking.feed(text)))
        return self._delta()

    def finish(self) -> Delta | None:
        """What is left to be shown at the end of the text; call it once."""
        self._read(self._lexer.feed(self._thinking.finish()))
        self._read(self._lexer.finish())
        self._settle()
        return self._delta()

    def _delta(self) -> Delta | None:
        text, marks = self._writer.take()
        new, self._new = tuple(self._new), []
        return Delta(text, new, marks) if text else None

    def _read(self, tokens: Iterable[Token]) -> None:
        for token in tokens:
            if isinstance(token, Prose):
                self._prose(token.text)
            elif isinstance(token, Reference):
                self._refer(token.numbers)
            else:
                self._settle()
                self._take(token)

    def _take(self, token: Code | Quote | FinalAnswer | Stray) -> None:
        if isinstance(token, Quote):
            self._quote = token.text
        elif isinstance(token, Code):
            self._say(token.text)
        elif isinstance(token, Stray):
            self._writer.leave_out()
        else:
            self._claims.add("\n")
            self._writer.paragraph()

    def _prose(self, text: str) -> None:
        if self._quote is not None:
            told = text.lstrip(" ")
            self._spaces += text[: len(text) - len(told)]
            if not told and len(self._spaces) <= _MOST_SPACES:
                return
            self._settle()
            text = told
        self._say(text)

    def _say(self, text: str) -> None:
        self._claims.add(text)
        self._writer.say(text)

    def _settle(self, numbers: Sequence[int] = ()) -> bool:
        """Show or drop the quote that waits, if there is one; whether it stands.

        Args:
            numbers: Documents that the model named behind it.
        """
        if self._quote is None:
            return True
        quote, spaces = self._quote, self._spaces
        self._quote, self._spaces = None, ""
        located = self._locator.find(quote, numbers)
        if located is None:
            self.dropped.append(quote.strip())
            self._writer.leave_out()
        else:
            self._claims.add(located.citation.quote)
            self._claims.quoted(located.numbers)
            self._writer.quote(located.citation.quote, self._marker(located.citation))
            self.verified = self.verified or bool(located.numbers)
        self._say(spaces)
        return located is not None

    def _refer(self, numbers: Sequence[int]) -> None:
        """Show the markers of what supports the sentence before; none behind a quote that was dropped."""
        if not self._settle(numbers):
            self._writer.leave_out()
            return
        claim, quoted = self._claims.take()
        passages = [
            passage
            for number in numbers
            if number not in quoted
            for passage in self._support.passages(claim, number)
        ]
        for passage in passages:
            self._writer.mark(self._marker(citation(passage, 0)))
            self.verified = True
        if not passages:
            self._writer.leave_out()

    def _marker(self, found: Citation) -> int:
        """The number of a citation; a new one for a span that has none yet."""
        if found.span not in self._markers:
            self._markers[found.span] = len(self._markers) + 1
            shown = replace(found, marker=self._markers[found.span])
            self.citations.append(shown)
            self._new.append(shown)
        return self._markers[found.span]


class _Claims:
    """What the next marker vouches for: the sentence, or the part of it behind the marker before."""

    def __init__(self) -> None:
        self._text = ""  # since the last marker
        self._last = ""
        self._quoted: frozenset[int] = frozenset()

    def add(self, text: str) -> None:
        """Text that is shown."""
        self._text = (self._text + text)[-_LONGEST_CLAIM:]

    def quoted(self, numbers: Iterable[int]) -> None:
        """The text ends in a quote with its marker; it stands in these documents of the prompt."""
        self.take()
        self._quoted = frozenset(numbers)

    def take(self) -> tuple[str, frozenset[int]]:
        """The sentence before a marker, and the documents that it quotes with a marker already.

        Where nothing but signs stand behind the marker before, both vouch for the same.
        """
        parts = reversed(_SENTENCE_END.split(self._text))
        sentence = next((part for part in parts if words(part)), None)
        self._text = ""
        if sentence is not None:
            self._last, self._quoted = _LIST_MARK.sub("", sentence, count=1), frozenset()
        return self._last, self._quoted
