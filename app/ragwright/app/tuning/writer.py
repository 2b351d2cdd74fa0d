"""A configured language model as what writes questions: many prompts at a time, thoughts left out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from ragwright.core.errors import ServiceError

if TYPE_CHECKING:
    from ragwright.core.types import Message
    from ragwright.generation.language_model import LanguageModel

_AT_ONCE = 8
_LOGGER = logging.getLogger("ragwright")


class ModelWriter:
    """Has a language model write what prompts ask for."""

    def __init__(self, model: LanguageModel, *, at_once: int = _AT_ONCE) -> None:
        """Make a writer.

        Args:
            model: Writes.
            at_once: The most prompts that it works on at a time.
        """
        self.name = model.name
        self._model, self._at_once = model, at_once

    def write(
        self, prompts: Sequence[Sequence[Message]], *, max_tokens: int, temperature: float
    ) -> list[str]:
        """See `ragwright.core.protocols.Writer`."""
        return asyncio.run(self._written(prompts, max_tokens, temperature))

    async def _written(
        self, prompts: Sequence[Sequence[Message]], max_tokens: int, temperature: float
    ) -> list[str]:
        turn = asyncio.Semaphore(self._at_once)
        failed: list[ServiceError] = []

        async def one(prompt: Sequence[Message]) -> str:
            async with turn:
                try:
                    return await self._text(prompt, max_tokens, temperature)
                except ServiceError as error:
                    failed.append(error)
                    return ""

        written = await asyncio.gather(*map(one, prompts))
        if failed and len(failed) == len(prompts):
            raise failed[0]
        if failed:
            _LOGGER.warning(
                "%s failed for %d of %d prompts: %s", self.name, len(failed), len(prompts), failed[0]
            )
        return list(written)

    async def _text(self, prompt: Sequence[Message], max_tokens: int, temperature: float) -> str:
        from ragwright.generation.language_model import Finish
        from ragwright.generation.neutralise import restored
        from ragwright.generation.thinking import WithoutThinking

        text, thinking = "", WithoutThinking()
        stream = self._model.stream(prompt, max_tokens=max_tokens, temperature=temperature)
        async with aclosing(stream) as pieces:
            async for piece in pieces:
                if isinstance(piece, Finish):
                    break
                text += thinking.feed(piece)
        return restored(text + thinking.finish())
