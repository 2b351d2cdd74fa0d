"""How much, how large, how long and from where: what the gate lets through, and what it says otherwise."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.app.serve.serving import Served, serving
from tests.app.serve.slow import SlowGenerator, question

from ragwright.app.serve.bodies import LimitedBody, Pace, check_depth
from ragwright.app.serve.errors import HttpError
from ragwright.app.serve.places import Places
from ragwright.app.serve.rates import Rates
from ragwright.core.config import Config
from ragwright.core.config_serving import ServerConfig

CHAT = "/v1/chat/completions"
MEGABYTE = 1_000_000
FOREIGN_HOSTS = (
    "evil.example.org",
    "localhost.evil.example.org",
    "127.0.0.1.evil.org",
    "a@localhost",
    "x y",
)
OWN_HOSTS = (
    "localhost",
    "LOCALHOST.",
    "[::1]:1",
    "192.168.1.9",
    "docs.example.org",
    "public.example.org:443",
)
FOREIGN_ORIGINS = (
    "https://evil.example.org",
    "null",
    "file://",
    "http://localhost:1",
    "https://chat.example.org.evil.org",
)
ODD_PATHS = (
    "/..%2f..%2fetc/passwd",
    "//",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/page/..%2f__init__.py",
    "/page/..\\page.py",
    "/page/%00",
    "/\\..\\",
    "/v1/documents/..%2f..%2fkeys.json",
    "/page//etc/passwd",
    "/v1//models",
)


@pytest.fixture(scope="module")
def slow() -> SlowGenerator:
    """Answers without end."""
    return SlowGenerator()


@pytest.fixture(scope="module")
def tight(new_config: Callable[[], Config], slow: SlowGenerator) -> Iterator[Served]:
    """A server that allows little of everything."""
    limits = {
        "body_megabytes": 1,
        "upload_megabytes": 1,
        "body_seconds": 0.5,
        "request_seconds": 1.0,
        "concurrency": 2,
        "queue": 1,
        "queue_seconds": 0.3,
        "streams": 2,
        "allowed_hosts": ("docs.example.org",),
        "allowed_origins": ("https://chat.example.org",),
        "public_url": "https://public.example.org",
    }
    with serving(new_config(), adapted=slow.with_it, **limits) as running:
        yield running


def error_of(answered: httpx.Response) -> tuple[int, str]:
    """Status and code, of a body in OpenAI's shape."""
    error = answered.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return answered.status_code, error["code"]


def raw(served: Served, request: bytes, *, seconds: float = 10.0) -> bytes:
    """What comes back for bytes that are sent as they are."""
    with socket.create_connection(served.address, timeout=seconds) as connection:
        connection.sendall(request)
        answer = b""
        while part := connection.recv(65536):
            answer += part
            if b"\r\n\r\n" in answer:
                break
        return answer


# Bodies


def test_a_body_that_declares_too_much_is_refused_before_it_is_sent(tight: Served) -> None:
    head = f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 300000000\r\n\r\n"
    started = time.perf_counter()
    assert raw(tight, head.encode()).startswith(b"HTTP/1.1 413 ")
    assert time.perf_counter() - started < 1


def test_a_body_without_a_length_is_read_up_to_the_limit(tight: Served) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 300 * MEGABYTE:
            sent += 65536
            yield b" " * 65536

    started = time.perf_counter()
    with tight.client() as client:
        assert error_of(client.post(CHAT, content=endless())) == (413, "request_too_large")
    assert time.perf_counter() - started < 10  # it goes on sending; what arrives is thrown away


def test_an_upload_has_a_limit_of_its_own_with_and_without_a_length(tight: Served) -> None:
    with tight.client() as client:
        assert client.post("/v1/documents", files={"file": ("a.txt", b"x" * 3 * MEGABYTE)}).status_code == 413
        head = {"content-type": "multipart/form-data; boundary=b"}
        field = b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
        parts = (field if number == 0 else b"x" * MEGABYTE for number in range(4))
        assert client.post("/v1/documents", content=parts, headers=head).status_code == 413


def test_a_body_that_does_not_arrive_is_given_up(tight: Served) -> None:
    def told(length: str) -> tuple[bytes, float]:
        head = f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\n{length}\r\n\r\n"
        started = time.perf_counter()
        return raw(tight, head.encode()), time.perf_counter() - started

    with ThreadPoolExecutor(2) as pool:
        for answered, seconds in pool.map(told, ("content-length: 100", "transfer-encoding: chunked")):
            assert answered.startswith(b"HTTP/1.1 408 ")
            assert 0.4 < seconds < 3


def test_packed_and_deeply_nested_bodies_are_refused(tight: Served) -> None:
    with tight.client() as client:
        packed = client.post(CHAT, content=b"x", headers={"content-encoding": "gzip"})
        assert error_of(packed) == (415, "unsupported_encoding")
        for opening in ("[", '{"a":'):
            deep = client.post(CHAT, content=opening * 100_000)
            assert error_of(deep) == (400, "nested_too_deep")
        assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize(("pause", "arrives"), [(0.0, True), (0.02, False)])
def test_a_file_comes_at_the_least_pace_or_is_given_up(pause: float, arrives: bool) -> None:
    """However long the whole may take: a byte now and then holds no place."""
    left = 100

    async def receive() -> dict[str, object]:
        nonlocal left
        await asyncio.sleep(pause)
        left -= 1
        return {"type": "http.request", "body": b"x", "more_body": left > 0}

    async def read() -> None:
        body = LimitedBody(receive, limit=1000, seconds=60, pace=Pace(bytes_per_second=1000, allowance=0.2))
        while (await body())["more_body"]:
            pass

    if arrives:
        asyncio.run(read())
        return
    with pytest.raises(HttpError, match="did not arrive") as refused:
        asyncio.run(read())
    assert refused.value.status == 408 and left > 50


values = st.recursive(
    st.none() | st.booleans() | st.text(alphabet='[]{}"\\a'),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(alphabet='[{"\\'), inner, max_size=4),
    max_leaves=30,
)


def depth_of(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth_of, inner), default=0)


@given(values, st.integers(0, 8))
def test_depth_is_counted_outside_of_texts(value: object, limit: int) -> None:
    body = json.dumps(value).encode()
    if depth_of(value) <= limit:
        check_depth(body, limit=limit)
    else:
        with pytest.raises(HttpError):
            check_depth(body, limit=limit)


@pytest.mark.parametrize("text", ['"', '"\\', '\\"', '"\\"', "[]", "[[", '["'])
def test_no_body_makes_counting_slow(text: str) -> None:
    body = b"[" * 65 + text.encode() * (4 * MEGABYTE // len(text))
    started = time.perf_counter()
    with pytest.raises(HttpError):
        check_depth(body, limit=64)
    assert time.perf_counter() - started < 3


# Time


def test_an_answer_that_takes_too_long_is_stopped(tight: Served, slow: SlowGenerator) -> None:
    with tight.client() as client, ThreadPoolExecutor(1) as pool:
        begun = pool.submit(client.post, CHAT, json=question("silent", stream=False))
        streamed = client.post(CHAT, json=question())
        assert error_of(begun.result()) == (504, "request_timeout")
    assert streamed.status_code == 200
    last = streamed.text.strip().split("\n\n")[-1]
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "request_timeout"
    slow.wait_until(running=0)


@pytest.mark.parametrize("stream", [True, False])
def test_work_ends_within_two_seconds_of_the_client_s_leaving(
    tight: Served, slow: SlowGenerator, stream: bool
) -> None:
    body = json.dumps(question(stream=stream)).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    with socket.create_connection(tight.address) as connection:
        connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        slow.wait_until(running=1)
    slow.wait_until(running=0, seconds=0.8)  # before its time would be up


# How many


def test_beyond_the_queue_a_request_is_turned_away_at_once(tight: Served, slow: SlowGenerator) -> None:
    with ThreadPoolExecutor(4) as pool, tight.client() as client, ExitStack() as streams:
        for number in (1, 2):
            streams.enter_context(client.stream("POST", CHAT, json=question("silent")))
            slow.wait_until(running=number)
        waiting = pool.submit(client.post, "/v1/retrieve", json={"query": "key"})
        while tight.app.state.limits.places.inside < 3:
            time.sleep(0.01)
        started = time.perf_counter()
        turned_away = client.post("/v1/retrieve", json={"query": "key"})
        assert time.perf_counter() - started < 0.2
        assert error_of(turned_away) == (503, "overloaded") and turned_away.headers["retry-after"] == "1"
        assert client.get("/healthz").status_code == client.get("/v1/models").status_code == 200
        waited = waiting.result()
        assert error_of(waited) == (503, "overloaded") and "0.3 s" in waited.text
    slow.wait_until(running=0)
    with tight.client() as client:
        assert client.post("/v1/retrieve", json={"query": "key"}).status_code == 200


def test_overload_gives_answers_or_503_and_leaves_nothing_behind(tight: Served) -> None:
    def ask(number: int) -> int:
        with tight.client() as client:
            return client.post("/v1/retrieve", json={"query": f"key {number}"}).status_code

    with ThreadPoolExecutor(12) as pool:
        statuses = set(pool.map(ask, range(36)))
    assert 200 in statuses and statuses <= {200, 503}
    places = tight.app.state.limits.places
    assert (places.inside, places.at_work) == (0, 0)


@pytest.fixture(scope="module")
def counted(new_config: Callable[[], Config], slow: SlowGenerator) -> Iterator[tuple[Served, str, str]]:
    """A server with two keys that may ask little, and their secrets."""
    with serving(new_config(), adapted=slow.with_it, streams=1, requests_per_minute=600) as running:
        yield running, running.key("some", requests_per_minute=3), running.key("other")


def test_a_key_that_asks_too_often_waits_and_others_do_not(counted: tuple[Served, str, str]) -> None:
    served, some, other = counted
    with served.client(some) as client:
        answers = [client.get("/v1/models") for _ in range(4)]
    assert [each.status_code for each in answers] == [200, 200, 200, 429]
    assert [each.headers["x-ratelimit-remaining-requests"] for each in answers] == ["2", "1", "0", "0"]
    assert error_of(answers[-1]) == (429, "rate_limit_exceeded")
    assert 15 <= int(answers[-1].headers["retry-after"]) <= 20
    with served.client(other) as client:
        assert client.get("/v1/models").headers["x-ratelimit-limit-requests"] == "600"


def test_a_key_has_so_many_answers_at_once(counted: tuple[Served, str, str], slow: SlowGenerator) -> None:
    served, _, other = counted
    third = served.key("third")
    with served.client(other) as client, client.stream("POST", CHAT, json=question()):
        slow.wait_until(running=1)
        assert error_of(client.post(CHAT, json=question())) == (429, "too_many_answers")
        assert client.post("/v1/retrieve", json={"query": "key"}).status_code == 200
        with served.client(third) as another, another.stream("POST", CHAT, json=question()) as answered:
            assert answered.status_code == 200
    slow.wait_until(running=0)


@pytest.fixture(scope="module")
def shared(new_config: Callable[[], Config], slow: SlowGenerator) -> Iterator[tuple[Served, str, str]]:
    """A server with few places and two keys that share them."""
    limits = {"concurrency": 4, "queue": 4, "queue_seconds": 0.5, "upload_megabytes": 1}
    with serving(new_config(), adapted=slow.with_it, **limits) as running:
        yield running, running.key("greedy", write=True), running.key("other", write=True)


def unfinished(served: Served, key: str, path: str, kind: str) -> socket.socket:
    """A connection whose request declares a body and sends none of it."""
    connection = socket.create_connection(served.address, timeout=10)
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n"
    connection.sendall(f"{head}content-type: {kind}\r\ncontent-length: 1000\r\n\r\n".encode())
    return connection


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/retrieve", "application/json"),
        ("/v1/rerank", "application/json"),
        ("/v1/documents", "multipart/form-data; boundary=b"),
    ],
)
def test_a_key_whose_bodies_do_not_arrive_shuts_no_other_out(
    shared: tuple[Served, str, str], path: str, kind: str
) -> None:
    served, greedy, other = shared
    with ExitStack() as opened, served.client(other) as client, served.client(greedy) as same:
        for _ in range(8):  # as many as the server takes in all
            opened.enter_context(unfinished(served, greedy, path, kind))
        time.sleep(0.1)
        assert client.post("/v1/retrieve", json={"query": "key"}).status_code == 200
        if "json" in kind:
            refused = same.post("/v1/retrieve", json={"query": "key"})
            assert error_of(refused) == (429, "too_many_requests") and refused.headers["retry-after"] == "1"
    until = time.monotonic() + 5
    while served.app.state.limits.places.inside and time.monotonic() < until:
        time.sleep(0.01)
    assert served.app.state.limits.places.inside == 0


def test_a_key_that_works_everywhere_leaves_places_to_others() -> None:
    """Whatever its requests do: of what is worked on, received and waited for, one key has half at most."""

    async def crowd() -> None:
        places = Places(working=4, waiting=4, seconds=0.05)
        async with AsyncExitStack() as held:
            for taken in (places.taken, places.uploading):
                share = 2 if taken == places.taken else 1
                for _ in range(share):
                    await held.enter_async_context(taken("greedy"))
                with pytest.raises(HttpError, match="no place became free"):
                    await held.enter_async_context(taken("greedy"))
                await held.enter_async_context(taken("other"))
            for _ in range(4):
                held.enter_context(places.of_key("greedy"))
            with pytest.raises(HttpError, match="more than 4 requests at once"):
                held.enter_context(places.of_key("greedy"))
            held.enter_context(places.of_key("other"))
        for _ in range(2):  # everything was given back
            async with AsyncExitStack() as held:
                for _ in range(4):
                    await held.enter_async_context(places.taken(None))  # without keys all of it is one's own

    asyncio.run(crowd())


@given(st.integers(1, 100), st.lists(st.floats(0, 30), max_size=200))
def test_a_key_never_gets_more_than_a_minute_s_requests_and_what_time_brings(
    per_minute: int, pauses: list[float]
) -> None:
    now = 0.0
    rates = Rates(streams=1, clock=lambda: now)
    passed = 0
    for pause in pauses:
        now += pause
        try:
            rates.take("key", per_minute=per_minute)
            passed += 1
        except HttpError as refused:
            assert refused.retry_after is not None and refused.retry_after >= 1
    assert passed <= per_minute + now * per_minute / 60 + 1e-6


# From where


def test_a_foreign_host_is_refused_as_in_dns_rebinding(tight: Served) -> None:
    port = tight.address[1]
    with tight.client() as client:
        for host in FOREIGN_HOSTS:
            answered = client.get("/v1/models", headers={"host": host})
            assert error_of(answered) == (403, "host_not_allowed"), host
        for host in (*OWN_HOSTS, f"localhost:{port}"):
            assert client.get("/v1/models", headers={"host": host}).status_code == 200, host
    assert raw(tight, b"GET /v1/models HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert raw(tight, b"GET /v1/models HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 403 ")


def test_a_page_of_another_origin_is_refused_unless_allowed(tight: Served) -> None:
    own = f"http://localhost:{tight.address[1]}"
    with tight.client() as client:
        for origin in FOREIGN_ORIGINS:
            for path in ("/healthz", "/v1/models", "/"):
                answered = client.get(path, headers={"origin": origin, "host": own.removeprefix("http://")})
                assert error_of(answered) == (403, "origin_not_allowed"), (origin, path)
                assert "access-control-allow-origin" not in answered.headers
        for origin in (own, "https://public.example.org"):
            headers = {"origin": origin, "host": own.removeprefix("http://")}
            assert client.get("/v1/models", headers=headers).status_code == 200
        allowed = client.get("/v1/models", headers={"origin": "https://chat.example.org"})
        assert allowed.headers["access-control-allow-origin"] == "https://chat.example.org"
        assert "access-control-allow-credentials" not in allowed.headers


def test_a_foreign_page_that_sends_no_origin_may_only_link(tight: Served) -> None:
    foreign = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    link = {**foreign, "sec-fetch-mode": "navigate"}
    with tight.client() as client:
        for method, path in (("GET", "/v1/models"), ("GET", "/"), ("POST", "/v1/retrieve")):
            answered = client.request(method, path, headers=foreign)
            assert error_of(answered) == (403, "origin_not_allowed"), path
        assert error_of(client.post("/v1/retrieve", headers=link)) == (403, "origin_not_allowed")
        assert client.get("/", headers=link).status_code == 200
        assert client.get("/", headers={**foreign, "sec-fetch-site": "same-origin"}).status_code == 200
        allowed = {**foreign, "origin": "https://chat.example.org"}
        assert client.get("/v1/models", headers=allowed).status_code == 200


def test_a_browser_may_ask_first_for_an_allowed_page_only(tight: Served) -> None:
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    with tight.client() as client:
        allowed = client.options(CHAT, headers={"origin": "https://chat.example.org", **asked})
        assert allowed.status_code == 204
        assert "authorization" in allowed.headers["access-control-allow-headers"]
        assert client.options(CHAT, headers={"origin": "https://evil.org", **asked}).status_code == 403


def test_an_mcp_client_in_an_allowed_page_may_send_its_headers_and_read_its_session(tight: Served) -> None:
    """Of the Streamable HTTP transport (MCP 2025-06-18), and those that the package mcp adds."""
    origin = {"origin": "https://chat.example.org"}
    sent = {"mcp-session-id", "mcp-protocol-version", "last-event-id", "mcp-method", "mcp-name"}
    asked = {"access-control-request-method": "POST", "access-control-request-headers": ", ".join(sent)}
    with tight.client() as client:
        allowed = client.options("/mcp", headers={**origin, **asked}).headers
        assert sent <= set(allowed["access-control-allow-headers"].split(", "))
        assert allowed["access-control-allow-origin"] == origin["origin"]
        exposed = client.get("/v1/models", headers=origin).headers["access-control-expose-headers"]
        assert "mcp-session-id" in exposed.split(", ")
        assert client.options("/mcp", headers={"origin": "https://evil.org", **asked}).status_code == 403


def test_no_foreign_page_changes_documents_not_even_an_allowed_one(tight: Served) -> None:
    with tight.client() as client:
        for origin in ("https://evil.example.org", "https://chat.example.org"):
            headers = {"origin": origin, "content-type": "text/plain"}
            for method, path in (("POST", "/v1/documents"), ("DELETE", "/v1/documents/x")):
                answered = client.request(method, path, headers=headers, content=b"x")
                assert error_of(answered) == (403, "origin_not_allowed")
        assert client.delete("/v1/documents/x").status_code == 404


def test_settings_that_are_no_origin_are_refused(new_config: Callable[[], Config]) -> None:
    from ragwright.app.serve.origins import Origins
    from ragwright.core.errors import ConfigError

    for settings in (
        ServerConfig(allowed_origins=("*",)),
        ServerConfig(allowed_origins=("https://a.org/path",)),
        ServerConfig(public_url="docs.example.org"),
    ):
        with pytest.raises(ConfigError, match=r"wanted an address such as https://chat\.example\.org"):
            Origins(settings)


# Every response


def test_every_response_has_the_headers_that_keep_browsers_safe(tight: Served) -> None:
    with tight.client() as client:
        answered = [
            client.get("/healthz"),
            client.get("/nothing"),
            client.get("/v1/models", headers={"host": "evil.org"}),
            client.post(CHAT, content=b"{", headers={"content-type": "application/json"}),
            client.post(CHAT, content=b"[" * 100),
            client.post("/v1/retrieve", json={"query": "key"}),
        ]
    assert {each.status_code for each in answered} == {200, 400, 403, 404}
    for each in answered:
        assert each.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in each.headers["content-security-policy"]
        assert each.headers["referrer-policy"] == "no-referrer"
        assert each.headers["cache-control"] == "no-store"
        assert "server" not in each.headers


def test_a_request_keeps_its_id_where_it_is_a_sane_one(tight: Served) -> None:
    with tight.client() as client:
        kept = client.get("/healthz", headers={"x-request-id": "trace-0123.ab_C"})
        assert kept.headers["x-request-id"] == "trace-0123.ab_C"
        for given_id in ("short", "x" * 65, "with space 12", "tab\tinside-it", '"><script>', "\u00e4" * 10):
            answered = client.get("/healthz", headers={b"x-request-id": given_id.encode()})
            made = answered.headers["x-request-id"]
            assert len(made) == 32 and made != given_id


def test_odd_paths_lead_nowhere_fast(tight: Served) -> None:
    started = time.perf_counter()
    for path in ODD_PATHS:
        request = f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        assert raw(tight, request.encode()).split()[1] in (b"404", b"400"), path
    ranges = ",".join(f"{n}-{n}" for n in range(3000))
    head = f"GET /page/main.js HTTP/1.1\r\nhost: localhost\r\nrange: bytes={ranges}\r\n\r\n"
    assert raw(tight, head.encode()).split()[1] in (b"200", b"416")
    assert time.perf_counter() - started < 3


def test_a_slash_at_the_end_of_a_route_does_no_harm(tight: Served) -> None:
    with tight.client() as client:
        assert client.get("/v1/models/").json() == client.get("/v1/models").json()
        assert client.post("/v1/retrieve/", json={"query": "key"}).status_code == 200


def test_websockets_are_not_spoken(tight: Served) -> None:
    head = "GET /v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    more = "sec-websocket-version: 13\r\nsec-websocket-key: eA==\r\n\r\n"
    assert raw(tight, (head + more).encode()).startswith(b"HTTP/1.1 200 ")
