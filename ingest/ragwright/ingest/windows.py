"""Chunks that heed no structure: packed sentences, and windows of a fixed length."""

from __future__ import annotations

from collections.abc import Sequence

from ragwright.ingest.packing import Budget, pack
from ragwright.ingest.ruler import TokenRuler
from ragwright.ingest.sentences import Range, trim


def sentences(run: Sequence[Range], ruler: TokenRuler, budget: Budget) -> list[Range]:
    """Whole sentences, packed within the budget; the overlap is made of whole sentences too.

    Args:
        run: Sentences of text without furniture between them.
        ruler: Of their text.
        budget: For each result.
    """
    return pack(within(run, ruler, budget), ruler, budget)


def within(pieces: Sequence[Range], ruler: TokenRuler, budget: Budget) -> list[Range]:
    """Disjoint pieces in order, those beyond the budget divided."""
    before = ruler.indices([start for start, _ in pieces])
    after = ruler.indices([end for _, end in pieces])
    result: list[Range] = []
    long: list[Range] = []
    for piece, first, last in zip(pieces, before, after, strict=True):
        fits = last - first <= budget.tokens and piece[1] - piece[0] <= budget.characters
        (result if fits else long).append(piece)
    return sorted(result + ruler.divide(long, limit=budget.tokens))


def fixed(run: Sequence[Range], ruler: TokenRuler, budget: Budget) -> list[Range]:
    """Windows of equal length in tokens, moved back to the end of a word where one is near.

    A window that begins or ends inside a word may turn out longer by itself than it was counted.

    Args:
        run: Sentences of text without furniture between them.
        ruler: Of their text.
        budget: For each result.
    """
    if not run:
        return []
    rest: Range | None = (run[0][0], run[-1][1])
    windows: list[Range] = []
    while rest is not None:
        window = trim(ruler.text, rest[0], ruler.guess(*rest, limit=budget.tokens)) or rest
        windows.append(window)
        if window[1] >= rest[1]:
            break
        back = _word_start(ruler, window, budget.overlap)
        rest = trim(ruler.text, back, rest[1])
    return windows


def _word_start(ruler: TokenRuler, window: Range, overlap: int) -> int:
    """Where the last `overlap` tokens of a window begin, moved on to the start of a word; its end without."""
    last = ruler.indices((window[1],))[0]
    position = max(last - overlap, ruler.indices((window[0],))[0] + 1)
    while position < last and not ruler.text[int(ruler.starts[position]) - 1].isspace():
        position += 1
    return int(ruler.starts[position]) if position < last else window[1]
