"""A running server over a small real workspace, with one generator that does as its question says."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
from openai import AsyncOpenAI, OpenAI
from tests.app.conftest import encoder_settings
from tests.app.serve.serving import Served, serving
from typer.testing import CliRunner

from ragwright.app.cli import app as command_line
from ragwright.app.serve.collections import Collections
from ragwright.app.serve.key_file import KeyFile
from ragwright.app.serve.keys import Key, digest_of
from ragwright.app.serve.opening import Named
from ragwright.core.config import Config, with_settings
from ragwright.core.errors import ServiceError
from ragwright.core.types import (
    Answer,
    AnswerEvent,
    AnswerRequest,
    Citation,
    Delta,
    Mark,
    Message,
    Span,
    Usage,
)
from ragwright.generation.language_model import Finish

OWNER, READER, HURRIED = "rw-owner-key-of-the-tests", "rw-reader-key-of-the-tests", "rw-hurried-key-of-tests"
PUMP = (
    "# Pump manual\n\n## Torque\n\nTighten the flange bolts to 35 Nm. Check it again after an hour 🔧.\n\n"
    "## Filter\n\nReplace the filter every six months. A clogged filter lowers the pressure.\n"
)
CHINESE = "# 泵手册\n\n法兰螺栓的拧紧力矩为 35 牛米。🔧 每六个月更换一次过滤器。\n"


@dataclass
class Scripted:
    """A generator whose questions say what happens to them."""

    name: str = "scripted"
    running: int = 0
    started: threading.Event = field(default_factory=threading.Event)
    stopped: threading.Event = field(default_factory=threading.Event)
    requests: list[AnswerRequest] = field(default_factory=list)

    async def stream(self, request: AnswerRequest) -> AsyncGenerator[AnswerEvent, None]:
        self.requests.append(request)
        self.started.set()
        try:
            async for event in getattr(self, f"_{request.question.split()[0]}", self._answer)(request):
                yield event
        finally:
            await asyncio.sleep(0)  # closing may take a turn of the loop
            self.stopped.set()

    async def _answer(self, request: AnswerRequest) -> AsyncGenerator[AnswerEvent, None]:
        """Two claims with emoji and ideographs, each cited, the first one twice."""
        first, second = (_citation(marker, request) for marker in (1, 2))
        deltas = [
            _marked("🔧 Tighten to 35 Nm [1]. ", (first,)),
            _marked("法兰螺栓 👩‍🔧 [2]\nAgain [1].", (second,)),
        ]
        for delta in deltas:
            yield delta
        text = "".join(delta.text for delta in deltas)
        yield Answer(text, (first, second), request.hits, refused=False, support=0.8, usage=Usage(11, 7))

    async def _cut(self, request: AnswerRequest) -> AsyncGenerator[AnswerEvent, None]:
        yield Delta("half an ans")
        yield Answer("half an ans", (), request.hits, refused=False, finish="length")

    async def _silent(self, request: AnswerRequest) -> AsyncGenerator[AnswerEvent, None]:
        await asyncio.sleep(0.35)
        async for event in self._answer(request):
            yield event

    async def _endless(self, request: AnswerRequest) -> AsyncGenerator[AnswerEvent, None]:
        yield Delta("so far")
        await asyncio.sleep(3600)

    async def _mute(self, request: AnswerRequest) -> AsyncGenerator[AnswerEvent, None]:
        await asyncio.sleep(3600)
        yield Delta("never")

    async def _break(self, request: AnswerRequest) -> AsyncGenerator[AnswerEvent, None]:
        yield Delta("so far")
        raise ServiceError("http://secret-host:8000/v1 answered 500 with key sk-123")

    async def _late(self, request: AnswerRequest) -> AsyncGenerator[AnswerEvent, None]:
        raise ServiceError("no word in 30 s") from TimeoutError()
        yield Delta("never")

    async def _bug(self, request: AnswerRequest) -> AsyncGenerator[AnswerEvent, None]:
        raise ZeroDivisionError("/srv/secret/path")
        yield Delta("never")


def _marked(text: str, citations: tuple[Citation, ...]) -> Delta:
    marks = [(text.index(f"[{n}]"), n) for n in (1, 2) if f"[{n}]" in text]
    return Delta(text, citations, tuple(Mark(start, start + 3, n) for start, n in sorted(marks)))


def _citation(marker: int, request: AnswerRequest) -> Citation:
    hit = request.hits[0]
    span = Span(hit.chunk.span.document_id, hit.chunk.span.start, hit.chunk.span.start + 13)
    return Citation(marker, span, hit.chunk.text[:13], "exact", hit.source, hit.title, ("Torque",), 3)


class ScriptedModel:
    """A language model that writes what it was told to."""

    name = "scripted-model"
    special_tokens: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.writes = ""
        self.asked: list[Message] = []

    async def stream(
        self, messages: Any, *, max_tokens: int, temperature: float
    ) -> AsyncGenerator[str | Finish, None]:
        self.asked += messages
        if not self.writes:
            raise ServiceError("nothing to say")
        yield self.writes
        yield Finish("stop")

    def count_tokens(self, text: str) -> int | None:
        return None

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class World:
    """The server, what stands behind it, and who talks to it."""

    served: Served
    scripted: Scripted
    model: ScriptedModel
    http: httpx.Client  # without a key

    @property
    def url(self) -> str:
        return self.served.url

    def client(self, key: str = OWNER) -> OpenAI:
        """The official client; all share their connections."""
        made = OpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0, http_client=self.http)
        return made.with_options(timeout=20)

    def async_client(self, key: str = OWNER) -> AsyncOpenAI:
        """The official async client, for one event loop, to be closed."""
        connections = httpx.AsyncClient(verify=False)
        return AsyncOpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0, http_client=connections)

    def post(self, path: str, body: dict[str, Any] | bytes, *, key: str = OWNER) -> httpx.Response:
        """What the server answers to JSON."""
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        return self.http.post(self.url + path, content=text, headers=headers)


@contextmanager
def world_in(folder: Path, cache: Path) -> Iterator[World]:
    """Two documents in a workspace, served; a second collection's index does not answer."""
    scripted, model = Scripted(), ScriptedModel()
    config = _ingested(folder, cache)
    # The same catalog, and an index server that nobody runs; the reranker needs none.
    address = f"http://127.0.0.1:{_free_port()}"
    down = with_settings(config, {"index.url": address, "search.rerank": "late"})

    def with_scripted(collections: Collections) -> Collections:
        found = {each.name: each for each in collections}
        first = found["documents"]
        generators = {**first.generators, scripted.name: scripted}
        found["documents"] = replace(first, generators=generators, models={scripted.name: model})
        return Collections(found)

    changed = {"keep_alive_seconds": 0.1, "body_megabytes": 1}
    with (
        serving(config, Named("down", down), adapted=with_scripted, **changed) as served,
        httpx.Client(timeout=20, verify=False) as http,  # certificates take a while to load
    ):
        yield World(served, scripted, model, http)


def _ingested(folder: Path, cache: Path) -> Config:
    documents = folder / "docs"
    documents.mkdir()
    (documents / "pump.md").write_text(PUMP, encoding="utf-8")
    (documents / "zh.md").write_text(CHINESE, encoding="utf-8")
    workspace = folder / ".ragwright"
    arguments = ["ingest", str(documents), "--workspace", str(workspace)]
    done = CliRunner(env=encoder_settings(cache)).invoke(command_line, arguments)
    assert done.exit_code == 0, done.output
    _add_keys(workspace)
    encoder = {"encoder.cache": cache, "encoder.threads": 1}
    return with_settings(Config(), {"workspace": workspace, **encoder})


def _add_keys(workspace: Path) -> None:
    file = KeyFile.in_folder(workspace)
    file.add(Key("owner", digest_of(OWNER), admin=True))
    file.add(Key("reader", digest_of(READER)))
    file.add(Key("hurried", digest_of(HURRIED), requests_per_minute=1))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
