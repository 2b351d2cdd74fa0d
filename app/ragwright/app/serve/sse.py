"""Server-sent events: how a stream of them is written, kept alive, and closed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
HEADERS = {
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",  # nginx would collect the pieces
}


def data_event(data: Mapping[str, Any]) -> bytes:
    """One event that holds JSON; half a character, which a model may write, becomes a question mark."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return b"data: " + text.encode(errors="replace") + b"\n\n"


def comment(text: str) -> bytes:
    """A line that clients pass over."""
    return f": {' '.join(text.split())}\n\n".encode()


class EventStream(Response):
    """A stream of events.

    After a silence a comment is sent, so that nothing on the way takes the connection for dead. Whoever runs
    the request cancels it when the client leaves; the generator of events is closed by then.
    """

    media_type = "text/event-stream"

    def __init__(
        self, events: Callable[[], AsyncGenerator[bytes, None]], *, keep_alive_seconds: float
    ) -> None:
        """Make a response.

        Args:
            events: Makes the generator of events, each with its empty line. It runs in one task, and is
                closed however the stream ends.
            keep_alive_seconds: The longest silence.
        """
        self.status_code = 200
        self.background = None
        self._events = events
        self._keep_alive = keep_alive_seconds
        self.init_headers(HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send everything."""
        sending = _Sending(send)
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        beat = asyncio.create_task(self._beat(sending))
        try:
            async with aclosing(self._events()) as events:
                async for event in events:
                    await sending.send(event)
        finally:
            beat.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.gather(beat, return_exceptions=True)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _beat(self, sending: _Sending) -> None:
        """Break every silence."""
        while True:
            left = sending.last + self._keep_alive - time.monotonic()
            if left > 0:
                await asyncio.sleep(left)
            else:
                await sending.send(KEEP_ALIVE)


class _Sending:
    """Sends events one at a time, and knows when the last one went.

    Attributes:
        last: When, on the monotonic clock.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._one = asyncio.Lock()
        self.last = time.monotonic()

    async def send(self, event: bytes) -> None:
        async with self._one:
            await self._send({"type": "http.response.body", "body": event, "more_body": True})
            self.last = time.monotonic()
