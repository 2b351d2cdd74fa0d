"""The MCP server, asked by the official client: as a program over stdio, and over HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from tests.app.conftest import MAIN, encoder_settings
from tests.app.serve.serving import Served, add_key, serving

from ragwright.app.access import writing
from ragwright.app.console import Console
from ragwright.app.indexing import index_documents
from ragwright.app.progress import Progress
from ragwright.app.serve import mcp_route
from ragwright.app.serve.opening import Named
from ragwright.core.config import Config, with_settings
from ragwright.core.errors import MissingExtra
from ragwright.core.types import Access, Document
from ragwright.ingest.texts import as_document

T = TypeVar("T")
TENANTS = ("acme", "globex")
LONG = "The tide table of the harbour lists every high water of the year. " * 1_000


def _twins() -> list[Document]:
    """Documents of two tenants that differ in one word, some of a group only, and a long one."""
    made = []
    for tenant in TENANTS:
        for number in range(12):
            groups = ("board",) if number % 4 == 0 else ()
            text = f"The pump {number} of {tenant} has a pressure of {number + 3} bar.\n"
            source = f"pumps/{number}.txt"
            made.append(as_document(source, text, title=f"Pump {number}", access=Access(tenant, groups)))
    made.append(as_document("tide.txt", LONG, title="Tide table", access=Access("acme")))
    return made


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory, model_cache: Path, one_encoder: None) -> Config:
    """A workspace that two tenants share."""
    folder = tmp_path_factory.mktemp("twins") / ".ragwright"
    given = {"workspace": folder, "encoder.cache": model_cache, "encoder.threads": 1}
    config = with_settings(Config(), given)
    documents = _twins()
    with (
        writing(config, purpose="a test", make=True) as workspace,
        Progress(Console(quiet=True)) as progress,
    ):
        index_documents(workspace, documents, total=len(documents), observer=progress)
    return config


@pytest.fixture(scope="module")
def shared(twins: Config, small_config: Config) -> Iterator[Served]:
    """A server over the tenants' workspace, and over another collection."""
    with serving(twins, Named("harbour", small_config), requests_per_minute=1_000_000) as running:
        running.key("root", admin=True)
        yield running


@asynccontextmanager
async def _client(url: str, key: str | None = None, **headers: str) -> AsyncIterator[Client]:
    given = {**({"authorization": f"Bearer {key}"} if key else {}), **headers}
    async with (
        httpx2.AsyncClient(headers=given, timeout=30) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client,
    ):
        yield client


def _ask(url: str, key: str | None, ask: Callable[[Client], Awaitable[T]]) -> T:
    async def run() -> T:
        async with _client(url, key) as client:
            return await ask(client)

    return asyncio.run(run())


async def _called(client: Client, name: str, **arguments: Any) -> Any:
    result = await client.call_tool(name, arguments)
    assert not result.is_error, result.content
    return result.structured_content


async def _refused(client: Client, name: str, **arguments: Any) -> str:
    result = await client.call_tool(name, arguments)
    assert result.is_error, result.structured_content
    assert result.structured_content is None
    return str(result.content[0].text)  # type: ignore[union-attr]


def test_the_tools_are_read_only_and_say_what_they_take_and_give(shared: Served) -> None:
    async def ask(client: Client) -> None:
        tools = {each.name: each for each in (await client.list_tools()).tools}
        assert set(tools) == {"search", "fetch", "list_collections"}
        for tool in tools.values():
            assert tool.annotations is not None and tool.annotations.read_only_hint
            assert tool.annotations.destructive_hint is False and tool.annotations.open_world_hint is False
            assert tool.description and tool.output_schema
            assert tool.input_schema["additionalProperties"] is False
        taken = tools["search"].input_schema
        assert taken["required"] == ["query"]
        assert set(taken["properties"]) == {"query", "limit", "filters", "collection"}
        assert set(tools["fetch"].input_schema["properties"]) == {"id", "start"}

    _ask(shared.url, shared.key("lister", tenant="acme"), ask)


def test_what_search_finds_can_be_fetched_and_is_exact(shared: Served) -> None:
    async def ask(client: Client) -> None:
        found = await _called(client, "search", query="pressure of pump 5", limit=3)
        best = found["results"][0]
        assert best["title"] == "Pump 5" and "acme" in best["text"]
        assert best["evidence"] and best["url"].startswith(f"{shared.url}/documents/")
        passage = await _called(client, "fetch", id=best["id"])
        assert passage["passage"] == {key: best[key] for key in ("text", "start", "end")}
        whole = await _called(client, "fetch", id=best["document"])
        assert whole["passage"] is None and whole["next"] is None
        assert whole["text"][best["start"] : best["end"]] == best["text"]
        for each in best["evidence"]:
            assert whole["text"][each["start"] : each["end"]] == each["text"]
        assert whole["metadata"]["type"] == "txt" and whole["source"] == "pumps/5.txt"

    _ask(shared.url, shared.key("reader", tenant="acme"), ask)


def test_a_long_document_is_read_in_bounded_parts(shared: Served) -> None:
    async def ask(client: Client) -> None:
        hit = (await _called(client, "search", query="tide table high water"))["results"][0]
        around = await _called(client, "fetch", id=hit["id"])
        assert around["end"] - around["start"] <= 20_000
        assert around["start"] <= hit["start"] and hit["end"] <= around["end"]
        text, start = "", 0
        while start is not None:
            part = await _called(client, "fetch", id=hit["document"], start=start)
            assert 0 < len(part["text"]) <= 20_000 and part["characters"] == len(LONG)
            text, start = text + part["text"], part["next"]
        assert text == LONG
        beyond = await _refused(client, "fetch", id=hit["document"], start=len(LONG) + 1)
        assert "has 66000 characters" in beyond

    _ask(shared.url, shared.key("patient", tenant="acme"), ask)


def test_collections_are_listed_and_their_ids_kept_apart(shared: Served) -> None:
    async def ask(client: Client) -> None:
        listed = (await _called(client, "list_collections"))["collections"]
        assert [(each["name"], each["default"]) for each in listed] == [
            ("documents", True),
            ("harbour", False),
        ]
        found = await _called(client, "search", query="tide gate key", collection="harbour")
        best = found["results"][0]
        assert best["id"].startswith("harbour/") and "tide gate" in best["text"]
        assert "tide gate" in (await _called(client, "fetch", id=best["id"]))["text"]
        assert "tide gate" in (await _called(client, "fetch", id=best["document"]))["text"]
        missing = await _refused(client, "fetch", id=best["id"].removeprefix("harbour/"))
        assert "no passage or document" in missing

    _ask(shared.url, shared.key("librarian", admin=True), ask)


def test_wrong_calls_are_errors_that_a_model_can_read(shared: Served) -> None:
    async def ask(client: Client) -> None:
        assert "no letters" in await _refused(client, "search", query="?!")
        assert "limit" in await _refused(client, "search", query="pump", limit=0)
        assert "filter" in await _refused(client, "search", query="pump", filter={"type": "txt"})
        assert "there is no collection 'law'" in await _refused(
            client, "search", query="pump", collection="law"
        )
        assert "query" in await _refused(client, "search", query="x" * 40_000)
        assert "no passage" in await _refused(client, "fetch", id="../../etc/passwd")
        assert "no passage" in await _refused(client, "fetch", id="00000000-0000-0000-0000-000000000000")
        assert "start" in await _refused(client, "fetch", id="x", start=-1)
        assert "there is no such tool" in await _refused(client, "delete_documents", id="x")

    _ask(shared.url, shared.key("clumsy", tenant="acme"), ask)


def test_a_huge_limit_is_capped_and_filters_narrow(shared: Served) -> None:
    async def ask(client: Client) -> None:
        many = await _called(client, "search", query="pump pressure bar", limit=10**9)
        assert 10 < len(many["results"]) <= 50
        one = await _called(client, "search", query="pump", filters={"source": "pumps/3.txt"})
        assert {each["source"] for each in one["results"]} == {"pumps/3.txt"}

    _ask(shared.url, shared.key("greedy", admin=True), ask)


@pytest.mark.parametrize("count", [4, pytest.param(334, marks=pytest.mark.slow)])
def test_a_tenant_never_learns_of_anothers_documents(shared: Served, count: int) -> None:
    """A-01 and A-14: near-identical documents, every way to ask, and ids that the other one knows."""
    keys = {tenant: shared.key(f"of-{tenant}-{count}", tenant=tenant) for tenant in TENANTS}
    board = shared.key(f"board-{count}", tenant="globex", groups=("board",))
    own: dict[str, set[str]] = {}

    def asking(tenant: str, queries: list[str]) -> Callable[[Client], Awaitable[set[str]]]:
        other = TENANTS[1 - TENANTS.index(tenant)]

        async def ask(client: Client) -> set[str]:
            ids: set[str] = set()
            for query in queries:
                result = await client.call_tool("search", {"query": query, "limit": 50})
                assert not result.is_error
                assert other not in json.dumps(result.structured_content).replace(query, "")
                assert result.structured_content is not None
                for hit in result.structured_content["results"]:
                    ids |= {hit["id"], hit["document"]}
            return ids

        return ask

    random = Random(7)
    words = [*_twins()[0].text.split(), *TENANTS, "board", "tide", "table", *map(str, range(15))]
    queries = [each.text for each in _twins()[: -1 : max(1, 48 // count)]]
    while len(queries) < count:
        queries.append(" ".join(random.sample(words, random.randint(1, 6))))
    for tenant in TENANTS:
        own[tenant] = _ask(shared.url, keys[tenant], asking(tenant, queries))
    of_board = _ask(shared.url, board, asking("globex", queries))
    assert own["acme"] and own["globex"] and not own["acme"] & own["globex"]
    assert own["globex"] < of_board, "a group's members see more"

    async def pry(client: Client) -> None:
        unknown = await _refused(client, "fetch", id="0" * 24)
        for each in (own["globex"] | of_board) - own["acme"]:
            assert await _refused(client, "fetch", id=each) == unknown
        for word in ("globex", "board"):
            filters = {"tenant": word, "groups": word}
            for name, value in filters.items():
                result = await client.call_tool("search", {"query": "pump", "filters": {name: value}})
                assert "globex" not in json.dumps(result.structured_content)

    _ask(shared.url, keys["acme"], pry)


def test_a_revoked_key_and_no_key_are_refused_before_the_protocol(shared: Served) -> None:
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    accept = {"accept": "application/json, text/event-stream"}
    with shared.client() as client:
        assert client.post("/mcp", json=message, headers=accept).status_code == 401
    with shared.client("rw-nobody") as client:
        assert client.post("/mcp", json=message, headers=accept).status_code == 401
    with shared.client(shared.key("late", tenant="acme")) as client:
        assert client.post("/mcp", json=message, headers=accept).status_code == 200
        assert client.get("/mcp", headers=accept).status_code == 405
        assert client.delete("/mcp").status_code == 405
        foreign = {**accept, "origin": "https://evil.example"}
        assert client.post("/mcp", json=message, headers=foreign).status_code == 403
        rebound = {**accept, "host": "evil.example"}
        assert client.post("/mcp", json=message, headers=rebound).status_code == 403
        assert client.post("/mcp", content=b"[" * 70_000, headers=accept).status_code in (400, 413)


def test_clients_of_the_older_protocol_are_served_too(shared: Served) -> None:
    key = shared.key("elder", tenant="acme")

    async def run() -> None:
        async with httpx2.AsyncClient(headers={"authorization": f"Bearer {key}"}, timeout=30) as http:
            transport = streamable_http_client(f"{shared.url}/mcp", http_client=http)
            async with Client(transport, mode="legacy") as client:
                found = await _called(client, "search", query="pressure of pump 7", limit=1)
                assert "pump 7 of acme" in found["results"][0]["text"]
                assert "no passage" in await _refused(client, "fetch", id="nothing")

    asyncio.run(run())


def _program(config: Config, model_cache: Path, *arguments: str) -> StdioServerParameters:
    given = ["mcp", "--workspace", str(config.workspace), *arguments]
    environment = {**os.environ, **encoder_settings(model_cache)}
    return StdioServerParameters(command=sys.executable, args=["-c", MAIN, *given], env=environment)


@pytest.mark.slow
def test_as_a_program_it_serves_one_tenant_and_writes_only_the_protocol(
    twins: Config, model_cache: Path, tmp_path: Path
) -> None:
    workspace = tmp_path / ".ragwright"
    subprocess.run(["cp", "-R", str(twins.workspace), str(workspace)], check=True)
    config = with_settings(twins, {"workspace": workspace})

    async def run() -> None:
        async with Client(_program(config, model_cache, "--tenant", "globex")) as client:
            assert len((await client.list_tools()).tools) == 3
            found = await _called(client, "search", query="pressure of pump 5 of acme", limit=10**6)
            assert found["results"] and "acme" not in json.dumps(found)
            assert "board" not in json.dumps(found)
            hit = found["results"][0]
            assert (await _called(client, "fetch", id=hit["id"]))["title"] == hit["title"]
            assert "no passage" in await _refused(client, "fetch", id="../other")

    # The client ends with an error at the first line of stdout that is not of the protocol.
    asyncio.run(run())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--http", "--tenant", "acme"], "leave --tenant and --group out"),
        (["--port", "0"], "--host and --port are for --http"),
        (["--json"], "--json"),
        (["--http", "--host", "0.0.0.0"], "there is no API key"),
    ],
)
def test_options_that_would_do_nothing_or_harm_are_refused(
    run: Callable[..., Any], arguments: list[str], told: str
) -> None:
    done = run("mcp", *arguments)
    assert done.exit_code in (1, 2) and told in done.stderr and not done.stdout


def _started(arguments: list[str], model_cache: Path, **options: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, **encoder_settings(model_cache)}
    command = [sys.executable, "-c", MAIN, "mcp", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, text=True, env=environment, stdin=pipe, stdout=pipe, stderr=pipe)


@pytest.mark.slow
def test_over_http_the_program_serves_the_protocol_and_nothing_else(
    new_config: Callable[[], Config], model_cache: Path
) -> None:
    config = new_config()
    key = add_key(config.workspace, "reader")
    arguments = ["--http", "--port", "0", "--json", "--workspace", str(config.workspace)]
    with _started(arguments, model_cache) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(3)]
            url = json.loads("".join(lines))["url"].removesuffix("/mcp")

            async def ask(client: Client) -> None:
                found = await _called(client, "search", query="who keeps the key of the tide gate")
                assert "harbour master" in found["results"][0]["text"]

            _ask(url, key, ask)
            with httpx2.Client(headers={"authorization": f"Bearer {key}"}) as client:
                assert client.get(f"{url}/healthz").status_code == 200
                assert client.get(f"{url}/v1/models").status_code == 404
                assert client.post(f"{url}/v1/chat/completions", json={}).status_code == 404
                assert client.get(f"{url}/").status_code == 404
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(15) == 0


@pytest.mark.slow
def test_a_signal_ends_the_program_while_it_waits_for_its_client(
    new_config: Callable[[], Config], model_cache: Path
) -> None:
    with _started(["--workspace", str(new_config().workspace)], model_cache) as process:
        time.sleep(4)
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0


def test_without_the_package_the_command_and_the_route_name_the_extra(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("mcp", "mcp.server"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "ragwright.app.serve.mcp_server", raising=False)
    done = run("mcp")
    assert done.exit_code == 1 and ".[mcp]" in done.stderr and not done.stdout
    mcp_route._server.cache_clear()
    with pytest.raises(MissingExtra, match="mcp is not installed"):
        mcp_route._server()
