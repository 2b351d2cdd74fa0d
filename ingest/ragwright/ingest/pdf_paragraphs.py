"""Where paragraphs begin in a column of lines, and how their lines become one text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from ragwright.ingest.pdf_layout import Line

_HYPHENS = "-\u2010"
_SOFT_HYPHEN = "\u00ad"
_WORD_END = re.compile(r"(\w[\w\-\u2010]*)[-\u2010]$")
_WORD_START = re.compile(r"\w[\w\-\u2010]*")
_HYPHENATED = re.compile(r"\w+(?:[-\u2010]\w+)+")
BULLET = re.compile(r"[•◦▪■□●○‣⁃∙·➢➤✓❖◆►▶\uf0b7\uf0a7\uf0d8–—*-]\s+\S|[•◦▪■●‣➢➤❖◆►▶\uf0b7\uf0a7\uf0d8]\S")
_ORDERED = re.compile(
    r"(?:\(?\d{1,2}[.)]|\d{1,2}(?:\.\d{1,2})+:|\(\d{1,2}\)|\(?[a-z][.)]|\(?[ivx]{1,4}[.)])\s+\S"
)
_SENTENCE_END = re.compile(r"[.!?:。！？][\"'”’)\]]*$")
CAPTION = re.compile(
    r"(?:fig\.|figure|table|tab\.|abbildung|abb\.|tabelle|tableau|chart|exhibit|listing|scheme|plate)"
    r"\s*(?:\d+(?:[.\-]\d+)*|[IVX]+)(?:\s*[:.–—]|\s*$)",
    re.IGNORECASE,
)
LEADERS = re.compile(r"(?:\.{4,}|(?:\. ){3,}|…{2,})\s*\S{0,6}$")


@dataclass(frozen=True, slots=True)
class _Column:
    """Extents in points, usual line distance in font sizes, and usual font size, of one column."""

    left: float
    right: float
    pitch: float
    size: float


def _column(lines: Sequence[Line]) -> _Column:
    left, right = min(line.left for line in lines), max(line.right for line in lines)
    return _Column(left, right, _pitch(lines), median(line.size for line in lines))


def _pitch(lines: Sequence[Line]) -> float:
    """The usual distance between baselines, in multiples of the font size; 1.2 when nothing can be seen."""
    steps = [
        (upper.baseline - lower.baseline) / lower.size
        for upper, lower in pairwise(lines)
        if 0.8 < (upper.baseline - lower.baseline) / lower.size < 2.5
    ]
    return median(steps) if steps else 1.2


def paragraphs(lines: Sequence[Line]) -> list[list[Line]]:
    """Part the lines of a column where a new paragraph, heading or list item begins.

    Args:
        lines: Of one column, from top to bottom.
    """
    if not lines:
        return []
    column = _column(lines)
    groups = [[lines[0]]]
    for line in lines[1:]:
        if _begins(line, groups[-1], column):
            groups.append([line])
        else:
            groups[-1].append(line)
    return groups


def _begins(line: Line, group: Sequence[Line], column: _Column) -> bool:
    above = group[-1]
    step = (above.baseline - line.baseline) / max(line.size, above.size)
    if not 0.5 < step <= 1.3 * max(column.pitch, 1.0):
        return True
    hangs = is_item(group[0].text) and line.left > group[0].left + 0.4 * line.size
    if abs(above.size - line.size) > 0.12 * max(above.size, line.size):
        return True
    display = min(above.size, line.size) > 1.15 * column.size
    if above.bold != line.bold and not hangs and not display:
        return True
    if is_item(line.text) or LEADERS.search(above.text) or CAPTION.match(line.text):
        return True
    if _is_centred(above, line, column):
        return False
    return _is_indented(line, group) or _breaks_off(above, line, column)


def is_item(text: str) -> bool:
    """Whether a text begins with a bullet or an item's number."""
    # A middle dot is a bullet in Word's files, but parts keywords when a line has several.
    return bool((BULLET.match(text) and text.count("·") < 2) or _ORDERED.match(text))


def _is_centred(above: Line, line: Line, column: _Column) -> bool:
    """Both lines stand clear of the left margin and share their middle."""
    margin = min(above.left, line.left) - column.left
    return margin > 2 * line.size and abs((above.left + above.right) - (line.left + line.right)) < line.size


def _is_indented(line: Line, group: Sequence[Line]) -> bool:
    """Whether a line starts further right than a paragraph's lines, or further left than an item's."""
    if is_item(group[0].text):
        return line.left < group[-1].left - 0.5 * line.size and len(group) > 1
    shift = line.left - group[-1].left
    hanging = len(group) > 1 and group[1].left > group[0].left + 0.7 * line.size
    if hanging:
        return shift < -0.7 * line.size
    return 0.7 * line.size < shift < 6 * line.size


def _breaks_off(above: Line, line: Line, column: _Column) -> bool:
    """Whether the line above ends early and the next one opens a sentence."""
    room = column.right - above.right
    width = column.right - column.left
    if line.text[0].islower() or above.text[-1] in _HYPHENS + ",":
        return False
    if _SENTENCE_END.search(above.text):
        return room > max(0.12 * width, 3 * line.size)
    return room > 0.35 * width


class Compounds:
    """The hyphenated and plain words of a document, to tell a divided word from a compound."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts: Iterable[str] | None = texts if isinstance(texts, Sequence) else list(texts)
        self._hyphenated: frozenset[str] = frozenset()

    def keeps_hyphen(self, left: str, right: str) -> bool:
        """Whether `left-right` stands unbroken elsewhere, or can be no divided word.

        That is a chain such as `state-of-the-art`, or a left part that is one letter or a number.
        """
        if self._texts is not None:
            found = (match.casefold() for text in self._texts for match in _HYPHENATED.findall(text))
            self._hyphenated, self._texts = frozenset(found), None
        word = f"{left}-{right}".casefold().replace("\u2010", "-")
        return "-" in left or len(left) == 1 or left.isdigit() or word in self._hyphenated


def join_lines(texts: Sequence[str], compounds: Compounds) -> str:
    """Lines as one running text.

    A soft hyphen at a line's end goes. A plain one goes before a lower-case letter, unless the document has
    the word with its hyphen elsewhere; before anything else it stays, without a space.

    >>> join_lines(["The oil pres-", "sure of the TF-", "IDF"], Compounds([]))
    'The oil pressure of the TF-IDF'
    """
    result = texts[0]
    for text in texts[1:]:
        if result.endswith(_SOFT_HYPHEN):
            result = result.rstrip(_SOFT_HYPHEN) + text
            continue
        divided, start = _WORD_END.search(result), _WORD_START.match(text)
        if divided is None or start is None:
            result = f"{result} {text}"
        elif text[0].islower() and not compounds.keeps_hyphen(divided.group(1), start.group()):
            result = result[:-1] + text
        else:
            result += text
    return result
