"""Bodies of requests: how large, how slow and how deep they may be, before anything reads them."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ragwright.app.serve.errors import HttpError

if TYPE_CHECKING:
    from starlette.types import Message, Receive

# A text in JSON, also one that never ends; possessive, so that no input is read twice.
_TEXT = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class Disconnected(Exception):  # noqa: N818 - a state, not an error
    """The client has left; there is nobody to answer."""


def check_length(headers: Mapping[str, str], *, limit: int) -> None:
    """Refuse by its header alone a body that is too long, or packed.

    Args:
        headers: Names in lower case.
        limit: Most bytes.

    Raises:
        HttpError: 413 or 415.
    """
    packed = headers.get("content-encoding", "identity").strip().lower()
    if packed not in ("", "identity"):
        raise HttpError(415, "packed bodies are not taken; send it as it is", code="unsupported_encoding")
    declared = headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise too_large(limit)


def too_large(limit: int) -> HttpError:
    """What is said of a body that is too long."""
    return HttpError(413, f"the body is larger than {limit / 1e6:g} MB", code="request_too_large")


def too_slow(seconds: float) -> HttpError:
    """What is said of a body that does not arrive, or not fast enough."""
    # A client that cannot send will not send again at once: no retry is suggested.
    return HttpError(408, f"the body did not arrive within {seconds:.3g} s", code="request_timeout")


async def read_body(receive: Receive, *, limit: int, seconds: float) -> bytes:
    """A whole body.

    Args:
        receive: Of the server.
        limit: Most bytes; reading stops beyond.
        seconds: Longest time.

    Raises:
        HttpError: 413 or 408.
        Disconnected: The client left in the middle.
    """
    parts: list[bytes] = []
    try:
        async with asyncio.timeout(seconds):
            await _read_into(parts, receive, limit)
        return b"".join(parts)
    except TimeoutError:
        raise too_slow(seconds) from None
    finally:
        parts.clear()  # an error would keep them alive, until the garbage collector comes


async def _read_into(parts: list[bytes], receive: Receive, limit: int) -> None:
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise too_large(limit)
        more = message.get("more_body", False)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a body must come.

    Attributes:
        bytes_per_second: On the average since its beginning.
        allowance: Seconds that are not counted.
    """

    bytes_per_second: float
    allowance: float


class LimitedBody:
    """Passes a body on as it comes, and counts it: for files, which nobody should hold in memory."""

    def __init__(self, receive: Receive, *, limit: int, seconds: float, pace: Pace) -> None:
        """Count from now.

        Args:
            receive: Of the server.
            limit: Most bytes.
            seconds: Longest time until the last of them.
            pace: How fast they must come.
        """
        self._receive = receive
        self._limit = limit
        self._seconds = seconds
        self._began = time.monotonic()
        self._pace = pace
        self._size = 0
        self._more = True

    async def __call__(self) -> Message:
        """The next message of the server.

        Raises:
            HttpError: 413 or 408.
        """
        if not self._more:
            return await self._receive()
        due = min(self._seconds, self._pace.allowance + self._size / self._pace.bytes_per_second)
        try:
            async with asyncio.timeout(max(0.0, self._began + due - time.monotonic())):
                message = await self._receive()
        except TimeoutError:
            raise too_slow(due) from None
        self._size += len(message.get("body", b""))
        if self._size > self._limit:
            raise too_large(self._limit)
        self._more = message.get("more_body", False)
        return message


def check_depth(body: bytes, *, limit: int) -> None:
    """Refuse JSON that is nested so deep that reading it could exhaust the stack; in linear time.

    Whether it is JSON at all is for whoever reads it.

    Raises:
        HttpError: 400.
    """
    if body.count(b"[") + body.count(b"{") <= limit:
        return
    brackets = np.frombuffer(_TEXT.sub(b"", body).translate(None, _NO_BRACKETS), np.uint8)
    opening = (brackets == ord("[")) | (brackets == ord("{"))
    depth = np.where(opening, 1, -1).cumsum().max(initial=0)
    if depth > limit:
        raise HttpError(400, f"the body is nested deeper than {limit} levels", code="nested_too_deep")
