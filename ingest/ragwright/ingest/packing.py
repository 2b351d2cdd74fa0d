"""Filling chunks with pieces, in order, up to a budget."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from ragwright.ingest.ruler import CHARACTERS_PER_TOKEN, TokenRuler
from ragwright.ingest.sentences import Range


@dataclass(frozen=True, slots=True)
class Budget:
    """How long a chunk's text may be.

    Attributes:
        tokens: Longest text in tokens.
        overlap: How many tokens neighbouring chunks may share.
    """

    tokens: int
    overlap: int

    @property
    def characters(self) -> int:
        """Longest text in characters."""
        return self.tokens * CHARACTERS_PER_TOKEN


def pack(pieces: Sequence[Range], ruler: TokenRuler, budget: Budget) -> list[Range]:
    """Put neighbouring pieces together while they keep the budget.

    Args:
        pieces: Trimmed ranges in text order, each within the budget.
        ruler: Of the text they belong to.
        budget: For each result; the overlap is made of whole pieces.

    Returns:
        Ranges in text order, each from the start of a piece to the end of one; no piece is left out.
    """
    if not pieces:
        return []
    starts = [start for start, _ in pieces]
    ends = [end for _, end in pieces]
    before, after = ruler.indices(starts), ruler.indices(ends)
    packed: list[Range] = []
    first = 0
    while True:
        last = bisect_right(after, before[first] + budget.tokens, first) - 1
        last = max(first, min(last, bisect_right(ends, starts[first] + budget.characters, first) - 1))
        packed.append((starts[first], ends[last]))
        if last + 1 == len(pieces):
            return packed
        # The overlap must leave room for the next piece, or nothing would be gained.
        need = max(after[last] - budget.overlap, after[last + 1] - budget.tokens)
        first = bisect_left(before, need, first + 1, last + 1)
        # Pieces of one unknown word count no tokens, so characters bound both as well.
        need = max(ends[last] - budget.overlap * CHARACTERS_PER_TOKEN, ends[last + 1] - budget.characters)
        first = max(first, bisect_left(starts, need, first, last + 1))
