"""Sentences as character ranges of a text that is never changed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

Range = tuple[int, int]

PROSE_MARKS = ("; ", ": ", "；", ", ", "，", "、")
CODE_MARKS = ("\n\n", "\n")
ROW_MARKS = (" | ", "; ", ", ")

_VISIBLE = re.compile(r"\S")
# A blank line, or a line that begins like a list item.
_HARD_BREAK = re.compile(
    r"\n[^\S\n]*\n\s*|\n(?=[^\S\n]*(?:[-*+•‣▪◦·]|\(?\d{1,3}[.)]|\([A-Za-z]{1,4}\))[^\S\n])"
)
_FULL_STOP = re.compile(r"[.!?…]+[\"'”’»)\]]*(?=\s)")
# A closing bracket behind a full stop.
_ASIDE = re.compile(r"[.!?…][\"'”’»]*[)\]](?=\s)")
# What closes a phrase, and what Markdown puts around one.
_CLOSING = re.compile(r"[*_\"'”’»)\]]+(?=\s|\Z)")
_SPEAKING = re.compile(r"[^\W_][\W_]*[^\W_]")
_LETTER = re.compile(r"[^\W_]")
_MARKER = re.compile(r"[(\[]?(?:\d{1,3}|[A-Za-z]|[ivxlc]{1,5}|[IVXLC]{1,5})[.)\]]{1,2}|[-*+•‣▪◦·]")
_LONGEST_MARKER = 6  # characters
_INITIALS = re.compile(r"(?:[^\W\d_]\.)+")
_OPENING = "([{\"'“‘«"
# sentencex takes quadratic time beyond some megabytes, and with wide full stops from the start; slices keep
# it linear.
_SLICE, _SLICE_WIDE = 32_768, 2_048
_WIDE_STOP = "。"
# In texts without capitals sentencex finds no ends; shorter runs are left as they are.
_CASELESS_LENGTH = 160
# Abbreviations that sentencex knows with a capital, for texts that have none.
_LOWER_ABBREVIATIONS = frozenset({
    "dr.", "mr.", "mrs.", "ms.", "prof.", "st.", "jr.", "sr.", "no.", "nos.", "vs.", "inc.", "co.",
    "corp.", "ltd.", "fig.", "figs.", "e.g.", "i.e.", "cf.", "approx.", "ca.", "al.", "vol.", "pp.", "p.",
    "sec.", "art.", "jan.", "feb.", "mar.", "apr.", "jun.", "jul.", "aug.", "sep.", "sept.", "oct.",
    "nov.", "dec.",
})  # fmt: skip


def trim(text: str, start: int, end: int) -> Range | None:
    """The range without outer white space, or None when nothing visible stands in it."""
    # Most ranges are trimmed already.
    if start < end and not text[start].isspace() and not text[end - 1].isspace():
        return start, end
    first = _VISIBLE.search(text, start, end)
    if first is None:
        return None
    while text[end - 1].isspace():
        end -= 1
    return first.start(), end


def has_letter(text: str, start: int, end: int) -> bool:
    """Whether a letter or a digit stands in a range."""
    return _LETTER.search(text, start, end) is not None


def speaking(text: str, ranges: Iterable[Range], *, limit: int) -> list[Range]:
    """Join what says nothing by itself to its neighbours: signs, single characters, numbers of list items.

    Args:
        text: The text that the ranges belong to.
        ranges: Disjoint, in text order.
        limit: Longest result of a join in characters.

    Returns:
        The ranges, the silent ones joined to the next, the last ones to the one before.
    """
    joined: list[Range] = []
    for start, end in ranges:
        if joined and end - joined[-1][0] <= limit and _silent(text, *joined[-1]):
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    if len(joined) > 1 and joined[-1][1] - joined[-2][0] <= limit and _silent(text, *joined[-1]):
        joined[-2:] = [(joined[-2][0], joined[-1][1])]
    return joined


def _silent(text: str, start: int, end: int) -> bool:
    # Most sentences begin with a word, which the patterns need not look at.
    if end - start > _LONGEST_MARKER and text[start : start + 2].isalnum():
        return False
    if end - start <= _LONGEST_MARKER and _MARKER.fullmatch(text, start, end):
        return True
    return _SPEAKING.search(text, start, end) is None


def shorten(text: str, start: int, end: int, *, limit: int, marks: tuple[str, ...]) -> Iterator[Range]:
    """Cut a trimmed range into trimmed ranges of at most `limit` characters.

    Args:
        text: The text that the range belongs to.
        start: First character.
        end: One past the last.
        limit: Longest range in characters.
        marks: Strings to cut after, best first, where one stands in the second half of the limit; else the
            cut is made at white space, else anywhere.
    """
    while end - start > limit:
        cut = _cut(text[start : start + limit], marks) + start
        piece = trim(text, start, cut)
        if piece is not None:
            yield piece
        rest = trim(text, cut, end)
        if rest is None:
            return
        start = rest[0]
    if start < end:
        yield start, end


def _cut(window: str, marks: tuple[str, ...]) -> int:
    """Where to cut a window: from 1 to its length."""
    for mark in marks:
        at = window.rfind(mark)
        if at >= len(window) // 2:
            return at + len(mark)
    head = window.rsplit(None, 1)
    at = window.rfind(head[-1]) if len(head) == 2 else 0
    return at if at > 0 else len(window)


class SentenceSplitter:
    """Finds sentences with `sentencex`, and mends what it does not know.

    Args:
        language: ISO 639-1 code.
        abbreviations: Words with a full stop that do not end a sentence, as they are written.
        max_characters: Longer sentences are cut at clause marks, else at white space.
    """

    def __init__(self, language: str, abbreviations: Iterable[str], *, max_characters: int = 600) -> None:
        words = frozenset(abbreviations)
        self._language = language
        self._limit = max_characters
        self._words = frozenset(word for word in words if " " not in word)
        self._phrases = tuple(sorted(word for word in words if " " in word))
        self._caseless_words = _LOWER_ABBREVIATIONS | {word.lower() for word in self._words}

    def split(self, text: str, start: int, end: int) -> list[Range]:
        """The sentences of `text[start:end]`.

        Time is linear in the length. A blank line and the start of a list item always end a sentence. What
        says nothing by itself, such as a rule or the number of a list item, belongs to the next sentence, or
        to the one before it at the end, where that keeps the limit.

        Returns:
            Half-open character ranges of `text`, in order, trimmed, not overlapping, at most
            `max_characters` long; together they hold every visible character.
        """
        pieces = [
            piece
            for paragraph in _cut_behind(_HARD_BREAK, text, start, end)
            for sentence in self._sentences(text, *paragraph)
            for piece in shorten(text, *sentence, limit=self._limit, marks=PROSE_MARKS)
        ]
        return speaking(text, pieces, limit=self._limit)

    def _sentences(self, text: str, start: int, end: int) -> Iterator[Range]:
        found = (s for slice_ in _slices(text, start, end) for s in self._segments(text, *slice_))
        segments = [part for s in _closed(text, found) for part in self._asides(text, *s)]
        for sentence in self._joined(text, segments, caseless=False):
            length = sentence[1] - sentence[0]
            if length > self._limit or (
                length > _CASELESS_LENGTH and text[sentence[0] : sentence[1]].islower()
            ):
                yield from self._joined(text, list(_cut_behind(_FULL_STOP, text, *sentence)), caseless=True)
            else:
                yield sentence

    def _segments(self, text: str, start: int, end: int) -> Iterator[Range]:
        """What sentencex finds, aligned with the text by walking over white space and never by search."""
        import sentencex  # the one importer

        cursor = start
        for segment in sentencex.segment(self._language, text[start:end]):
            words = segment.strip()
            if not words:
                continue
            while cursor < end and text[cursor].isspace():
                cursor += 1
            if cursor == end:
                continue
            if text.startswith(words, cursor, end):
                yield cursor, cursor + len(words)
                cursor += len(words)
            else:
                break
        # Only where sentencex changed the text: the rest is cut at its lines.
        while (rest := trim(text, cursor, end)) is not None:
            newline = text.find("\n", rest[0], end)
            cursor = end if newline < 0 else newline
            line = trim(text, rest[0], cursor)
            if line is not None:
                yield line

    def _asides(self, text: str, start: int, end: int) -> Iterator[Range]:
        """A segment, cut behind whole sentences in brackets at its start."""
        while text[start] in "([" and (match := _ASIDE.search(text, start, end)) is not None:
            close = match.end()
            inside = text[start:close]
            following = _VISIBLE.search(text, close, end)
            if (
                following is None
                or not (text[following.start()] in _OPENING or text[following.start()].isupper())
                or inside.count("(") + inside.count("[") != inside.count(")") + inside.count("]")
                or inside.split()[-1].strip("([])") in self._words
            ):
                break
            yield start, close
            start = following.start()
        yield start, end

    def _joined(self, text: str, segments: list[Range], *, caseless: bool) -> Iterator[Range]:
        """Segments, joined where the break between two of them is not the end of a sentence."""
        if not segments:
            return
        start, end = segments[0]
        last = start
        for following, following_end in segments[1:]:
            if not self._continues(text, (last, end), following, caseless=caseless):
                yield start, end
                start = following
            last, end = following, following_end
        yield start, end

    def _continues(self, text: str, segment: Range, following: int, *, caseless: bool) -> bool:
        """Whether the text goes on in the same sentence after a segment."""
        start, end = segment
        tail = text[max(start, end - 40) : end]
        word = tail.split()[-1].lstrip(_OPENING)
        if end - start <= _LONGEST_MARKER and _MARKER.fullmatch(tail):
            return True
        if word in self._words or (self._phrases and tail.endswith(self._phrases)):
            return True
        if caseless:
            return word in self._caseless_words or _INITIALS.fullmatch(word) is not None
        return text[following].islower()


def _closed(text: str, segments: Iterable[Range]) -> Iterator[Range]:
    """Segments, each with the closing signs that follow it without white space."""
    start = last = -1
    for following, end in segments:
        if following == last and (match := _CLOSING.match(text, following, end)) is not None:
            last = match.end()
            rest = trim(text, last, end)
            if rest is None:
                continue
            following = rest[0]
        if start >= 0:
            yield start, last
        start, last = following, end
    if start >= 0:
        yield start, last


def _cut_behind(mark: re.Pattern[str], text: str, start: int, end: int) -> Iterator[Range]:
    """Trimmed ranges, cut behind every match."""
    cursor = start
    for cut in (*(match.end() for match in mark.finditer(text, start, end)), end):
        piece = trim(text, cursor, cut)
        if piece is not None:
            yield piece
        cursor = cut


def _slices(text: str, start: int, end: int) -> Iterator[Range]:
    """Ranges of a bounded length, cut after a full stop where there is one, else at white space."""
    while end - start > _SLICE_WIDE:
        window = text[start : min(end, start + _SLICE)]
        mark = ". "
        if _WIDE_STOP in window:
            window, mark = window[:_SLICE_WIDE], _WIDE_STOP
        if len(window) == end - start:
            break
        cut = window.rfind(mark, len(window) // 2) + 1 or _cut(window, ())
        yield start, start + cut
        start += cut
    yield start, end
