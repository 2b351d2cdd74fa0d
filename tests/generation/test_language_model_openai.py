"""The endpoint adapter: what is sent, when it is sent again, and what shows of the key."""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
import threading
import time
import traceback
from email.utils import formatdate
from typing import Any

import pytest
from tests.generation.endpoint_asking import KEY, ask_endpoint, failing, model_at, script
from tests.generation.model_asking import ASKED, ask, asked
from tests.openai_server import (
    BREAK,
    STALL,
    OpenAIServer,
    Reply,
    answer,
    chunk,
    error,
    event,
    failure,
    openai_server,
    text,
)

from ragwright.core.config_serving import GeneratorConfig
from ragwright.core.errors import ConfigError, MissingExtra, ServiceError
from ragwright.generation import openai_model
from ragwright.generation.language_model import Finish, open_language_model


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_an_answer_comes_in_pieces_and_ends_in_what_it_cost(server: OpenAIServer) -> None:
    found = ask_endpoint(server, answer("Hé", "llo", " 🎉", counts=(12, 4)))
    assert found == ["Hé", "llo", " 🎉", Finish("stop", 12, 4)]
    [request] = server.requests
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.body == {
        "model": "small",
        "messages": [{"role": each.role, "content": each.text} for each in ASKED],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.0,
        "max_tokens": 20,
    }


def test_no_caller_gets_more_tokens_than_the_settings_allow(server: OpenAIServer) -> None:
    script(server, answer("x", reason="length"))
    found = ask(model_at(server.url, max_tokens=7), max_tokens=1000)
    assert found == ["x", Finish("length", 7, 3)]
    assert server.requests[0].body["max_tokens"] == 7


def test_nothing_of_the_environment_and_of_this_machine_is_sent(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "OPENAI_BASE_URL", "OPENAI_API_BASE"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    for name in ("API_KEY", "ORG_ID", "PROJECT_ID", "ADMIN_KEY"):
        monkeypatch.setenv(f"OPENAI_{name}", "of-somebody-else")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "x-mine: of-somebody-else")
    assert ask_endpoint(server, answer("Hi"), api_key=None)[0] == "Hi"
    headers = server.requests[0].headers
    assert set(headers) == {
        "host", "connection", "content-type", "content-length", "accept", "accept-encoding", "user-agent"
    }  # fmt: skip
    assert headers["user-agent"] == "ragwright"


def test_nothing_but_the_endpoint_is_reached_and_no_vocabulary_is_fetched(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tiktoken.load

    reached: list[Any] = []
    connect = socket.socket.connect

    def note(self: socket.socket, address: Any) -> None:
        reached.append(address)
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", note)
    monkeypatch.setattr(tiktoken.load, "read_file", reached.append)
    assert ask_endpoint(server, answer("Hi"))[0] == "Hi"
    assert {f"http://{host}:{port}/v1" for host, port in reached} == {server.url}


@pytest.mark.parametrize("broken", [failure(429), failure(500), failure(503, code="server_error")])
def test_what_has_not_answered_yet_is_asked_again(server: OpenAIServer, broken: Reply) -> None:
    assert ask_endpoint(server, broken, broken, answer("Hi"), retries=2)[0] == "Hi"
    assert len(server.requests) == 3


def test_a_silent_endpoint_is_asked_again(server: OpenAIServer) -> None:
    silent = Reply([chunk({"role": "assistant", "content": ""}), STALL])
    assert ask_endpoint(server, Reply([STALL]), silent, answer("Hi"), timeout_seconds=0.1)[0] == "Hi"
    assert "silent for 0.1 seconds" in failing(server, silent, timeout_seconds=0.1, retries=1)
    assert len(server.requests) == 2


def test_a_connection_that_ends_before_any_answer_is_tried_again(server: OpenAIServer) -> None:
    assert ask_endpoint(server, Reply([BREAK], status=0), answer("Hi"))[0] == "Hi"
    assert "broke the connection" in failing(server, Reply([BREAK], status=0), retries=1)
    assert len(server.requests) == 2


def test_a_connection_that_is_refused_is_tried_again_until_the_endpoint_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = closed_port()
    url = f"http://127.0.0.1:{port}/v1"
    with pytest.raises(
        ServiceError, match=rf"{url} cannot be reached \(.*\); start it, or set generator.url"
    ):
        ask(model_at(url, retries=1))
    monkeypatch.setattr(openai_model, "PAUSE_SECONDS", 0.1)

    async def late() -> list[str | Finish]:
        asking = asyncio.create_task(asked(model_at(url, retries=6)))
        await asyncio.sleep(0.2)
        with openai_server(answer("Hi"), port=port):
            return await asking

    assert asyncio.run(late())[0] == "Hi"


def test_there_are_no_more_attempts_than_the_settings_say_and_each_waits_longer(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openai_model, "PAUSE_SECONDS", 0.04)
    arrived: list[float] = []

    def refuse(_: Any) -> Reply:
        arrived.append(time.monotonic())
        return failure(503)

    assert "failed (503)" in failing(server, refuse, retries=3)
    gaps = [after - before for before, after in itertools.pairwise(arrived)]
    assert len(gaps) == 3
    assert all(gap >= 0.02 * 2**number for number, gap in enumerate(gaps))


@pytest.mark.parametrize("status", [301, 307, 400, 401, 403, 404, 409, 413, 422])
def test_what_will_not_pass_is_not_asked_again(server: OpenAIServer, status: int) -> None:
    elsewhere = failure(status, location="http://127.0.0.1:1/v1")
    message = failing(server, elsewhere, retries=3)
    assert f"({status})" in message
    assert len(server.requests) == (2 if status in (400, 422) else 1), "once more without stream_options"


def test_an_error_names_what_to_do(server: OpenAIServer) -> None:
    assert "RAGWRIGHT_GENERATOR__API_KEY" in failing(server, failure(401))
    assert "no model 'small'" in failing(server, failure(404))
    long = failure(400, f"too long: {KEY}", code="context_length_exceeded")
    assert "(400, context_length_exceeded); where the prompt is too long" in failing(server, long)
    assert "not followed" in failing(server, failure(308, location="http://127.0.0.1:1/v1"))


def test_an_endpoint_is_left_alone_for_as_long_as_it_asks(server: OpenAIServer) -> None:
    arrived: list[float] = []

    def busy(_: Any) -> Reply:
        arrived.append(time.monotonic())
        return failure(429, retry_after="0.3") if len(arrived) == 1 else answer("Hi")

    assert ask_endpoint(server, busy)[0] == "Hi"
    assert arrived[1] - arrived[0] >= 0.3


@pytest.mark.parametrize(
    "asks", ["3600", formatdate(time.time() + 3600, usegmt=True)], ids=["number", "date"]
)
def test_an_endpoint_that_asks_for_an_hour_is_not_waited_for(server: OpenAIServer, asks: str) -> None:
    message = failing(server, failure(429, retry_after=asks))
    assert "asks to wait 3" in message
    assert len(server.requests) == 1


@pytest.mark.parametrize("asks", ["soon", "-1", "1e9", "", "9" * 400, "Wed, 99 Foo 2020"])
def test_a_senseless_time_to_wait_is_ignored(server: OpenAIServer, asks: str) -> None:
    assert ask_endpoint(server, failure(429, retry_after=asks), answer("Hi"))[0] == "Hi"


def test_once_text_was_shown_there_is_no_second_answer(server: OpenAIServer) -> None:
    script(server, Reply([text("Half"), BREAK]), answer("Another"))
    shown: list[str | Finish] = []

    async def collect() -> None:
        async for piece in model_at(server.url, retries=5).stream(ASKED, max_tokens=9, temperature=0):
            shown.append(piece)

    with pytest.raises(ServiceError, match="broke"):
        asyncio.run(collect())
    assert shown == ["Half"]
    assert len(server.requests) == 1


def test_an_endpoint_that_does_not_know_stream_options_is_asked_without_from_then_on(
    server: OpenAIServer,
) -> None:
    def strict(request: Any) -> Reply:
        return failure(422) if "stream_options" in request.body else answer("Hi", counts=(1, 1))

    script(server, strict)
    model = model_at(server.url, retries=0)
    assert ask(model)[0] == "Hi"
    assert ask(model)[0] == "Hi"
    assert ["stream_options" in each.body for each in server.requests] == [True, False, False]


@pytest.mark.parametrize("pieces", [0, 2])
def test_closing_the_answer_leaves_the_endpoint_at_once(server: OpenAIServer, pieces: int) -> None:
    silent = Reply([*(text("word ") for _ in range(pieces)), STALL])
    script(server, silent)

    async def leave() -> float:
        task = asyncio.create_task(asked(model_at(server.url), pieces=pieces or None))
        await asyncio.sleep(0.3)
        closed = time.monotonic()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        ended = server.requests[0].ended
        assert await asyncio.to_thread(ended.wait, 2), "the endpoint sees it"
        return closed

    closed = asyncio.run(leave())
    left = server.requests[0].left
    assert left is not None and (pieces or left - closed < 2)


def test_connections_serve_again_within_an_event_loop_and_none_outlives_it(server: OpenAIServer) -> None:
    script(server, answer("Hi"))
    model = model_at(server.url)

    async def thrice() -> None:
        for _ in range(3):
            await asked(model)

    asyncio.run(thrice())
    ask(model)
    connections = [each.connection for each in server.requests]
    assert connections[0] == connections[1] == connections[2] != connections[3]
    assert not model._endpoint._pools  # type: ignore[attr-defined]


def test_one_model_serves_several_event_loops_at_once(server: OpenAIServer) -> None:
    script(server, answer("a", "b", delay=0.02))
    model = model_at(server.url)
    found: list[list[str | Finish]] = []

    async def several() -> None:
        found.extend(await asyncio.gather(*(asked(model) for _ in range(4))))

    threads = [threading.Thread(target=lambda: asyncio.run(several())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [["a", "b", Finish("stop", 7, 3)]] * 16


def test_a_closed_model_lets_go_of_its_connections(server: OpenAIServer) -> None:
    script(server, answer("Hi"))
    model = model_at(server.url)

    async def close() -> None:
        await asked(model)
        model.close()
        model.close()
        await asyncio.sleep(0.05)
        assert not model._endpoint._pools  # type: ignore[attr-defined]
        assert (await asked(model))[0] == "Hi", "it opens new ones"

    asyncio.run(close())


def test_the_key_shows_nowhere(server: OpenAIServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    echo = failure(401, f"Incorrect API key provided: {KEY}", code=KEY)
    script(server, answer("Hi"), echo, failure(500, KEY, code=KEY), Reply([error(KEY, code=KEY)]))
    model = model_at(server.url, retries=0)
    shown = [repr(model), str(vars(model)), repr(ask(model))]
    replies = [
        Reply([text("a"), BREAK]),
        Reply([KEY.encode()], kind="x/y"),
        Reply([b"data: " + KEY.encode()]),
    ]
    for reply in (None, None, None, *replies, Reply([event({KEY: KEY})])):
        server.replies[:] = server.replies if reply is None else [reply]
        try:
            ask(model)
        except ServiceError as problem:
            shown += [*traceback.format_exception(problem), repr(problem), str(vars(problem))]
    assert len(server.requests) == 8
    assert all(each.headers["authorization"] == f"Bearer {KEY}" for each in server.requests)
    assert len(shown) > 20
    assert KEY not in "".join(shown) + caplog.text


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8000/v1",
        "ftp://localhost/v1",
        "http:///v1",
        "http://user:canary@localhost/v1",
        "http://localhost/v1?key=canary",
        "http://localhost/v1#canary",
        "http://localhost:99999/v1",
        "http://[::1/v1",
    ],
)
def test_an_address_that_cannot_be_used_is_told_before_anything_is_sent(url: str) -> None:
    with pytest.raises(ConfigError, match=r"generator\.url") as caught:
        model_at(url)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("key", ["two words canary", "canary\nx-evil: 1", "canäry"])
def test_a_key_that_no_header_may_hold_is_told_without_showing_it(key: str) -> None:
    with pytest.raises(ConfigError, match="RAGWRIGHT_GENERATOR__API_KEY") as caught:
        model_at("http://localhost/v1", api_key=key)
    assert "canary" not in str(caught.value)


def test_a_model_without_chat_completions_is_told() -> None:
    with pytest.raises(ConfigError, match=r"generator\.model 'gpt-5.4-pro'"):
        model_at("http://localhost/v1", model="gpt-5.4-pro")


def test_without_the_packages_the_command_that_installs_them_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "llama_index.llms.openai_like", None)
    with pytest.raises(MissingExtra, match=r"llama-index-llms-openai-like .*'\.\[llm\]'"):
        model_at("http://localhost/v1")


def test_an_extractive_generator_has_no_language_model() -> None:
    with pytest.raises(ConfigError, match=r"generator\.kind is extractive"):
        open_language_model(GeneratorConfig())


def test_an_endpoint_keeps_its_tokenizer_to_itself() -> None:
    model = model_at("http://localhost/v1")
    assert model.count_tokens("some words") is None
    assert {"<|im_start|>", "</s>", "[INST]"} <= model.special_tokens
