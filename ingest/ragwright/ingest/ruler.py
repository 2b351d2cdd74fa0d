"""Lengths in tokens, from one tokenisation of a whole text."""

from __future__ import annotations

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
# White space to Python, but dropped by BERT's normaliser, so that it parts no words.
_GLUE = "\x0b\x0c\x1c\x1d\x1e\x1f\x85"


class TokenRuler:
    """Measures ranges of one text."""

    def __init__(self, text: str, tokenizer: Tokenizer) -> None:
        self.text = text
        self.starts = tokenizer.starts(text)  # (tokens,) ascending
        self._tokenizer = tokenizer

    def indices(self, positions: Sequence[int] | Positions) -> list[int]:
        """How many tokens begin before each position, same order."""
        found: list[int] = self.starts.searchsorted(np.asarray(positions, dtype=np.int64)).tolist()
        return found

    def size(self, start: int, end: int) -> int:
        """Exact length of `text[start:end]` in tokens, also where it begins or ends inside a word."""
        if self._parts_words(start) and self._parts_words(end):
            first, last = self.indices((start, end))
            return last - first
        return len(self._tokenizer.starts(self.text[start:end]))

    def divide(self, start: int, end: int, *, limit: int) -> Iterator[Range]:
        """Cut a range into trimmed ranges of at most `limit` tokens, between words where that is possible.

        A single character of more tokens than the limit stays whole.
        """
        rest: Range | None = trim(self.text, start, end)
        while rest is not None:
            start, end = rest
            cut = self._cut(start, end, limit=limit)
            piece = trim(self.text, start, cut)
            if piece is not None:
                yield piece
            rest = trim(self.text, cut, end) if cut < end else None

    def _cut(self, start: int, end: int, *, limit: int) -> int:
        """Where the longest piece from `start` that keeps the limit ends."""
        cut = self._guess(start, min(end, start + limit * CHARACTERS_PER_TOKEN), limit=limit)
        while cut - start > 1 and (size := self.size(start, cut)) > limit:
            # Inside a word the parts may have more tokens than the whole.
            cut = start + max(1, min(cut - start - 1, (cut - start) * limit // size))
        return cut

    def _guess(self, start: int, end: int, *, limit: int) -> int:
        first, last = self.indices((start, end))
        if last - first > limit:
            end = int(self.starts[first + limit])
        if self._parts_words(end):
            return end
        floor = start + (end - start) // 2
        words = self.text[floor:end].rsplit(None, 1)
        if len(words) == 2 and end - len(words[1]) > floor:
            return end - len(words[1])
        return max(end, start + 1)

    def _parts_words(self, position: int) -> bool:
        """Whether no word runs across a position, so that token counts on both sides add up."""
        if position == 0 or position >= len(self.text):
            return True
        return any(c.isspace() and c not in _GLUE for c in self.text[position - 1 : position + 1])
