"""Asking a language model, as a generator does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

from ragwright.core.types import Message
from ragwright.generation.language_model import Finish, LanguageModel

ASKED = (Message("system", "be short"), Message("user", "where has the cat been?"))


async def asked(
    model: LanguageModel,
    messages: Sequence[Message] = ASKED,
    *,
    max_tokens: int = 20,
    temperature: float = 0.0,
    pieces: int | None = None,
) -> list[str | Finish]:
    """What a model gives, at most so many pieces of it."""
    found: list[str | Finish] = []
    async with aclosing(model.stream(messages, max_tokens=max_tokens, temperature=temperature)) as stream:
        async for piece in stream:
            found.append(piece)
            if len(found) == pieces:
                break
    return found


def ask(model: LanguageModel, messages: Sequence[Message] = ASKED, **options: Any) -> list[str | Finish]:
    """The same in an event loop of its own."""
    return asyncio.run(asked(model, messages, **options))


def written(found: Sequence[str | Finish]) -> str:
    """The text of what a model gave."""
    return "".join(piece for piece in found if isinstance(piece, str))
