"""An answer as a chat completion, whole or streamed, in the shapes of OpenAI's API."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from ragwright.app.serve.citing import (
    Addresses,
    CitingText,
    Note,
    Style,
    annotation,
    context,
    listed,
)
from ragwright.app.serve.errors import HttpError, http_error
from ragwright.app.serve.retrieve import shown_hits
from ragwright.app.serve.sse import DONE, comment, data_event
from ragwright.app.serve.values import Finished, ServiceEvent, Status
from ragwright.core.errors import RagwrightError
from ragwright.core.types import Answer, Delta, Usage

Events = AsyncGenerator[ServiceEvent, None]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a request wants of its answer.

    Attributes:
        model: As the request named it.
        collection: Where is searched.
        generator: What writes.
        style: What the text shows of citations.
        address: Of places in documents.
        scores: Whether the caller sees scores.
        trace: Whether the hits come with the answer.
        usage: Whether a stream tells what it cost.
        request_id: Of the request.
    """

    model: str
    collection: str
    generator: str
    style: Style
    address: Addresses
    scores: bool = False
    trace: bool = False
    usage: bool = False
    request_id: str = ""
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(16)}")
    created: int = field(default_factory=lambda: int(time.time()))


class Completion:
    """Turns the events of one answer into a completion; used once."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._text = CitingText(terms.style, terms.address)
        self._query = ""
        self._writing = False

    async def whole(self, events: Events) -> dict[str, Any]:
        """The completion once it is complete.

        Raises:
            HttpError: Something failed.
        """
        parts: list[str] = []
        notes: list[Note] = []
        end: Finished | None = None
        async with aclosing(events):
            try:
                async for event in events:
                    self._note(event)
                    if isinstance(event, Delta):
                        text, found = self._text.feed(event)
                        parts.append(text)
                        notes += found
                    elif isinstance(event, Finished):
                        end = event
            except RagwrightError as error:
                raise self._told(error) from error
        if end is None:
            raise RuntimeError("the answer has no end")
        parts.append(self._text.finish(end.answer))
        return self._completion("".join(parts), notes, end)

    async def stream(self, events: Events) -> AsyncGenerator[bytes, None]:
        """The completion piece by piece, as server-sent events; what fails is one of them, and the last."""
        async with aclosing(events):
            try:
                yield self._chunk({"role": "assistant", "content": ""})
                async for event in events:
                    self._note(event)
                    for frame in self._frames(event):
                        yield frame
            except Exception as error:  # noqa: BLE001 - the door of a stream: its status is sent already
                yield data_event(self._told(error).body())
                return
        yield DONE

    def _note(self, event: ServiceEvent) -> None:
        if isinstance(event, Status):
            self._query = event.query
            self._writing = event.stage == "writing"

    def _told(self, error: Exception) -> HttpError:
        return http_error(error, request_id=self._terms.request_id, writing=self._writing)

    def _frames(self, event: ServiceEvent) -> list[bytes]:
        if isinstance(event, Status):
            status = {"stage": event.stage, "query": event.query, "passages": event.passages}
            return [comment(event.stage), self._chunk({}, rag={"status": status})]
        if isinstance(event, Delta):
            return self._content(*self._text.feed(event))
        return self._ending(event)

    def _content(self, text: str, notes: list[Note]) -> list[bytes]:
        """A piece of text with the notes that stand in it."""
        delta: dict[str, Any] = {"content": text} if text else {}
        if notes:
            delta["annotations"] = [annotation(note, self._terms.address) for note in notes]
        return [self._chunk(delta)] if delta else []

    def _ending(self, end: Finished) -> list[bytes]:
        answer = end.answer
        frames = self._content(self._text.finish(answer), [])
        if answer.citations:
            frames.append(self._chunk({"context": context(answer, self._terms.address, query=self._query)}))
        frames.append(self._chunk({}, finish=answer.finish, citations=self._urls(answer), rag=self._rag(end)))
        if self._terms.usage:
            frames.append(self._chunk(None, usage=_usage(answer.usage)))
        return frames

    def _chunk(self, delta: dict[str, Any] | None, *, finish: str | None = None, **more: Any) -> bytes:
        """One chunk; None for the delta: one without a choice."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        unused = {"usage": None} if self._terms.usage else {}  # as OpenAI does where usage is asked for
        return data_event(
            {
                **self._head("chat.completion.chunk"),
                "choices": [] if delta is None else [choice],
                **unused,
                **more,
            }
        )

    def _head(self, kind: str) -> dict[str, Any]:
        terms = self._terms
        return {"id": terms.id, "object": kind, "created": terms.created, "model": terms.model}

    def _completion(self, text: str, notes: list[Note], end: Finished) -> dict[str, Any]:
        answer = end.answer
        message = {
            "role": "assistant",
            "content": text,
            "refusal": None,
            "annotations": [annotation(note, self._terms.address) for note in notes],
            "context": context(answer, self._terms.address, query=self._query),
        }
        choice = {"index": 0, "message": message, "finish_reason": answer.finish, "logprobs": None}
        return {
            **self._head("chat.completion"),
            "choices": [choice],
            "usage": _usage(answer.usage),
            "citations": self._urls(answer),
            "rag": self._rag(end),
        }

    def _urls(self, answer: Answer) -> list[str]:
        """Addresses in marker order; what merely came near supports nothing."""
        return [] if answer.refused else [self._terms.address(each.span) for each in answer.citations]

    def _rag(self, end: Finished) -> dict[str, Any]:
        """What there is to know besides."""
        terms, answer = self._terms, end.answer
        told: dict[str, Any] = {
            "refused": answer.refused,
            "collection": terms.collection,
            "generator": terms.generator,
            "query": self._query,
            "trace_id": end.trace_id or None,
            "citations": listed(answer.citations, terms.address),
            "dropped": len(answer.dropped),
        }
        if terms.scores:
            told["support"] = answer.support
        if terms.trace:
            told["hits"] = shown_hits(answer.hits, terms.address, scores=terms.scores)
        return told


def _usage(usage: Usage) -> dict[str, int]:
    read, written = usage.prompt_tokens, usage.completion_tokens
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
