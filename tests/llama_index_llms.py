"""Language models of LlamaIndex that behave in every way a class of others may."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Sequence
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseGen,
    LLMMetadata,
)
from llama_index.core.llms import CustomLLM

closed = threading.Event()
"""Set when the last stream was closed."""


def said(delta: str | None, whole: str = "", raw: Any = None, **counts: int) -> ChatResponse:
    """One response of a stream."""
    message = ChatMessage(role="assistant", content=whole)
    return ChatResponse(message=message, delta=delta, raw=raw, additional_kwargs=counts)


class Scripted(CustomLLM):
    """Says its model's name, and what it was given; asynchronous."""

    model: str = "nobody"
    temperature: float = 0.3
    max_tokens: int = 1
    api_key: str = ""
    request_timeout: float = 1.0

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name=self.model, is_chat_model=True)

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        raise NotImplementedError

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        raise NotImplementedError

    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        async def answer() -> ChatResponseAsyncGen:
            closed.clear()
            try:
                for response in self.responses(messages):
                    await asyncio.sleep(0)
                    yield response
            finally:
                closed.set()

        return answer()

    def responses(self, messages: Sequence[ChatMessage]) -> ChatResponseGen:
        """The stream."""
        yield said(self.model, prompt_tokens=9)
        yield said(f" {self.temperature} {self.max_tokens} {self.api_key} {self.request_timeout}")
        for message in messages:
            yield said(f" {message.role.value}={message.content}", completion_tokens=4)


class Cut(Scripted):
    """Tells why it ends, in OpenAI's shape."""

    def responses(self, messages: Sequence[ChatMessage]) -> ChatResponseGen:
        yield said("Half", raw={"choices": [{"finish_reason": "length"}]})


class Whole(Scripted):
    """Tells the whole text every time."""

    def responses(self, messages: Sequence[ChatMessage]) -> ChatResponseGen:
        for text in ("a", "a b", "a b", "a b c"):
            yield said(None, text)


class InThread(Scripted):
    """Has no asynchronous stream of its own, and one that blocks."""

    astream_chat = CustomLLM.astream_chat

    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        for number in range(5):
            time.sleep(0.03)
            yield said(f"{number} ")


class Unfinished(InThread):
    """Says that its asynchronous stream is not written."""

    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        raise NotImplementedError


class Endless(Scripted):
    """Never ends."""

    def responses(self, messages: Sequence[ChatMessage]) -> ChatResponseGen:
        for _ in itertools.count():
            yield said("word ")


class Silent(Scripted):
    """Says nothing more after its first word."""

    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        async def answer() -> ChatResponseAsyncGen:
            yield said("word ")
            await asyncio.Event().wait()

        return answer()


class Odd(Exception):  # noqa: N818 - as others call theirs
    """No error that anybody knows."""


class Broken(Scripted):
    """Fails with an error of its own that holds the key."""

    def responses(self, messages: Sequence[ChatMessage]) -> ChatResponseGen:
        yield said("word ")
        raise Odd(f"no good: {self.api_key}\nmore")


class Refusing(Scripted):
    """Cannot be made."""

    def __init__(self, **options: Any) -> None:
        raise Odd(f"no good: {options}")


class Strict(Scripted):
    """Takes nothing but its model."""

    def __init__(self, model: str) -> None:
        super().__init__(model=model)


not_a_class = said
