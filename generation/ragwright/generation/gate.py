"""What is held back until it is known whether it is an answer."""

from __future__ import annotations

from ragwright.core.types import Delta
from ragwright.generation.deltas import join
from ragwright.generation.folding import normalise
from ragwright.generation.refusal import REFUSAL

_SENTENCE = normalise(REFUSAL)
_START = 2 * len(REFUSAL)  # characters of an answer that tell whether it begins with the refusal


class Gate:
    """Holds the start of an answer back.

    Attributes:
        shown: Whether the answer has begun to be shown.
    """

    def __init__(self, *, until_cited: bool) -> None:
        """Make a gate.

        Args:
            until_cited: Whether nothing is shown before a citation; else only a possible refusal is held.
        """
        self.shown = False
        self._until_cited = until_cited
        self._held: list[Delta] = []
        self._start = ""

    def pass_on(self, delta: Delta, *, verified: bool) -> Delta | None:
        """What may be shown now: with the first piece of it all that was held; None when there is nothing.

        Args:
            delta: The next piece.
            verified: Whether it, or one before, holds a citation that stands in a passage.
        """
        if self.shown:
            return delta
        self._held.append(delta)
        self._start = (self._start + delta.text)[:_START]
        if self.refuses() or (self._may_refuse() if not self._until_cited else not verified):
            return None
        return self.open()

    def open(self) -> Delta | None:
        """Everything that was held; from now on nothing is."""
        self.shown = True
        held, self._held = self._held, []
        return join(held) if held else None

    def refuses(self, *, ended: bool = False) -> bool:
        """Whether the model refused: its text begins with the sentence for that.

        Args:
            ended: Whether the text is complete: the full stop may be missing then.
        """
        start = normalise(self._start)
        if self.shown:
            return False
        return start.startswith(_SENTENCE) or (ended and start == _SENTENCE.rstrip("."))

    def _may_refuse(self) -> bool:
        return _SENTENCE.startswith(normalise(self._start))
