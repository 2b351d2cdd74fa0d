"""A generator that never ends by itself, and counts how many of its answers are being written."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import replace

from ragwright.app.serve.collections import Collections
from ragwright.core.types import AnswerEvent, AnswerRequest, Delta


class SlowGenerator:
    """Writes a word twenty times a second, or nothing at all where the question says `silent`."""

    name = "slow"

    def __init__(self) -> None:
        self.running = 0
        self.began = 0

    async def stream(self, request: AnswerRequest) -> AsyncGenerator[AnswerEvent, None]:
        """Words without end."""
        self.running += 1
        self.began += 1
        try:
            while True:
                if "silent" not in request.question:
                    yield Delta("word ")
                await asyncio.sleep(0.05)
        finally:
            self.running -= 1

    def with_it(self, collections: Collections) -> Collections:
        """The collections, with this as their first generator; see `serving(adapted=...)`."""
        return Collections(
            {
                each.name: replace(each, generators={self.name: self, **each.generators})
                for each in collections
            }
        )

    def wait_until(self, *, running: int, seconds: float = 5.0) -> None:
        """Wait until this many answers are being written."""
        ends = time.monotonic() + seconds
        while self.running != running:
            assert time.monotonic() < ends, f"{self.running} answers are written; wanted {running}"
            time.sleep(0.01)


def question(text: str = "Who keeps the key of the tide gate?", *, stream: bool = True) -> dict[str, object]:
    """The body of a chat completion."""
    return {"messages": [{"role": "user", "content": text}], "stream": stream}
