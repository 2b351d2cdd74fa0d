"""What a language model sends, held to limits whatever it was asked for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import Future
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from ragwright.core.errors import ServiceError
from ragwright.generation.language_model import Finish

Item = TypeVar("Item")

CHARACTERS_PER_TOKEN = 16
"""More than any language's average in any tokenizer in use: no honest answer of `max_tokens` is longer."""

_FREE = 1024  # pieces without text (roles, thoughts) that cost nothing
_AFTERWORD_SECONDS = 2.0  # after the text's end only the usage may still come
_CUT = frozenset({"length", "max_tokens"})


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that a model sent.

    Attributes:
        text: The next characters; may be empty.
        reason: Why the text ends here; None while it goes on.
        prompt_tokens: None where it does not tell.
        completion_tokens: None where it does not tell.
    """

    text: str = ""
    reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


async def bounded(
    parts: AsyncGenerator[Part, None],
    *,
    name: str,
    max_tokens: int,
    until: float,
    silence: float | None = None,
) -> AsyncGenerator[str | Finish, None]:
    """The text of a model's parts within limits of characters and seconds, then how it ended.

    Args:
        parts: Closed at the end, however it comes.
        name: Names the model in messages.
        max_tokens: What it was asked for; `CHARACTERS_PER_TOKEN` times as many characters are let through.
        until: When to stop, in the running loop's time.
        silence: Longest wait for a part, in seconds; None: no limit of its own.

    Raises:
        ServiceError: No text came, or what came broke off.
    """
    tally = _Tally(max_tokens * CHARACTERS_PER_TOKEN)
    async with aclosing(parts):
        while (part := await _next(parts, tally, name=name, until=until, silence=silence)) is not None:
            if text := tally.take(part):
                yield text
            if tally.cut:
                break
    yield tally.finish(name, max_tokens)


async def _next(
    parts: AsyncGenerator[Part, None], tally: _Tally, *, name: str, until: float, silence: float | None
) -> Part | None:
    """The next part; None at the end, or where time is up and some text is there."""
    when = tally.patience(asyncio.get_running_loop().time(), until=until, silence=silence)
    try:
        async with asyncio.timeout_at(when) as timer:
            return await anext(parts, None)
    except TimeoutError:
        if not timer.expired():
            raise
    if tally.reason:
        return None
    if when < until:
        raise ServiceError(
            f"{name} was silent for {silence:g} seconds; look whether it is overloaded, or raise "
            "generator.timeout_seconds"
        )
    if not tally.shown:
        raise ServiceError(
            f"{name} gave no answer in time; look whether it is overloaded, or raise generator.max_seconds"
        )
    tally.cut = True
    return None


class _Tally:
    """What came so far.

    Attributes:
        shown: Whether any of it was text.
        cut: Whether a limit of ours was reached.
        reason: Why the model ended; None before.
    """

    def __init__(self, characters: int) -> None:
        self.shown = False
        self.cut = False
        self.reason: str | None = None
        self._left = characters
        self._afterword: float | None = None
        self._free = characters + _FREE
        self._prompt_tokens: int | None = None
        self._completion_tokens: int | None = None

    def take(self, part: Part) -> str:
        """The text of a part that is within the limits; nothing after the model's own end."""
        if part.prompt_tokens is not None:
            self._prompt_tokens = part.prompt_tokens
        if part.completion_tokens is not None:
            self._completion_tokens = part.completion_tokens
        if self.reason:
            return ""
        text = part.text[: self._left]
        self._left -= len(text)
        self._free -= not text
        self.cut = len(part.text) > len(text) or self._free < 0
        self.shown = self.shown or bool(text)
        self.reason = part.reason
        return text

    def patience(self, now: float, *, until: float, silence: float | None) -> float:
        """Until when the next part is waited for."""
        if self.reason and self._afterword is None:
            self._afterword = now + _AFTERWORD_SECONDS
        if self._afterword is not None:
            return min(until, self._afterword)
        return until if silence is None else min(until, now + silence)

    def finish(self, name: str, max_tokens: int) -> Finish:
        """How it ended.

        Raises:
            ServiceError: Without any text, or in the middle.
        """
        cut = self.cut or self.reason in _CUT
        if self.reason == "content_filter":
            raise ServiceError(
                f"{name} withheld the rest of its answer (content_filter); ask in other words, or set "
                "generator.model to another one"
            )
        if not self.shown and cut:
            raise ServiceError(
                f"{name} gave no text within {max_tokens} tokens; raise generator.max_tokens, or set "
                "generator.model to one that thinks less"
            )
        if not self.reason and not cut:
            raise ServiceError(f"{name} broke off before its answer was complete; look at its log")
        if not self.shown:
            raise ServiceError(f"{name} answered without any text; look at its log, or ask again")
        return Finish("length" if cut else "stop", self._prompt_tokens, self._completion_tokens)


def part_of(response: Any, *, before: str = "") -> Part:
    """What a LlamaIndex `ChatResponse` says that came as one of a stream.

    Args:
        response: The response, whose message is the whole text so far.
        before: The text before it, for models that tell the whole text only.
    """
    delta = response.delta
    text = (response.message.content or "")[len(before) :] if delta is None else delta
    if not isinstance(text, str):
        raise TypeError(f"a piece of text is a {type(text).__name__}")
    usage = response.additional_kwargs
    prompt_tokens, completion_tokens = (_count(usage, f"{kind}_tokens") for kind in ("prompt", "completion"))
    return Part(text, _reason(response.raw), prompt_tokens, completion_tokens)


def _reason(raw: Any) -> str | None:
    """Why the model ended, where it tells in OpenAI's shape."""
    choices = raw.get("choices") if isinstance(raw, dict) else getattr(raw, "choices", None)
    if not isinstance(choices, list) or not choices:
        return None
    choice = choices[0]
    reason = choice.get("finish_reason") if isinstance(choice, dict) else choice.finish_reason
    return reason if isinstance(reason, str) and reason else None


def _count(usage: dict[str, Any], name: str) -> int | None:
    count = usage.get(name)
    return count if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else None


async def from_thread(items: Callable[[], Iterator[Item]]) -> AsyncGenerator[Item, None]:
    """The items of an iterator that blocks, taken in a thread of its own.

    Closing the generator ends the iterator at its next item.

    Args:
        items: Makes the iterator, in that thread.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[Item | None] = asyncio.Queue()
    end: Future[None] = Future()
    left = threading.Event()

    def put(item: Item | None) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(queue.put_nowait, item)

    def work() -> None:
        try:
            for item in items():
                if left.is_set():
                    break
                put(item)
            end.set_result(None)
        except BaseException as error:  # noqa: BLE001 - raised where the items are taken
            end.set_exception(error)
        put(None)

    threading.Thread(target=work, name="ragwright language model", daemon=True).start()
    try:
        while (item := await queue.get()) is not None:
            yield item
        end.result()
    finally:
        left.set()
