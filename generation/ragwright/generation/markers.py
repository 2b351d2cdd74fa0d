"""What a model writes, taken apart while it is written: prose, code, quotes and references.

Text is held back only while it may still become part of a mark, and what comes out does not depend on how the
text was split.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

BEGIN_QUOTE, END_QUOTE = "##begin_quote##", "##end_quote##"
"""RAFT's marks around words copied from a document (Zhang et al. 2024, arXiv 2403.10131)."""

FINAL_ANSWER, STOP = "<ANSWER>:", "<STOP>"
"""RAFT's marks before the final answer and behind it."""

LONGEST_QUOTE = 4_000  # characters; a mark without its end is no quote
_LONGEST_REFERENCE = 40  # characters in brackets
_LONGEST_CODE = 1_000  # characters of code inside a line, or of a fence's line

OPENING, CLOSING = "[【［", "]】］"
_SPACE = r"\s{0,9}"  # bounded: documents are searched for it, too
_NUMBERS = rf"\d{{1,3}}(?:{_SPACE}(?:,|;|and|&){_SPACE}\d{{1,3}})*"
_INSIDE_BRACKETS = rf"{_SPACE}\^?{_SPACE}(?:(?:document|doc|source)s?{_SPACE})?({_NUMBERS}){_SPACE}\\?"
_INSIDE = re.compile(_INSIDE_BRACKETS, re.IGNORECASE)
REFERENCE = rf"[{re.escape(OPENING)}]{_INSIDE_BRACKETS}[{re.escape(CLOSING)}]"
"""What is read as a reference, whatever its case."""

# What may stand in brackets while they may still become a reference.
_UNDECIDED = re.compile(r"[\w\s^,;&\\]*")
_QUOTE_MARK = re.compile(r"##(?:begin|end)_quote##", re.IGNORECASE)
_NEXT = re.compile(r"[`~#<\\\[【［]")
_CLOSING_FENCE = re.compile(r"[ \t>]{0,80}(`{0,200}|~{0,200})[ \t]{0,80}\r?\n?")


@dataclass(frozen=True, slots=True)
class Prose:
    """Ordinary text; it may come in several pieces."""

    text: str


@dataclass(frozen=True, slots=True)
class Code:
    """Text in which nothing is a mark, its backticks or fences included."""

    text: str


@dataclass(frozen=True, slots=True)
class Quote:
    """The text between both marks."""

    text: str


@dataclass(frozen=True, slots=True)
class Reference:
    """Numbers in brackets, in their order; a number in prose has three digits at most."""

    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FinalAnswer:
    """What comes now is the final answer."""


@dataclass(frozen=True, slots=True)
class Stray:
    """A mark without a meaning where it stands: it is no text."""


Token = Prose | Code | Quote | Reference | FinalAnswer | Stray


class MarkerLexer:
    """Takes a text apart that comes in pieces.

    A quote without an end, and backticks without their like in the same line, are ordinary text.
    """

    def __init__(self) -> None:
        self._buffer = ""
        self._at = 0
        self._final = False
        self._seen = 0  # characters behind an open quote's mark that hold no other mark
        self._line_is_blank = True  # so far
        self._fence = ""
        self._fence_line = True  # at the start of a line inside a fence
        self._readers: dict[str, Callable[[], Token | None]] = {
            "`": self._backticks, "~": self._tildes, "#": self._hashes, "<": self._angle,
            "\\": self._bracket, **dict.fromkeys(OPENING, self._bracket),
        }  # fmt: skip

    @property
    def holds(self) -> bool:
        """Whether text is held back."""
        return bool(self._buffer)

    def feed(self, text: str) -> Iterator[Token]:
        """What is certain with the next piece of text, in order."""
        self._buffer += text
        return self._tokens()

    def finish(self) -> Iterator[Token]:
        """What is left at the end of the text."""
        self._final = True
        return self._tokens()

    def _tokens(self) -> Iterator[Token]:
        while self._at < len(self._buffer):
            at = self._at
            token = self._fenced() if self._fence else self._next()
            if token is not None:
                yield token
            elif self._at == at:  # nothing is certain, and nothing was passed over
                break
        self._buffer, self._at = self._buffer[self._at :], 0

    def _next(self) -> Token | None:
        found = _NEXT.search(self._buffer, self._at)
        if found is None or found.start() > self._at:
            return self._prose((found.start() if found else len(self._buffer)) - self._at)
        return self._readers[found.group()]()

    def _prose(self, length: int) -> Prose:
        """So many characters as ordinary text."""
        text = self._take(length)
        line = text.rpartition("\n")
        self._line_is_blank = (bool(line[1]) or self._line_is_blank) and not line[2].strip(" \t>")
        return Prose(text)

    def _take(self, length: int) -> str:
        start, self._at = self._at, self._at + length
        return self._buffer[start : self._at]

    def _literal(self, mark: str) -> bool | None:
        """Whether a mark stands here; None while it is not certain."""
        rest = self._buffer[self._at : self._at + len(mark)].lower()
        if rest == mark.lower():
            return True
        return None if not self._final and mark.lower().startswith(rest) else False

    def _first_of(self, *marks: str) -> tuple[str, bool]:
        """The mark that stands here or "", and whether that is certain."""
        known = {mark: self._literal(mark) for mark in marks}
        here = next((mark for mark in marks if known[mark]), "")
        return here, bool(here) or None not in known.values()

    def _hashes(self) -> Token | None:
        mark, certain = self._first_of(BEGIN_QUOTE, END_QUOTE)
        if not certain:
            return None
        if mark == BEGIN_QUOTE:
            return self._quote()
        if mark == END_QUOTE:  # without a beginning
            self._take(len(mark))
            return Stray()
        return self._prose(1)

    def _quote(self) -> Quote | None:
        start = self._at + len(BEGIN_QUOTE)
        limit = start + LONGEST_QUOTE + len(END_QUOTE)
        found = _QUOTE_MARK.search(self._buffer, start + self._seen, limit)
        if found is None and len(self._buffer) < limit and not self._final:
            self._seen = max(0, len(self._buffer) - start - len(BEGIN_QUOTE))
            return None
        self._seen = 0
        if found is None or found.group().lower() == BEGIN_QUOTE:
            self._at = start
            return None
        text = self._buffer[start : found.start()]
        self._at, self._line_is_blank = found.end(), False
        return Quote(text)

    def _angle(self) -> Token | None:
        mark, certain = self._first_of(FINAL_ANSWER, STOP)
        if not certain:
            return None
        if not mark:
            return self._prose(1)
        self._take(len(mark))
        return FinalAnswer() if mark == FINAL_ANSWER else Stray()

    def _bracket(self) -> Token | None:
        start = self._at
        if self._buffer[start] == "\\":
            start += 1
            if start == len(self._buffer) and not self._final:
                return None
            if self._buffer[start : start + 1] not in tuple(OPENING):
                return self._prose(1)
        found = _UNDECIDED.match(self._buffer, start + 1, start + 1 + _LONGEST_REFERENCE)
        end = found.end() if found else start + 1
        short = end <= start + _LONGEST_REFERENCE
        if short and end == len(self._buffer) and not self._final:
            return None
        inside = _INSIDE.fullmatch(self._buffer, start + 1, end) if short else None
        if inside is None or self._buffer[end : end + 1] not in tuple(CLOSING):
            return self._prose(start + 1 - self._at)
        self._at, self._line_is_blank = end + 1, False
        return Reference(tuple(map(int, re.findall(r"\d+", inside[1]))))

    def _run(self, sign: str) -> int | None:
        """How many of a sign stand here; None while more may come."""
        end = self._at
        while self._buffer[end : end + 1] == sign and end - self._at < _LONGEST_CODE:
            end += 1
        certain = self._final or end < len(self._buffer) or end - self._at == _LONGEST_CODE
        return end - self._at if certain else None

    def _tildes(self) -> Token | None:
        run = self._run("~")
        if run is None:
            return None
        return self._opened("~" * run) if run >= 3 and self._line_is_blank else self._prose(run)

    def _backticks(self) -> Token | None:
        run = self._run("`")
        if run is None:
            return None
        behind = self._at + run
        line_end = self._buffer.find("\n", behind, behind + _LONGEST_CODE)
        end = line_end if line_end >= 0 else min(len(self._buffer), behind + _LONGEST_CODE)
        certain = self._final or line_end >= 0 or end == behind + _LONGEST_CODE
        if run >= 3 and self._line_is_blank:
            if not certain:
                return None
            if "`" not in self._buffer[behind:end]:
                return self._opened("`" * run)
        found = re.compile(rf"(?<!`)`{{{run}}}(?!`)").search(self._buffer, behind, end)
        if found and (certain or found.end() < len(self._buffer)):
            self._line_is_blank = False
            return Code(self._take(found.end() - self._at))
        return self._prose(run) if certain else None

    def _opened(self, fence: str) -> Code:
        self._fence, self._fence_line = fence, False
        return Code(self._take(len(fence)))

    def _fenced(self) -> Code | None:
        """The next line inside a fence, or as much of it as is there."""
        line_end = self._buffer.find("\n", self._at) + 1
        line = self._buffer[self._at : line_end or len(self._buffer)]
        closing = _CLOSING_FENCE.fullmatch(line) if self._fence_line else None
        if closing and not line_end and not self._final:
            return None
        if closing and closing[1].startswith(self._fence):
            self._fence, self._line_is_blank = "", True
            return Code(self._take(len(line)))
        self._fence_line = bool(line_end)
        return Code(self._take(len(line)))
