"""An answer from a generator where nobody waits for its pieces."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from ragwright.core.protocols import Generator
from ragwright.core.types import Answer, AnswerRequest


def answered(generator: Generator, request: AnswerRequest) -> Answer:
    """The whole answer; for threads that run no event loop.

    Raises:
        ServiceError: See `Generator.stream`.
    """
    return asyncio.run(answer_of(generator, request))


async def answer_of(generator: Generator, request: AnswerRequest) -> Answer:
    """The whole answer.

    Raises:
        ServiceError: See `Generator.stream`.
    """
    answer = None
    async with aclosing(generator.stream(request)) as events:
        async for event in events:
            if isinstance(event, Answer):
                answer = event
    if answer is None:
        raise RuntimeError(f"generator {generator.name} ended without an answer")
    return answer
