"""An endpoint that sends anything but a good answer."""

from __future__ import annotations

import gzip
import itertools
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.generation.endpoint_asking import KEY, ask_endpoint, failing
from tests.openai_server import (
    BREAK,
    DONE,
    STALL,
    OpenAIServer,
    Reply,
    chunk,
    endless,
    error,
    event,
    finish,
    text,
    whole,
)

from ragwright.core.errors import ServiceError
from ragwright.generation.language_model import Finish
from ragwright.generation.model_stream import CHARACTERS_PER_TOKEN

GZIPPED = Reply([gzip.compress(text("x"))], headers={"content-encoding": "gzip"})
BAD_STREAMS = {
    "error event": (Reply([text("a"), error(f"boom {KEY}")]), "reported an error"),
    "error at once": (Reply([error(code="model_not_found")]), r"\(model_not_found\)"),
    "half a JSON": (Reply([text("a"), b'data: {"choices": [{"del\n\n']), "no stream of chat completions"),
    "half a JSON and the end": (Reply([text("a"), b'data: {"choi']), "broke off before"),
    "no UTF-8": (Reply([b'data: "\xff\xfe"\n\n']), "no stream of chat completions"),
    "broken connection": (Reply([text("a"), BREAK]), "broke the connection"),
    "broken before it": (Reply([BREAK]), "broke the connection"),
    "a page": (Reply([b"<html>hello</html>"], kind="text/html; charset=utf-8"), "answered with text/html"),
    "no stream": (whole("Hello"), "answered with application/json"),
    "compressed": (GZIPPED, "text/event-stream, compressed"),
    "empty": (Reply([]), "broke off before"),
    "nothing said": (Reply([chunk({"content": ""}), finish(), DONE]), "answered without any text"),
    "thoughts only": (Reply([chunk({"content": ""}), finish("length"), DONE]), "no text within 20 tokens"),
    "no end": (Reply([text("a")]), "broke off before"),
    "no end but done": (Reply([text("a"), DONE]), "broke off before"),
    "withheld": (Reply([text("a"), finish("content_filter"), DONE]), "withheld"),
    "other JSON": (Reply([event({"choices": [{"index": 0}]}), DONE]), "no stream of chat completions"),
    "a list": (Reply([event([1, 2])]), "no stream of chat completions"),
    "deep": (Reply([b"data: " + b"[" * 100_000 + b"\n\n"]), "no stream of chat completions"),
    "silent inside": (Reply([text("a"), STALL]), "was silent"),
}


@pytest.mark.parametrize("name", BAD_STREAMS)
def test_a_stream_that_goes_wrong_becomes_one_sentence(server: OpenAIServer, name: str) -> None:
    reply, says = BAD_STREAMS[name]
    with pytest.raises(ServiceError, match=says) as caught:
        ask_endpoint(server, reply, timeout_seconds=0.3, retries=0)
    message = str(caught.value)
    assert server.url in message and KEY not in message and "boom" not in message and "\n" not in message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["choices", "delta", "content", "finish_reason", "usage", "prompt_tokens", "role",
                         "index", "tool_calls", "error", "function", "completion_tokens", "message"]),
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(json_values, max_size=4))
def test_whatever_comes_is_text_or_a_service_error(server: OpenAIServer, values: list[Any]) -> None:
    choices = [chunk({"content": each}) if not isinstance(each, dict) else event(each) for each in values]
    try:
        found = ask_endpoint(server, Reply([*choices, finish(), DONE]), retries=0, timeout_seconds=2.0)
    except ServiceError:
        return
    assert all(isinstance(piece, str) and piece for piece in found[:-1])
    assert isinstance(found[-1], Finish)


def test_a_million_tokens_are_cut_at_the_limit_and_the_endpoint_is_left(server: OpenAIServer) -> None:
    found = ask_endpoint(server, endless("word " * 10), max_tokens=30)
    assert found[-1] == Finish("length")
    assert sum(len(piece) for piece in found[:-1] if isinstance(piece, str)) == 30 * CHARACTERS_PER_TOKEN
    assert server.requests[0].ended.wait(2)
    assert server.requests[0].left is not None


@pytest.mark.parametrize(
    "flood",
    [
        endless(""),
        Reply(itertools.repeat(b"data: " + b"x" * 65_536)),
        Reply(itertools.chain([text("a")], itertools.repeat(b": thinking\n\n" * 4096))),
    ],
    ids=["events without text", "one endless line", "endless comments"],
)
def test_a_flood_without_text_ends_as_well(server: OpenAIServer, flood: Reply) -> None:
    started = time.monotonic()
    with pytest.raises(ServiceError):
        ask_endpoint(server, flood, max_tokens=5, retries=3)
    assert time.monotonic() - started < 10
    assert len(server.requests) == 1
    assert server.requests[0].ended.wait(2)


def test_an_error_with_an_endless_body_is_not_read_to_its_end(server: OpenAIServer) -> None:
    assert "(500)" in failing(server, Reply(itertools.repeat(b"x" * 4096), 500, "text/plain"), retries=0)
    assert server.requests[0].ended.wait(2)
    assert server.requests[0].sent < 20_000_000


def test_an_answer_that_never_ends_is_cut_when_its_time_is_up(server: OpenAIServer) -> None:
    found = ask_endpoint(server, endless("word ", every=0.02), max_seconds=0.4, max_tokens=1000)
    assert len(found) > 3
    assert found[-1] == Finish("length")


def test_an_endpoint_that_only_keeps_the_line_open_is_given_up_when_its_time_is_up(
    server: OpenAIServer,
) -> None:
    waiting = Reply(itertools.chain.from_iterable(itertools.repeat((b": busy\n\n", 0.02))))
    message = failing(server, waiting, max_seconds=0.4, timeout_seconds=0.2)
    assert "gave no answer in time" in message
    assert len(server.requests) == 1


def test_what_comes_after_the_end_is_not_waited_for(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragwright.generation.model_stream._AFTERWORD_SECONDS", 0.1)
    for tail in ([STALL], itertools.chain.from_iterable(itertools.repeat((text("more"), 0.01)))):
        reply = Reply(itertools.chain([text("Hi"), finish()], tail))  # type: ignore[arg-type]
        assert ask_endpoint(server, reply) == ["Hi", Finish("stop")]
