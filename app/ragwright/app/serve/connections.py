"""Connections: how many there are, and how slow they may be. uvicorn by itself waits for ever.

A connection is closed when the head of a request does not arrive in time, when its client takes no data, and
when it goes on sending after it was answered. What is looked at once a second costs no timer for each.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from ragwright.app.serve.errors import HttpError

if TYPE_CHECKING:
    import asyncio

    from ragwright.core.config_serving import ServerConfig

_LINGER_SECONDS = 5.0  # for a client to read why it was refused, while it still sends
HEAD_BYTES = 32_768
_NOT_HTTP = HttpError(
    400, f"this is no request of HTTP/1.1, or its head is longer than {HEAD_BYTES} bytes", code="invalid_http"
)
_TOO_SLOW = HttpError(408, "the head of the request did not arrive in time", code="request_timeout")
_TOO_MANY = HttpError(503, "there are too many connections; try again", code="overloaded", retry_after=2)


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What a connection may cost.

    Attributes:
        head_seconds: For the head of a request, from its first byte or from the connection's beginning.
        write_seconds: Without the client taking data that waits for it.
        most: Open connections.
    """

    head_seconds: float
    write_seconds: float
    most: int

    @classmethod
    def of(cls, settings: ServerConfig) -> ConnectionLimits:
        """What the settings say."""
        return cls(settings.header_seconds, settings.write_seconds, settings.connections)


class _Counted:
    """A transport that knows how much was given to it; everything else is the transport's."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.given = 0  # bytes

    def write(self, data: bytes) -> None:
        self.given += len(data)
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class LimitedProtocol(H11Protocol):
    """One HTTP/1.1 connection that does not wait for ever."""

    def __init__(self, *, limits: ConnectionLimits, **given: Any) -> None:
        super().__init__(**given)
        self._limits = limits
        self._head_since: float | None = None
        self._taken = 0  # bytes that the client had taken when looked at last
        self._took_at = 0.0
        self._answered_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; beyond the limit another connection that asks nothing has to give way, or this one."""
        self._counted = _Counted(transport)
        super().connection_made(cast("asyncio.Transport", self._counted))
        self._head_since = self._took_at = time.monotonic()
        if len(self.connections) > self._limits.most:
            idle = _longest_idle(self.connections)
            if idle is not None and idle is not self:
                idle.transport.abort()
            else:
                self._refuse(_TOO_MANY)

    def data_received(self, data: bytes) -> None:
        """Take data; the head of the next request counts from its first byte."""
        if self.conn.their_state is h11.IDLE and self._head_since is None:
            self._head_since = time.monotonic()
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._head_since = None

    @property
    def idle_since(self) -> float | None:
        """Since when it is awaited that a request begins; None while one is at work, or between two."""
        return self._head_since

    def look(self, now: float) -> None:
        """Close the connection where it is too slow.

        Args:
            now: Of the monotonic clock.
        """
        if self._head_since is not None and now - self._head_since > self._limits.head_seconds:
            self._refuse(_TOO_SLOW)
        elif self._takes_nothing(now) or self._lingers(now):
            self.transport.abort()

    def _takes_nothing(self, now: float) -> bool:
        waiting = self.transport.get_write_buffer_size()
        taken = self._counted.given - waiting
        if not waiting or taken > self._taken:
            self._took_at = now
        self._taken = taken
        return now - self._took_at > self._limits.write_seconds

    def _lingers(self, now: float) -> bool:
        """Whether a request goes on arriving long after it was answered."""
        if self.conn.their_state is not h11.SEND_BODY or self.conn.our_state is not h11.DONE:
            self._answered_since = None
            return False
        self._answered_since = self._answered_since or now
        return now - self._answered_since > _LINGER_SECONDS

    def send_400_response(self, msg: str) -> None:
        """Say so to whoever does not speak HTTP, unless an answer is under way; then nothing can be said."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()
        else:
            self._refuse(_NOT_HTTP)

    def _refuse(self, error: HttpError) -> None:
        self._head_since = None
        if not self.transport.is_closing():
            self.transport.write(_written(error))
            self.transport.close()


def _written(error: HttpError) -> bytes:
    """An error as the bytes of a whole response, for where no application is asked."""
    response = error.response()
    lines = [f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}".encode(), b"connection: close"]
    lines += [name + b": " + value for name, value in response.raw_headers]
    return b"\r\n".join([*lines, b"", bytes(response.body)])


def limited_protocol(limits: ConnectionLimits) -> type[asyncio.Protocol]:
    """What uvicorn makes a connection with."""
    return cast("type[asyncio.Protocol]", partial(LimitedProtocol, limits=limits))


def look_at(connections: Iterable[Any]) -> None:
    """Close every connection that is too slow."""
    now = time.monotonic()
    for each in list(connections):
        each.look(now)


def _longest_idle(connections: Iterable[Any]) -> LimitedProtocol | None:
    idle = [each for each in connections if each.idle_since is not None]
    return min(idle, key=lambda each: each.idle_since, default=None)
