"""Lengths in tokens, from one tokenisation of a whole text."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ragwright.core.protocols import Tokenizer
from ragwright.ingest.sentences import Range, trim

Positions = NDArray[np.int64]  # (n,)

CHARACTERS_PER_TOKEN = 16
"""A chunk holds at most this many characters per token of its budget.

A run of signs that the vocabulary lacks is one token however long it is; without a bound on characters a
chunk of it would be a whole file.
"""
# How many ranges are tokenised in one call; bounds the memory.
_BATCH = 4096
# Behind these a text without white space is cut best.
_SIGNS = "。．！？；，、.;,!?/+=-"
# White space to Python, but dropped by BERT's normaliser, so that it parts no words.
_GLUE = "\x0b\x0c\x1c\x1d\x1e\x1f\x85"


class TokenRuler:
    """Measures ranges of one text."""

    def __init__(self, text: str, tokenizer: Tokenizer) -> None:
        self.text = text
        self.starts = tokenizer.starts(text)  # (tokens,) ascending
        self._sorted = self.starts.data
        self._tokenizer = tokenizer

    def count(self, start: int, end: int) -> int:
        """How many tokens begin in a range."""
        first = bisect_left(self._sorted, start)
        return bisect_left(self._sorted, end, first) - first

    def indices(self, positions: Sequence[int] | Positions) -> list[int]:
        """How many tokens begin before each position, same order."""
        found: list[int] = self.starts.searchsorted(np.asarray(positions, dtype=np.int64)).tolist()
        return found

    def size(self, start: int, end: int) -> int:
        """Exact length of `text[start:end]` in tokens, also where it begins or ends inside a word."""
        return self.sizes([(start, end)])[0]

    def sizes(self, ranges: Sequence[Range]) -> list[int]:
        """Exact length of each range in tokens, same order.

        Those that begin or end inside a word are tokenised again, many in one call.
        """
        before = self.indices([start for start, _ in ranges])
        after = self.indices([end for _, end in ranges])
        sizes = [last - first for first, last in zip(before, after, strict=True)]
        inside = [k for k, (start, end) in enumerate(ranges) if not self._parted(start, end)]
        for first in range(0, len(inside), _BATCH):
            batch = inside[first : first + _BATCH]
            for k, size in zip(batch, self._apart([ranges[k] for k in batch]), strict=True):
                sizes[k] = size
        return sizes

    def divide(self, ranges: Sequence[Range], *, limit: int) -> list[Range]:
        """Cut ranges into trimmed ranges of at most `limit` tokens, between words where that is possible.

        Args:
            ranges: What is to be cut.
            limit: Longest result in tokens; a single character of more stays whole.

        Returns:
            Sorted ranges that hold every visible character of those given.
        """
        done: list[Range] = []
        waiting = [piece for found in ranges for piece in self._guesses(*found, limit=limit)]
        while waiting:
            shorter: list[Range] = []
            for (start, end), size in zip(waiting, self.sizes(waiting), strict=True):
                if size <= limit or end - start == 1:
                    done.append((start, end))
                else:
                    # Inside a word the parts may have more tokens than the whole.
                    shorter.extend(self._evenly(start, end, parts=min(end - start, -(-size // limit))))
            waiting = shorter
        return sorted(done)

    def guess(self, start: int, end: int, *, limit: int) -> int:
        """Where to end a piece from `start` that keeps a limit as the whole text was tokenised.

        Returns:
            A position behind `start`: between words where one ends in the second half, else behind a sign,
            else anywhere.
        """
        end = min(end, start + limit * CHARACTERS_PER_TOKEN)
        first, last = self.indices((start, end))
        if last - first > limit:
            end = int(self.starts[first + limit])
        if self._parts_words(end):
            return max(end, start + 1)
        floor = start + (end - start) // 2
        words = self.text[floor:end].rsplit(None, 1)
        if len(words) == 2 and end - len(words[1]) > floor:
            return end - len(words[1])
        sign = max(self.text.rfind(sign, floor, end) for sign in _SIGNS) + 1
        return max(end, start + 1) if sign <= start else sign

    def _guesses(self, start: int, end: int, *, limit: int) -> Iterator[Range]:
        rest = trim(self.text, start, end)
        while rest is not None:
            cut = self.guess(*rest, limit=limit)
            piece = trim(self.text, rest[0], cut)
            if piece is not None:
                yield piece
            rest = trim(self.text, cut, end) if cut < end else None

    def _evenly(self, start: int, end: int, *, parts: int) -> Iterator[Range]:
        length = end - start
        for part in range(parts):
            piece = trim(self.text, start + length * part // parts, start + length * (part + 1) // parts)
            if piece is not None:
                yield piece

    def _apart(self, ranges: Sequence[Range]) -> list[int]:
        """Lengths in tokens of ranges that are read as if each stood alone: between line ends."""
        texts = [self.text[start:end] for start, end in ranges]
        starts = self._tokenizer.starts("\n".join(texts))
        lengths = np.fromiter((len(text) for text in texts), np.int64, len(texts))
        ends = np.cumsum(lengths + 1) - 1
        counts: list[int] = (starts.searchsorted(ends) - starts.searchsorted(ends - lengths)).tolist()
        return counts

    def _parted(self, start: int, end: int) -> bool:
        return self._parts_words(start) and self._parts_words(end)

    def _parts_words(self, position: int) -> bool:
        """Whether no word runs across a position, so that token counts on both sides add up."""
        if position == 0 or position >= len(self.text):
            return True
        return any(c.isspace() and c not in _GLUE for c in self.text[position - 1 : position + 1])
