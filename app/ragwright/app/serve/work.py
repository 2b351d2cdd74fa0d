"""Running one request: until it is answered, its client leaves, its time is up, or the server ends."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ragwright.app.serve.bodies import Disconnected
from ragwright.app.serve.errors import HttpError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


_LAST_WORD_SECONDS = 1.0


class GivenBody:
    """A `receive` that hands a whole body over, then waits for the client to leave; any number may wait."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        """Hand over this body.

        Args:
            body: The whole of it.
            receive: Of the server; it has nothing more to give than that the client left.
        """
        self._body: bytes | None = body
        self._receive = receive
        self._left = asyncio.Event()

    async def __call__(self) -> Message:
        """The body, then at last `http.disconnect`."""
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def watch(self) -> None:
        """Return once the client has left."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._left.set()


class Response:
    """What has been sent so far, so that an answer that is broken off can say why."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False
        self.complete = False
        self._is_event_stream = False

    async def send(self, message: Message) -> None:
        """Pass a message on, and note what it was."""
        if message["type"] == "http.response.start":
            self.started = True
            kinds = [value for name, value in message["headers"] if name.lower() == b"content-type"]
            self._is_event_stream = any(kind.startswith(b"text/event-stream") for kind in kinds)
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            self.complete = True
        await self._send(message)

    async def break_off(self, reason: HttpError) -> None:
        """End a response early: with its error, where one can be told.

        Raises:
            HttpError: The reason itself, where nothing was sent yet.
        """
        if not self.started:
            raise reason
        if self._is_event_stream and not self.complete:
            event = f"data: {json.dumps(reason.body())}\n\n".encode()
            with suppress(TimeoutError):  # a client that takes nothing is not waited for
                async with asyncio.timeout(_LAST_WORD_SECONDS):
                    await self._send({"type": "http.response.body", "body": event, "more_body": False})


async def run_work(
    app: ASGIApp,
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    seconds: float,
    ending: asyncio.Event,
) -> None:
    """Answer a request; when that returns or raises, nothing of it runs any more.

    Args:
        app: What answers.
        scope: Of the request.
        receive: What `app` receives; a `GivenBody` is watched for the client's leaving.
        send: Of the server.
        seconds: Longest time.
        ending: Set when the server waits no longer.

    Raises:
        HttpError: 504 when the time is up, 503 when the server ends, while nothing has been sent.
        Disconnected: The client left.
    """
    response = Response(send)
    work = asyncio.ensure_future(app(scope, receive, response.send))
    ended = asyncio.ensure_future(ending.wait())
    left = asyncio.ensure_future(
        receive.watch() if isinstance(receive, GivenBody) else asyncio.Event().wait()
    )
    watched: set[asyncio.Future[Any]] = {work, ended, left}
    try:
        await _first_of(watched, seconds)
        if left.done() and response.complete:  # the server says so as well once all has been sent
            await _first_of({work, ended}, seconds)
        if work.done():
            await work
            return
    finally:
        await _stopped(watched)
    if left.done() and not left.cancelled():
        raise Disconnected
    await response.break_off(_reason(ended=ending.is_set(), seconds=seconds))


async def _first_of(tasks: set[asyncio.Future[Any]], seconds: float) -> None:
    await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)


def _reason(*, ended: bool, seconds: float) -> HttpError:
    if ended:
        return HttpError(503, "the server ends; ask again in a moment", code="shutting_down", retry_after=5)
    return HttpError(504, f"the request took longer than {seconds:g} s", code="request_timeout")


async def _stopped(tasks: set[asyncio.Future[Any]]) -> None:
    """Cancel what still runs, and wait until it has ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
