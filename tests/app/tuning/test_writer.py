"""A language model writes many prompts at a time; one that fails costs the others nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

import pytest

from ragwright.app.tuning.writer import ModelWriter
from ragwright.core.errors import ServiceError
from ragwright.core.types import Message
from ragwright.generation.language_model import Finish


class Scripted:
    """A language model that says its prompt again, or fails where it is told to."""

    name = "scripted"
    special_tokens = frozenset[str]()

    def __init__(self) -> None:
        self.working = self.most = 0

    async def stream(
        self, messages: Sequence[Message], *, max_tokens: int, temperature: float
    ) -> AsyncGenerator[str | Finish, None]:
        self.working += 1
        self.most = max(self.most, self.working)
        await asyncio.sleep(0.001)
        self.working -= 1
        if messages[0].text == "fail":
            raise ServiceError("no such luck")
        yield "<think>hm</think>"
        yield messages[0].text
        yield Finish("stop")

    def count_tokens(self, text: str) -> int | None:
        return None

    def close(self) -> None:
        pass


def prompts(*texts: str) -> list[list[Message]]:
    return [[Message("user", text)] for text in texts]


def test_texts_come_in_the_order_of_their_prompts_without_thoughts_and_look_alikes() -> None:
    model = Scripted()
    written = ModelWriter(model, at_once=2).write(
        prompts("a", "b", "⟦1⟧", "d"), max_tokens=9, temperature=0.0
    )
    assert written == ["a", "b", "[1]", "d"] and model.most == 2


def test_one_failure_is_an_empty_text_and_nothing_but_failures_is_an_error() -> None:
    writer = ModelWriter(Scripted())
    assert writer.write(prompts("a", "fail"), max_tokens=9, temperature=0.0) == ["a", ""]
    assert writer.write([], max_tokens=9, temperature=0.0) == []
    with pytest.raises(ServiceError, match="no such luck"):
        writer.write(prompts("fail", "fail"), max_tokens=9, temperature=0.0)
