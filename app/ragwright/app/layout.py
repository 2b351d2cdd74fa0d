"""Running text on a terminal: wrapped to its width, indented, markers and offsets told apart."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Sequence

from ragwright.app.console import Console, Styled, escape_control

_WIDEST = 100  # columns; longer lines are hard to read
_NARROWEST = 24
_ROW = re.compile(r"\||\t")
_SIGN = re.compile(r"\[\d+\](?=\s|$)|\[\d+-\d+[^\]]*\]$")


def tell_text(console: Console, text: str, *, indent: int = 0, tail: str = "") -> None:
    """Write a text from a document to stdout, its paragraphs wrapped on a terminal and one line elsewhere.

    Args:
        console: Where to.
        text: Escaped here; rows of a table keep their lines.
        indent: Spaces before every line.
        tail: Put behind the text, such as its offsets.
    """
    paragraphs = _paragraphs(escape_control(text))
    for number, paragraph in enumerate(paragraphs, 1):
        whole = f"{paragraph} {tail}" if tail and number == len(paragraphs) else paragraph
        for line in _wrapped(whole, indent):
            console.out(*_signed(line))


def columns() -> int:
    """How wide running text is on the terminal: 24 to 100 columns."""
    return max(_NARROWEST, min(_WIDEST, shutil.get_terminal_size().columns - 1))


def shortened(text: str, characters: int) -> str:
    """The beginning of a text, on one line, cut at a word and ended by … where something is left out."""
    line = " ".join(text.split())
    if len(line) <= characters:
        return line
    head, space, _ = line[:characters].rpartition(" ")
    return (head if space else line[:characters]) + " …"


def _paragraphs(text: str) -> list[str]:
    """Lines joined as they run on; rows of a table, and lines of a paragraph of their own, stand alone."""
    paragraphs: list[str] = []
    running = False
    for line in text.split("\n"):
        words, row = " ".join(line.split()), bool(_ROW.search(line))
        if words and running and not row:
            paragraphs[-1] += " " + words
        elif words:
            paragraphs.append(words)
        running = bool(words) and not row
    return paragraphs or [""]


def _wrapped(text: str, indent: int) -> Sequence[str]:
    margin = " " * indent
    if not sys.stdout.isatty():
        return [margin + text]
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    width = max(_NARROWEST // 2, columns() * len(text) // (len(text) + wide)) if wide else columns()
    return textwrap.wrap(
        text, width, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False
    ) or [margin]


def _signed(line: str) -> list[str | Styled]:
    """A line with its markers and offsets dimmed or bold, so that they are not taken for the document's."""
    parts: list[str | Styled] = []
    last = 0
    for match in _SIGN.finditer(line):
        marker = "-" not in match[0]
        parts += [line[last : match.start()], Styled(match[0], "bold" if marker else "dim")]
        last = match.end()
    return [*parts, line[last:]]
