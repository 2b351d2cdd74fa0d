"""Chunks by separators: blank lines, then lines, then sentences, then words, then characters."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import pairwise

from ragwright.ingest.packing import Budget, pack
from ragwright.ingest.ruler import TokenRuler
from ragwright.ingest.sentences import Range, trim
from ragwright.ingest.windows import within

_SEPARATORS = (re.compile(r"\n[^\S\n]*\n\s*"), re.compile(r"\n\s*"))


def recursive(run: Sequence[Range], ruler: TokenRuler, budget: Budget) -> list[Range]:
    """Ranges within the budget, cut at the coarsest separator that is fine enough, then packed.

    Args:
        run: Sentences of text without furniture between them.
        ruler: Of their text.
        budget: For each result.
    """
    starts = [start for start, _ in run]

    def leaves(start: int, end: int, depth: int) -> Iterator[Range]:
        if ruler.count(start, end) <= budget.tokens and end - start <= budget.characters:
            yield start, end
        elif depth < len(_SEPARATORS):
            for piece in _parts(ruler.text, start, end, _SEPARATORS[depth]):
                yield from leaves(*piece, depth + 1)
        elif depth == len(_SEPARATORS):
            inner = starts[bisect_left(starts, start + 1) : bisect_left(starts, end)]
            for piece in _between(ruler.text, [start, *inner, end]):
                yield from leaves(*piece, depth + 1)
        else:
            yield start, end

    if not run:
        return []
    return pack(within(list(leaves(run[0][0], run[-1][1], 0)), ruler, budget), ruler, budget)


def _parts(text: str, start: int, end: int, separator: re.Pattern[str]) -> Iterator[Range]:
    cuts = [start, *(match.start() for match in separator.finditer(text, start, end)), end]
    return _between(text, cuts)


def _between(text: str, cuts: Sequence[int]) -> Iterator[Range]:
    for start, end in pairwise(cuts):
        piece = trim(text, start, end)
        if piece is not None:
            yield piece
