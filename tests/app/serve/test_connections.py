"""Slow, silent and idle connections, over real sockets: each is closed in time, and nobody else waits."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import pytest
from tests.app.serve.serving import Served, serving
from tests.app.serve.slow import question

from ragwright.app.serve.collections import Collections
from ragwright.core.config import Config
from ragwright.core.types import Answer, AnswerEvent, AnswerRequest, Delta

HEAD_SECONDS = 0.6
WRITE_SECONDS = 0.8
MOST = 60
HALF_A_HEAD = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-a: b"
WHOLE_HEAD = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"


class Talkative:
    """Says more than the buffers between server and client hold."""

    name = "talkative"
    said = 0
    running = False

    async def stream(self, request: AnswerRequest) -> AsyncGenerator[AnswerEvent, None]:
        """Forty megabytes."""
        self.running = True
        try:
            for _ in range(400):
                self.said += 100_000
                yield Delta("x" * 100_000)
                await asyncio.sleep(0)
            yield Answer("", (), (), refused=False)
        finally:
            self.running = False

    def with_it(self, collections: Collections) -> Collections:
        """The collections, answered by this."""
        return Collections({each.name: replace(each, generators={"talkative": self}) for each in collections})


@pytest.fixture(scope="module")
def talkative() -> Talkative:
    """Answers at length."""
    return Talkative()


@pytest.fixture(scope="module")
def hasty(new_config: Callable[[], Config], talkative: Talkative) -> Iterator[Served]:
    """A server that does not wait long."""
    limits = {"header_seconds": HEAD_SECONDS, "write_seconds": WRITE_SECONDS, "connections": MOST}
    with serving(new_config(), adapted=talkative.with_it, citations="none", **limits) as running:
        yield running


def connected(served: Served) -> socket.socket:
    return socket.create_connection(served.address, timeout=10)


def seconds_until_closed(connection: socket.socket) -> tuple[float, bytes]:
    """How long the server keeps a connection open, and what it said before it closed."""
    started, said = time.perf_counter(), b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            said += part
    return time.perf_counter() - started, said


@pytest.mark.parametrize(
    "sent",
    [b"SSH-2.0-x\r\n\r\n", b"\x16\x03\x01\x00", b"GET / HTTP/1.1\r\nhost: x\r\nbad\r\n\r\n"],
)
def test_what_is_no_http_is_told_so(hasty: Served, sent: bytes) -> None:
    with connected(hasty) as connection:
        connection.sendall(sent)
        head, _, body = seconds_until_closed(connection)[1].partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ") or sent.startswith(b"\x16")
    assert json.loads(body)["error"]["code"] in ("invalid_http", "request_timeout")


def test_a_head_without_end_is_cut_off(hasty: Served) -> None:
    with connected(hasty) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(b"GET / HTTP/1.1\r\n" + (b"x-header: " + b"y" * 1000 + b"\r\n") * 100)
        assert seconds_until_closed(connection)[1].startswith(b"HTTP/1.1 400 ")


# Who is slow. Connections are looked at once a second, so that all who are slow are slow at the same time.

HALVES = (b"", HALF_A_HEAD, b"GET")
ENDLESS = b"POST /nothing HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9000000000\r\n\r\n"


def trickle(connection: socket.socket, text: bytes) -> float:
    """Send a byte every tenth of a second; how long the server puts up with it."""
    started = time.perf_counter()
    with contextlib.suppress(OSError):
        for byte in text * 10:
            connection.sendall(bytes([byte]))
            time.sleep(0.1)
    return time.perf_counter() - started


def halting(served: Served, sent: bytes) -> tuple[float, bytes]:
    """Send this and nothing more: how long the connection is kept, and what is said before it is closed."""
    with connected(served) as connection:
        connection.sendall(sent)
        return seconds_until_closed(connection)


def trickling(served: Served, first: bytes, text: bytes) -> tuple[float, bytes]:
    """Send a request or none, then trickle: how long that is put up with, and what the request got."""
    with connected(served) as connection:
        connection.sendall(first)
        said = connection.recv(65536) if first else b""
        return trickle(connection, text), said


Slow = dict[str | bytes, tuple[float, bytes]]


@pytest.fixture(scope="module")
def slow(hasty: Served) -> Slow:
    """How long each slow client is put up with, and what it is told."""
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(6) as pool:
        patch.setattr("ragwright.app.serve.connections._LINGER_SECONDS", 0.5)
        begun: dict[str | bytes, Future[tuple[float, bytes]]] = {
            "head": pool.submit(trickling, hasty, b"", HALF_A_HEAD),
            "second head": pool.submit(trickling, hasty, WHOLE_HEAD, HALF_A_HEAD),
            "body": pool.submit(trickling, hasty, ENDLESS, b"x" * 100),
            **{sent: pool.submit(halting, hasty, sent) for sent in HALVES},
        }
        return {name: future.result() for name, future in begun.items()}


@pytest.mark.parametrize("sent", HALVES)
def test_half_a_head_or_none_closes_the_connection(slow: Slow, sent: bytes) -> None:
    seconds, said = slow[sent]
    assert HEAD_SECONDS * 0.9 <= seconds < HEAD_SECONDS + 2
    assert said.startswith(b"HTTP/1.1 408 ")


def test_a_head_that_trickles_is_not_waited_for(slow: Slow) -> None:
    assert slow["head"][0] < HEAD_SECONDS + 2


def test_the_head_of_a_second_request_is_not_waited_for_either(slow: Slow) -> None:
    seconds, said = slow["second head"]
    assert said.startswith(b"HTTP/1.1 200 ")
    assert seconds < HEAD_SECONDS + 2


def test_a_request_that_goes_on_after_its_answer_is_cut_off(slow: Slow) -> None:
    seconds, said = slow["body"]
    assert said.startswith(b"HTTP/1.1 413 ")
    assert seconds < 3


def test_an_answer_leaves_at_once(hasty: Served) -> None:
    """Nagle's algorithm would keep the second part of every answer back for 40 ms."""
    seconds = []
    with connected(hasty) as connection:
        for _ in range(10):
            started = time.perf_counter()
            connection.sendall(WHOLE_HEAD)
            while not connection.recv(65536).endswith(b"}"):
                pass
            seconds.append(time.perf_counter() - started)
    assert min(seconds[1:]) < 0.03


def ask_at_length(connection: socket.socket) -> None:
    body = json.dumps(question("Who keeps the key?")).encode()
    head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)


def test_a_client_that_takes_nothing_is_let_go_and_fills_no_memory(
    hasty: Served, talkative: Talkative
) -> None:
    with connected(hasty) as connection:
        talkative.said = 0
        ask_at_length(connection)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
        ends = time.monotonic() + WRITE_SECONDS + 4
        while talkative.running or not talkative.said:
            assert time.monotonic() < ends, "the answer is still being written"
            time.sleep(0.02)
    assert talkative.said < 30_000_000  # of forty; what the kernel took, and a bounded buffer


def test_a_client_that_takes_all_gets_all(hasty: Served) -> None:
    with connected(hasty) as connection:
        ask_at_length(connection)
        size, end = 0, b""
        while not end.endswith(b"0\r\n\r\n"):
            part = connection.recv(1_000_000)
            assert part, "the answer was cut off"
            size, end = size + len(part), (end + part)[-10:]
    assert size > 40_000_000


def test_idle_connections_give_way_to_one_that_asks(hasty: Served) -> None:
    """More connections than there may be say nothing; a client that asks is served at once, each time."""
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(connected(hasty))
        slowest = 0.0
        for _ in range(20):
            started = time.perf_counter()
            with connected(hasty) as asking:
                asking.sendall(WHOLE_HEAD)
                assert asking.recv(65536).startswith(b"HTTP/1.1 200 ")
            slowest = max(slowest, time.perf_counter() - started)
    assert slowest < 1


def test_connections_that_all_work_are_not_broken_for_one_more(
    new_config: Callable[[], Config], talkative: Talkative
) -> None:
    with contextlib.ExitStack() as stack:
        served = stack.enter_context(serving(new_config(), adapted=talkative.with_it, connections=2))
        busy = [stack.enter_context(connected(served)) for _ in range(2)]
        for each in busy:
            ask_at_length(each)
            assert each.recv(1000).startswith(b"HTTP/1.1 200 ")
        with connected(served) as one_more:
            assert seconds_until_closed(one_more)[1].startswith(b"HTTP/1.1 503 ")
        assert busy[0].recv(1000)
