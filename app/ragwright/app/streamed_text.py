"""Text on a terminal while it is being written: wrapped at words, each shown as soon as it is whole."""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from typing import Self

from ragwright.app.console import Console, Styled, escape_control
from ragwright.app.layout import columns

# East Asian scripts and pictures: no blank parts their words, and a line may end behind any of their signs.
_WIDE = "\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\U0001f300-\U0001faff"
_TOKEN = re.compile(rf"\s+|[{_WIDE}]|[^\s{_WIDE}]+")
_WIDE_SIGN = re.compile(f"[{_WIDE}]")
_MARKER = re.compile(r"\[\d+\]$")
# What begins a line of its own: a list's item, a heading, a quote, a table's row, code.
_BEGINS_LINE = re.compile(r"([-*+#>|]|•|\d{1,3}[.)]$|```)")
_ERASED_LINE = "\r\x1b[K"


def is_watched(console: Console) -> bool:
    """Whether a person looks on while results are written: stdout is a terminal, and holds no JSON."""
    return sys.stdout.isatty() and not console.json


class StreamedText:
    """Writes what it is given to stdout; one line break of the text counts as a blank, as in `tell_text`."""

    def __init__(self, console: Console) -> None:
        """Nothing is written yet, and the cursor stands at the beginning of a line."""
        self._console = console
        self._columns = columns()
        self._column = 0
        self._gap = ""  # white space before the word
        self._word = ""  # as far as it is known
        self._is_row = False  # of a table: such lines keep their end

    def add(self, text: str) -> None:
        """Write the next piece of the text, but for its last word, which may go on in the next one."""
        for token in _TOKEN.findall(text):
            if token.isspace():
                self._write_word()
                self._gap += token
            elif _WIDE_SIGN.match(token):
                self._write_word()
                self._word = token
            else:
                if _WIDE_SIGN.match(self._word):
                    self._write_word()
                self._word += token

    def end(self) -> None:
        """Write what is left, and end the line."""
        self._write_word()
        if self._column:
            self._break_line()

    def _write_word(self) -> None:
        if not self._word:
            return
        word = escape_control(self._word, keep="")
        width = sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in word)
        self._write_gap(word, width)
        marker = _MARKER.search(word)
        if marker:
            self._console.out(word[: marker.start()], Styled(marker[0], "bold"), end="")
        else:
            self._console.out(word, end="")
        self._column += width
        self._is_row = self._is_row or "|" in word or "\t" in self._gap
        self._gap = self._word = ""

    def _write_gap(self, word: str, width: int) -> None:
        """Write what parts a word from the one before it."""
        blank = 1 if self._gap else 0
        breaks = self._gap.count("\n")
        if not self._column:
            return
        if breaks > 1:
            self._break_line()
            self._console.out("")
        elif (breaks and (self._is_row or _BEGINS_LINE.match(word))) or (
            self._column + blank + width > self._columns
        ):
            self._break_line()
        elif blank:
            self._console.out(" ", end="")
            self._column += 1

    def _break_line(self) -> None:
        self._console.out("")
        self._column = 0
        self._is_row = False


class Status:
    """Says on stderr what is being done, in place, until it is cleared; only where that is a terminal."""

    def __init__(self, console: Console) -> None:
        """Nothing is said yet."""
        can_erase = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._is_wanted = can_erase and is_watched(console) and not console.quiet
        self._is_shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def say(self, words: str) -> None:
        """Say something in the place of what was said before."""
        if self._is_wanted:
            self._write(f"{_ERASED_LINE}{words} …")
            self._is_shown = True

    def clear(self) -> None:
        """Take away what was said, before anything else is written; harmless when called twice."""
        if self._is_shown:
            self._write(_ERASED_LINE)
            self._is_shown = False

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
