"""A load generator for `serve.py`: a number of clients, each asking again as soon as it is answered."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
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


def ask(port: int, questions: Iterator[str], *, clients: int, seconds: float, model: str) -> Load:
    """Let clients ask for a while; each request brings the next question."""
    return asyncio.run(_all(port, questions, clients, seconds, model))


async def _all(port: int, questions: Iterator[str], clients: int, seconds: float, model: str) -> Load:
    load, started = Load(clients), time.perf_counter()
    until = started + seconds
    await asyncio.gather(*(_client(port, questions, until, model, load) for _ in range(clients)))
    load.seconds = time.perf_counter() - started
    return load


async def _client(port: int, questions: Iterator[str], until: float, model: str, load: Load) -> None:
    """One client on one connection, which it opens anew after a broken one."""
    streams = None
    while time.perf_counter() < until:
        started = time.perf_counter()
        try:
            streams = streams or await asyncio.open_connection("127.0.0.1", port)
            status = await _request(*streams, _body(next(questions), model))
        except (OSError, asyncio.IncompleteReadError, ValueError):
            status, streams = 0, None
        load.statuses[status] += 1
        if status == 200:
            load.latencies.append((time.perf_counter() - started) * 1000)


def _body(question: str, model: str) -> bytes:
    asked = {"model": model, "messages": [{"role": "user", "content": question}]}
    return json.dumps(asked).encode()


async def _request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> int:
    """The status of one request, its answer read whole."""
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
    if "content-length" not in fields:
        raise ValueError("an answer without a length")
    await reader.readexactly(int(fields["content-length"]))
    return int(lines[0].split()[1])
