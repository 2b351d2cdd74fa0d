"""Questions to the language model that judges, over any OpenAI-compatible endpoint; the only user of openai.

ragas' own client patches the endpoint's with a package that differs between servers, and builds a tracking
event for every call. This one sends plain chat completions and decides itself what is worth another attempt.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeVar

from ragwright.core.errors import ServiceError
from ragwright.core.types import Vectors

Read = TypeVar("Read")

ATTEMPTS = 3
"""Requests for one reply, at most; each may last `timeout_seconds`."""

PAUSE_SECONDS = 0.5
"""Before the second attempt; doubled before each further one."""

_PASSING = frozenset({408, 409, 425, 429})  # with 5xx: states of a server that pass


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """Which model judges, and how patiently it is asked.

    Attributes:
        url: Root of the API, such as `http://localhost:8000/v1`.
        model: As the endpoint names it.
        api_key: Sent as a bearer token; may be empty.
        timeout_seconds: For one request, from sending it to the last byte of the reply.
        concurrency: Verdicts worked on at the same time; each sends one request after the other.
        embed: Questions to unit vectors, shape (n, dim); without it `answer_relevancy` is not judged.
        encoder: Fingerprint of what embeds, so that another encoder's verdicts are not taken from the cache.
    """

    url: str
    model: str
    api_key: str = field(default="", repr=False)
    timeout_seconds: float = 120.0
    concurrency: int = 4
    embed: Callable[[Sequence[str]], Vectors] | None = None
    encoder: str = ""


class NoVerdict(ServiceError):  # noqa: N818 - a result to be listed, not an end
    """The judge gave nothing that can be used; the message is the reason.

    Attributes:
        again: Whether another attempt may do better.
    """

    def __init__(self, reason: str, *, again: bool = True) -> None:
        super().__init__(reason)
        self.again = again


class Endpoint:
    """An open connection to the judge; `requests` counts what was sent."""

    def __init__(self, settings: JudgeSettings) -> None:
        import openai

        self.requests = 0
        self._settings = settings
        self._form = 0
        self._openai: Any = openai
        self._client: Any = openai.AsyncOpenAI(
            base_url=settings.url,
            api_key=settings.api_key or "none",  # the client insists on a key, servers do not
            timeout=settings.timeout_seconds,
            max_retries=0,
        )

    async def __aenter__(self) -> Endpoint:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def ask(self, prompt: str, *, schema: Mapping[str, Any], read: Callable[[str], Read]) -> Read:
        """What `read` makes of the reply.

        Args:
            prompt: The whole user message.
            schema: JSON schema of the reply, for servers that can hold a model to it.
            read: Turns the reply's text into a value, or raises NoVerdict.

        Raises:
            NoVerdict: After the last attempt, or at once for an error that will not pass.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return read(content_of(await self._send(prompt, schema)))
            except NoVerdict as error:
                if not error.again or attempt == ATTEMPTS:
                    raise
            await asyncio.sleep(PAUSE_SECONDS * 2 ** (attempt - 1))
        raise AssertionError("unreachable")

    async def _send(self, prompt: str, schema: Mapping[str, Any]) -> str:
        """The body of the reply to one prompt."""
        openai, seconds = self._openai, self._settings.timeout_seconds
        try:
            async with asyncio.timeout(seconds):  # the client's own limit starts anew with every byte
                return await self._post(prompt, schema)
        except (TimeoutError, openai.APITimeoutError):
            raise NoVerdict(f"no reply within {seconds:g} seconds") from None
        except openai.APIStatusError as error:
            status = error.status_code
            shown = " ".join(error.response.text.split())[:200]
            raise NoVerdict(f"HTTP {status}: {shown}", again=status in _PASSING or status >= 500) from error
        except openai.APIConnectionError as error:
            raise NoVerdict(f"{self._settings.url} cannot be reached: {error.__cause__ or error}") from error
        except openai.OpenAIError as error:
            raise NoVerdict(f"{type(error).__name__}: {error}") from error

    async def _post(self, prompt: str, schema: Mapping[str, Any]) -> str:
        """Post in the richest form that the server accepts.

        A form is remembered only when it worked where richer ones were refused: a prompt that is too long is
        refused in every form.
        """
        forms = _forms(schema)
        for number in range(self._form, len(forms)):
            self.requests += 1
            try:
                reply = await self._client.chat.completions.with_raw_response.create(
                    model=self._settings.model,
                    messages=[{"role": "user", "content": prompt}],
                    **forms[number],
                )
            except (self._openai.BadRequestError, self._openai.UnprocessableEntityError):
                if number == len(forms) - 1:
                    raise
            else:
                self._form = number
                return str(reply.http_response.text)
        raise AssertionError("unreachable")


def _forms(schema: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """Extra fields of a request: held to a schema, only repeatable, or none (some models refuse both)."""
    held = {"type": "json_schema", "json_schema": {"name": "verdict", "schema": schema}}
    return ({"temperature": 0.0, "response_format": held}, {"temperature": 0.0}, {})


def content_of(body: str) -> str:
    """The text of a chat completion.

    Raises:
        NoVerdict: The body is no chat completion, or its text was cut off.
    """
    try:
        choice = json.loads(body)["choices"][0]
        content = choice["message"]["content"]
    except (ValueError, LookupError, TypeError):
        raise NoVerdict(f"the reply is no chat completion: {body[:80]!r}") from None
    if choice.get("finish_reason") == "length":
        raise NoVerdict("the reply was cut off at the model's token limit")
    if not isinstance(content, str):
        raise NoVerdict("the reply has no text")
    return content


def json_objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects of a text, outer before inner, what the model thought aloud left out.

    >>> list(json_objects('<think>{"a": 0}</think> Sure! ```json {"a": 1}```'))
    [{'a': 1}]
    """
    spoken = re.sub(r"<think>.*?</think>", "", text, flags=re.DOTALL)
    decoder = json.JSONDecoder()
    for brace in re.finditer(r"\{", spoken):
        try:
            found, _ = decoder.raw_decode(spoken, brace.start())
        except ValueError:
            continue
        yield found
