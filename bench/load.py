"""A load generator for `serve.py`: a number of clients, each asking again as soon as it is answered."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Load:
    """What a number of clients saw.

    Attributes:
        clients: How many asked at once.
        seconds: How long.
        latencies: Milliseconds of each answered request.
        statuses: How many answers had which status; 0 counts connections that broke.
    """

    clients: int
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Answered requests a second."""
        return len(self.latencies) / self.seconds

    def quantile(self, share: float) -> float:
        """Milliseconds that this share of the answers took at most."""
        return float(np.quantile(self.latencies, share))

    @property
    def errors(self) -> dict[int, int]:
        """How many answers were errors that overload does not excuse, by status."""
        return {status: n for status, n in self.statuses.items() if status not in (200, 429, 503)}


Body = Callable[[str], dict[str, object]]
"""A question as the body of a request."""

Target = tuple[str, Body]
"""A route, and what it is sent."""


def ask(port: int, questions: Iterator[str], target: Target, *, clients: int, seconds: float) -> Load:
    """Let clients ask for a while; each request brings the next question."""
    route, body = target

    def request() -> bytes:
        sent = json.dumps(body(next(questions))).encode()
        head = (
            f"POST {route} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(sent)}\r\n\r\n"
        )
        return head.encode() + sent

    return asyncio.run(_all(port, request, clients, seconds))


async def _all(port: int, request: Callable[[], bytes], clients: int, seconds: float) -> Load:
    load, started = Load(clients), time.perf_counter()
    until = started + seconds
    await asyncio.gather(*(_client(port, request, until, load) for _ in range(clients)))
    load.seconds = time.perf_counter() - started
    return load


async def _client(port: int, request: Callable[[], bytes], until: float, load: Load) -> None:
    """One client on one connection, which it opens anew after a broken one."""
    streams = None
    while time.perf_counter() < until:
        started = time.perf_counter()
        try:
            streams = streams or await asyncio.open_connection("127.0.0.1", port)
            status = await _answered(*streams, request())
        except (OSError, asyncio.IncompleteReadError, ValueError):
            status, streams = 0, None
        load.statuses[status] += 1
        if status == 200:
            load.latencies.append((time.perf_counter() - started) * 1000)


async def _answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> int:
    """The status of one request, its answer read whole."""
    writer.write(request)
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
    if "content-length" not in fields:
        raise ValueError("an answer without a length")
    await reader.readexactly(int(fields["content-length"]))
    return int(lines[0].split()[1])
