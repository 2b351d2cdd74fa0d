"""Any OpenAI-compatible endpoint, through LlamaIndex's `OpenAILike`."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from ragwright.core.config_serving import GeneratorConfig
from ragwright.core.errors import ConfigError, MissingExtra
from ragwright.core.types import Message
from ragwright.generation.endpoint import Call, Endpoint
from ragwright.generation.endpoint_failures import CallFailed, failed
from ragwright.generation.language_model import USUAL_SPECIAL_TOKENS, Finish
from ragwright.generation.model_stream import Part, bounded, part_of

PAUSE_SECONDS = 0.5
"""Before the second attempt, on average; doubled before each further one."""

_LONGEST_PAUSE_SECONDS = 30.0

# A token comes as an event of its own, whose names and numbers take a few hundred bytes.
_BYTES_PER_TOKEN = 2048
_FREE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked.

    Attributes:
        messages: In order.
        max_tokens: Of the answer.
        temperature: From 0.
        usage: Whether the endpoint is asked to tell what it cost, which some refuse.
    """

    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float
    usage: bool


class OpenAIModel:
    """A `LanguageModel` behind an address."""

    special_tokens = USUAL_SPECIAL_TOKENS

    def __init__(self, settings: GeneratorConfig) -> None:
        """Make one; nothing is sent.

        Args:
            settings: With an address and a model's name.

        Raises:
            ConfigError: The address, the key or the model cannot be used.
            MissingExtra: LlamaIndex or its OpenAI package is not installed.
        """
        self.name = settings.model
        self._settings = settings
        self._endpoint = Endpoint(settings.url or "", settings.api_key)
        self._asks_usage = True
        try:
            from llama_index.llms.openai_like import OpenAILike
            from openai.resources.chat import completions  # noqa: F401 - else the first question waits for it
        except ImportError:
            raise MissingExtra("llama-index-llms-openai-like", "llm") from None
        self._class: Any = OpenAILike
        try:
            self._client(_Question((), 1, 0.0, usage=True))
        except ValueError:
            raise ConfigError(
                f"generator.model {settings.model!r} has no chat completions; set it to a model that has"
            ) from None

    async def stream(
        self, messages: Sequence[Message], *, max_tokens: int, temperature: float
    ) -> AsyncGenerator[str | Finish, None]:
        """See `LanguageModel.stream`.

        What has not answered yet is asked again, `generator.retries` times, after a refused connection, a
        time-out, HTTP 429 or 5xx. Once a piece was given there is no other attempt.
        """
        most = min(max_tokens, self._settings.max_tokens)
        asked = _Question(tuple(messages), most, temperature, usage=self._asks_usage)
        until = asyncio.get_running_loop().time() + self._settings.max_seconds
        tries, shown = 0, False
        while True:
            try:
                async with aclosing(self._pieces(asked, until)) as pieces:
                    async for piece in pieces:
                        shown = True
                        yield piece
                self._asks_usage = asked.usage
                return
            except CallFailed as failure:
                if shown:
                    raise
                if failure.refused and asked.usage:
                    asked = replace(asked, usage=False)
                    continue
                pause = self._pause(failure, tries, until)
            await asyncio.sleep(pause)
            tries += 1

    def _pause(self, failure: CallFailed, tries: int, until: float) -> float:
        """Seconds before the next attempt: exponential back-off with jitter, or what the endpoint asks for.

        Raises:
            CallFailed: There is none.
        """
        pause = max(failure.pause, PAUSE_SECONDS * 2.0**tries * random.uniform(0.5, 1.5))
        late = asyncio.get_running_loop().time() + pause >= until
        if not failure.again or tries >= self._settings.retries or pause > _LONGEST_PAUSE_SECONDS or late:
            raise failure
        return pause

    def _pieces(self, asked: _Question, until: float) -> AsyncGenerator[str | Finish, None]:
        parts = self._parts(asked)
        return bounded(parts, name=self._endpoint.url, max_tokens=asked.max_tokens, until=until)

    async def _parts(self, asked: _Question) -> AsyncGenerator[Part, None]:
        """What the endpoint sends.

        Raises:
            CallFailed: It gives no answer, or breaks off.
        """
        import httpx
        import openai

        call = await self._endpoint.call(most_bytes=_FREE_BYTES + _BYTES_PER_TOKEN * asked.max_tokens)
        unreadable = (ValueError, TypeError, AttributeError, LookupError, RecursionError)
        try:
            responses = await self._client(asked, call).astream_chat(_chat(asked.messages))
            async with aclosing(responses):
                async for response in responses:
                    yield part_of(response)
        except (openai.OpenAIError, httpx.HTTPError, httpx.StreamError, *unreadable) as error:
            raise failed(
                error,
                name=self._endpoint.url,
                model=self.name,
                answered=call.answered,
                seconds=self._settings.timeout_seconds,
            ) from None
        finally:
            await call.aclose()

    def _client(self, asked: _Question, call: Call | None = None) -> Any:
        """LlamaIndex's model for one question."""
        import httpx

        return self._class(
            model=self.name,
            api_base=self._endpoint.url,
            api_key="none",  # the transport knows the key; without any, theirs comes from the environment
            is_chat_model=True,
            max_tokens=asked.max_tokens,
            temperature=asked.temperature,
            max_retries=0,
            timeout=self._settings.timeout_seconds,
            additional_kwargs={"stream_options": {"include_usage": True}} if asked.usage else {},
            async_http_client=httpx.AsyncClient(transport=call, trust_env=False) if call else None,
        )

    def count_tokens(self, text: str) -> int | None:
        """None: the endpoint keeps its tokenizer to itself."""
        return None

    def close(self) -> None:
        """Let go of the connections."""
        self._endpoint.close()


def _chat(messages: Sequence[Message]) -> list[Any]:
    from llama_index.core.llms import ChatMessage

    return [ChatMessage(role=each.role, content=each.text) for each in messages]
