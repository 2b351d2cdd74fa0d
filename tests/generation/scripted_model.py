"""A language model that does what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from ragwright.core.types import Message
from ragwright.generation.language_model import Finish

Step = str | float | Exception | Finish


class ScriptedModel:
    """Takes steps: a text is a piece, a number is a wait in seconds, an error is raised.

    Attributes:
        asked: The messages, `max_tokens` and `temperature` of every call.
        closed: How many streams were closed.
        given: How many pieces were taken.
    """

    name = "scripted"

    def __init__(
        self, *steps: Step, special: Sequence[str] = (), counts: bool = True, endless: bool = False
    ) -> None:
        """Make a model.

        Args:
            steps: Of every answer; a `Finish` is added where there is none.
            special: Its special tokens.
            counts: Whether it knows its tokenizer, in which a word is a token.
            endless: Whether the steps are taken again and again.
        """
        self._steps: list[Step] = list(steps)
        if not endless and not any(isinstance(step, Finish | Exception) for step in steps):
            self._steps.append(Finish("stop", 70, 7))
        self._endless = endless
        self._counts = counts
        self.special_tokens = frozenset(special)
        self.asked: list[tuple[tuple[Message, ...], int, float]] = []
        self.closed = 0
        self.given = 0

    async def stream(
        self, messages: Sequence[Message], *, max_tokens: int, temperature: float
    ) -> AsyncGenerator[str | Finish, None]:
        self.asked.append((tuple(messages), max_tokens, temperature))
        try:
            while True:
                for step in self._steps:
                    if isinstance(step, Exception):
                        raise step
                    if isinstance(step, float):
                        await asyncio.sleep(step)
                    else:
                        self.given += 1
                        yield step
                if not self._endless:
                    return
        finally:
            self.closed += 1

    def count_tokens(self, text: str) -> int | None:
        return len(text.split()) if self._counts else None

    def close(self) -> None:
        """Nothing is held."""
