"""A scripted OpenAI-compatible server: it says what a test tells it to, how and when, and keeps what it saw.

    with openai_server(answer("Hello", " there")) as server:
        ...  # an OpenAI client with base URL server.url
        assert server.requests[0].body["model"] == "small"

Each request takes the next reply; the last one serves all that follow. A function in a reply's place is
given the request and returns the reply. A reply's body is a series of steps, taken one by one, so it may be
endless:

- `bytes` are sent as they are, at once; `event`, `text`, `finish`, `usage`, `DONE` and `error` make some;
- a number waits that many seconds;
- `STALL` waits until the client leaves or the server is closed;
- `BREAK` resets the connection.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

BREAK: Literal["break"] = "break"
STALL: Literal["stall"] = "stall"
Step = bytes | float | Literal["break", "stall"]


@dataclass(slots=True)
class Request:
    """What came in, and what became of it.

    Attributes:
        method: Of HTTP.
        path: With its query.
        headers: By name in small letters.
        body: The JSON body; {} when there is none.
        connection: Number of the connection that it came on, from 0.
        sent: How many bytes of the reply's body were sent.
        left: `time.monotonic()` when the client was seen to leave before the reply's end; None: it stayed.
        ended: Set when the reply is over, or the client left.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    connection: int
    sent: int = 0
    left: float | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def prompt(self) -> str:
        """The texts of all messages."""
        return "\n".join(str(each.get("content")) for each in self.body.get("messages", ()))


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes out.

    Attributes:
        body: The steps.
        status: Of HTTP; 0 sends no head.
        kind: Content type.
        headers: Beside it.
    """

    body: Iterable[Step] = ()
    status: int = 200
    kind: str = "text/event-stream"
    headers: Mapping[str, str] = field(default_factory=dict)


Script = Reply | Callable[[Request], Reply]


@dataclass(slots=True)
class OpenAIServer:
    """The running server.

    Attributes:
        url: Root of the API.
        requests: In the order of arrival.
        replies: The script; may be set anew between requests.
    """

    url: str
    replies: list[Script]
    requests: list[Request] = field(default_factory=list)

    def next_reply(self, request: Request) -> Reply:
        """Keep a request, and take its reply from the script."""
        self.requests.append(request)
        script = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        return script(request) if callable(script) else script


def event(data: object) -> bytes:
    """One server-sent event."""
    return f"data: {json.dumps(data)}\n\n".encode()


def chunk(delta: Mapping[str, Any] | None, reason: str | None = None, **more: Any) -> bytes:
    """One event of a chat completion; without a delta it has no choice."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": reason}]
    facts = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "small"}
    return event({**facts, "choices": choices, **more})


def text(content: str) -> bytes:
    """A piece of the answer."""
    return chunk({"content": content})


def finish(reason: str = "stop") -> bytes:
    """The end of the answer's text."""
    return chunk({}, reason)


def usage(prompt: int, completion: int) -> bytes:
    """What the answer cost."""
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return chunk(None, usage=counts)


def error(message: str = "the engine died", **more: Any) -> bytes:
    """An error in the middle of a stream."""
    return event({"error": {"message": message, "type": "server_error", **more}})


DONE = b"data: [DONE]\n\n"


def answer(*pieces: str, delay: float = 0.0, reason: str = "stop", counts: tuple[int, int] = (7, 3)) -> Reply:
    """A good answer.

    Args:
        pieces: Its text, an event each.
        delay: Seconds before each.
        reason: Why it ends.
        counts: Tokens of prompt and completion.
    """
    steps: list[Step] = [chunk({"role": "assistant", "content": ""})]
    for piece in pieces:
        steps += [delay, text(piece)]
    return Reply([*steps, finish(reason), usage(*counts), DONE])


def endless(content: str = "word ", every: float = 0.0) -> Reply:
    """An answer that never ends."""
    return Reply(itertools.chain.from_iterable((text(content), every) for _ in itertools.count()))


def whole(content: str) -> Reply:
    """An answer in one JSON, as of a server that does not stream."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    facts = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "small"}
    return Reply([json.dumps({**facts, "choices": [choice]}).encode()], kind="application/json")


def failure(status: int, message: str = "no such luck", *, code: Any = None, **headers: str) -> Reply:
    """An answer with a status of failure; `retry_after="1"` becomes a header."""
    body = {"error": {"message": message, "type": "failure", "param": None, "code": code}}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply([json.dumps(body).encode()], status, "application/json", named)


@contextmanager
def openai_server(*replies: Script, port: int = 0) -> Iterator[OpenAIServer]:
    """A server on this machine, in a thread of its own.

    Args:
        replies: The script; without one everything is answered with "Hello there".
        port: 0 takes a free one.
    """
    running = _Running(list(replies) or [answer("Hello", " there")], port)
    thread = threading.Thread(target=lambda: asyncio.run(running.serve()), daemon=True)
    thread.start()
    running.ready.wait()
    try:
        yield running.server
    finally:
        running.loop.call_soon_threadsafe(running.closing.set)
        thread.join()


class _Running:
    def __init__(self, replies: list[Script], port: int) -> None:
        self.server = OpenAIServer("", replies)
        self._port = port
        self.ready = threading.Event()
        self._connections = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.closing = asyncio.Event()
        listening = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
        host, port = listening.sockets[0].getsockname()
        self.server.url = f"http://{host}:{port}/v1"
        self.ready.set()
        await self.closing.wait()
        listening.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        number = next(self._connections)
        try:
            while (request := await _read(reader, number)) is not None:
                if not await self._answer(request, reader, writer):
                    break
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _answer(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Send the reply; whether the connection is good for another request."""
        reply = self.server.next_reply(request)
        if reply.status:
            writer.write(_head(reply))
        sending = asyncio.ensure_future(_send(reply.body, request, writer))
        leaving = asyncio.ensure_future(_leaves(reader, writer))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not sending.done() or sending.exception() is not None:
                request.left = time.monotonic()
                return False
            return sending.result()
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
            request.ended.set()


async def _read(reader: asyncio.StreamReader, connection: int) -> Request | None:
    """The next request of a connection; None when there is none."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    method, path, _ = first.split(" ", 2)
    return Request(method, path, headers, json.loads(body) if body else {}, connection)


def _head(reply: Reply) -> bytes:
    headers = {"content-type": reply.kind, "transfer-encoding": "chunked", **reply.headers}
    lines = [f"HTTP/1.1 {reply.status} Scripted", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def _send(steps: Iterable[Step], request: Request, writer: asyncio.StreamWriter) -> bool:
    """Take the steps; whether they came to their end."""
    for step in steps:
        if step == BREAK:
            with suppress(ConnectionError):
                await writer.drain()
            await asyncio.sleep(0.02)  # so that what was sent before is read and not reset
            return False
        if step == STALL:
            await asyncio.Event().wait()
        elif isinstance(step, bytes):
            writer.write(f"{len(step):x}\r\n".encode() + step + b"\r\n")
            request.sent += len(step)
            await writer.drain()
        elif not isinstance(step, str):
            await asyncio.sleep(step)
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


async def _leaves(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Wait until the other side closes the connection; what it sends meanwhile stays to be read."""
    while not reader.at_eof() and not writer.is_closing():
        await asyncio.sleep(0.02)
