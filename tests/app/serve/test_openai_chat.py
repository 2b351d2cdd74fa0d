"""The official OpenAI client, sync and async, talks to the running server as to OpenAI's."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import time
from typing import Any

import openai
import pytest
from openai import OpenAI
from tests.app.serve.openai_world import HURRIED, OWNER, READER, World
from tests.app.serve.questions import ABOUT, NOWHERE, SCRIPTED, ask, asked, chunks, content, said

from ragwright.app.serve.values import LOCAL


@pytest.fixture
def client(world: World) -> OpenAI:
    return world.client()


# Whole answers


def test_a_whole_answer_has_every_field_that_openai_documents(client: OpenAI) -> None:
    answer = ask(client, ABOUT)
    choice = answer.choices[0]
    assert answer.id.startswith("chatcmpl-")
    assert (answer.object, answer.model) == ("chat.completion", "ragwright/documents")
    assert abs(answer.created - time.time()) < 60
    assert (choice.index, choice.finish_reason, choice.logprobs) == (0, "stop", None)
    assert (choice.message.role, choice.message.refusal) == ("assistant", None)
    assert "35 Nm" in (choice.message.content or "")


def test_the_async_client_gets_the_same_answer(world: World, client: OpenAI) -> None:
    async def answered() -> str:
        async with world.async_client() as made:
            answer = await made.chat.completions.create(**asked(ABOUT))
            return content(answer)

    assert asyncio.run(answered()) == content(ask(client, ABOUT))


def test_usage_is_that_of_the_generator(client: OpenAI) -> None:
    usage = ask(client, "say it", model=SCRIPTED).usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (11, 7, 18)


def test_a_refusal_is_an_ordinary_answer_that_says_so_in_rag(client: OpenAI) -> None:
    answer = ask(client, NOWHERE, extra_body={"rag": {"citations": "markers"}})
    assert content(answer) == "The documents do not answer this."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].message.refusal is None
    assert said(answer, "rag")["refused"] is True
    assert said(answer, "citations") == []


def test_an_answer_that_was_cut_off_ends_with_length(client: OpenAI) -> None:
    assert ask(client, "cut it", model=SCRIPTED).choices[0].finish_reason == "length"


def test_fields_that_mean_nothing_here_are_passed_over(client: OpenAI) -> None:
    tool: Any = {"type": "function", "function": {"name": "f", "parameters": {}}}
    answer = ask(
        client,
        ABOUT,
        n=1,
        seed=7,
        user="u",
        tools=[tool],
        response_format={"type": "json_object"},
        logit_bias={"50256": -100},
        extra_body={"frobnicate": {"a": [1]}},
    )
    assert "35 Nm" in content(answer)


def test_every_role_has_its_part(client: OpenAI, world: World) -> None:
    messages: Any = [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "Use metres."}]},
        {"role": "user", "content": "first"},
        {
            "role": "assistant",
            "content": "yes\n\n**Sources**\n\n1. [Pump](http://h/documents/d)",
            "name": "x",
        },
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "tool", "content": "42", "tool_call_id": "t"},
        {"role": "user", "content": [{"type": "text", "text": "say"}, {"type": "text", "text": "more"}]},
    ]
    client.chat.completions.create(model=SCRIPTED, messages=messages, extra_body={"rag": {"rewrite": False}})
    request = world.scripted.requests[-1]
    assert request.question == "say\nmore"
    assert request.instruction == "Be brief.\n\nUse metres."
    assert [(turn.role, turn.text) for turn in request.history] == [("user", "first"), ("assistant", "yes")]


def test_limits_and_temperature_reach_the_generator(client: OpenAI, world: World) -> None:
    ask(client, "say it", model=SCRIPTED, max_tokens=9, max_completion_tokens=5, temperature=0.3)
    request = world.scripted.requests[-1]
    assert (request.max_tokens, request.temperature) == (5, 0.3)


@pytest.mark.parametrize("model", ["documents", "ragwright/documents", "ragwright/documents:extractive"])
def test_a_collection_is_chosen_by_its_model_id(client: OpenAI, model: str) -> None:
    answer = ask(client, ABOUT, model=model)
    assert (answer.model, said(answer, "rag")["collection"]) == (model, "documents")


def test_filters_and_top_k_bound_what_is_found(client: OpenAI) -> None:
    rag = {"filters": {"source": "docs/zh.md"}, "top_k": 1, "trace": True, "citations": "none"}
    hits = said(ask(client, ABOUT, extra_body={"rag": rag}), "rag")["hits"]
    assert [hit["source"] for hit in hits] == ["docs/zh.md"]


def test_a_slash_at_the_end_of_the_path_does_no_harm(world: World) -> None:
    answer = world.post("/v1/chat/completions/", asked(ABOUT))
    assert answer.json()["object"] == "chat.completion"


# Streams


def test_all_chunks_share_id_time_and_model(client: OpenAI) -> None:
    got = chunks(client, ABOUT)
    assert len({(each.id, each.created, each.model, each.object) for each in got}) == 1
    assert got[0].object == "chat.completion.chunk"


def test_the_role_comes_first_and_once(client: OpenAI) -> None:
    roles = [each.choices[0].delta.role for each in chunks(client, ABOUT)]
    assert roles[0] == "assistant"
    assert set(roles[1:]) == {None}


def test_the_finish_reason_comes_last_and_once(client: OpenAI) -> None:
    assert [each.choices[0].finish_reason for each in chunks(client, ABOUT)][-1] == "stop"
    reasons = [each.choices[0].finish_reason for each in chunks(client, "cut it", model=SCRIPTED)]
    assert reasons[-1] == "length"
    assert set(reasons[:-1]) == {None}


@pytest.mark.parametrize("style", ["markers", "links", "footer", "none"])
@pytest.mark.parametrize("question", [ABOUT, NOWHERE])
def test_a_stream_says_what_the_whole_answer_says(client: OpenAI, question: str, style: str) -> None:
    rag = {"rag": {"citations": style}}
    pieces = [each.choices[0].delta.content or "" for each in chunks(client, question, extra_body=rag)]
    assert "".join(pieces) == content(ask(client, question, extra_body=rag))


def test_usage_comes_in_a_chunk_of_its_own_when_it_is_asked_for(client: OpenAI) -> None:
    got = chunks(client, "say it", model=SCRIPTED, stream_options={"include_usage": True})
    assert [each.usage for each in got[:-1]] == [None] * (len(got) - 1)
    assert got[-1].choices == []
    assert got[-1].usage is not None
    assert got[-1].usage.total_tokens == 18


def test_no_usage_comes_when_nobody_asks(client: OpenAI) -> None:
    assert all(each.choices and each.usage is None for each in chunks(client, ABOUT))


def test_the_async_client_streams_the_same_text(world: World, client: OpenAI) -> None:
    async def streamed() -> str:
        async with world.async_client() as made:
            stream = await made.chat.completions.create(**asked(ABOUT), stream=True)
            return "".join([each.choices[0].delta.content or "" async for each in stream])

    assert asyncio.run(streamed()) == content(ask(client, ABOUT))


def test_the_clients_own_accumulator_puts_a_stream_together(client: OpenAI) -> None:
    with client.chat.completions.stream(**asked("say it", model=SCRIPTED)) as stream:
        message = stream.get_final_completion().choices[0].message
    notes: Any = message.annotations
    assert message.content is not None
    marked = [message.content[n.url_citation.start_index : n.url_citation.end_index] for n in notes]
    assert marked == ["[1]", "[2]", "[1]"]
    told: Any = message.to_dict()
    assert len(told["context"]["citations"]) == 2


def test_a_stream_on_the_wire(world: World) -> None:
    """Statuses come before the text, comments in silences, `[DONE]` at the end, and nothing buffers it."""
    headers = {"authorization": f"Bearer {OWNER}"}
    body = {**asked("silent please", model=SCRIPTED), "stream": True}
    url = f"{world.url}/v1/chat/completions"
    with world.http.stream("POST", url, json=body, headers=headers) as response:
        lines = [line for line in response.iter_lines() if line]
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-accel-buffering"] == "no"
    assert response.headers["x-request-id"]
    assert lines[-1] == "data: [DONE]"
    events = [json.loads(line.removeprefix("data: ")) for line in lines[:-1] if line.startswith("data: ")]
    statuses = [each["rag"]["status"]["stage"] for each in events if "status" in each.get("rag", {})]
    assert statuses == ["searching", "writing"]
    comments = [line for line in lines if line.startswith(":")]
    assert comments[:2] == [": searching", ": writing"]
    assert comments.count(": keep-alive") >= 2
    assert events[-1]["rag"]["trace_id"]


# Errors


def refused(client: OpenAI, question: str = ABOUT, **options: Any) -> openai.APIStatusError:
    with pytest.raises(openai.APIStatusError) as caught:
        ask(client, question, **options)
    return caught.value


IMAGE: Any = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]


@pytest.mark.parametrize(
    ("options", "kind", "code", "param"),
    [
        ({"n": 2}, openai.BadRequestError, "invalid_request", "n"),
        ({"messages": IMAGE}, openai.BadRequestError, "unsupported_content", "messages.0.content"),
        ({"messages": [{"role": "system", "content": "x"}]}, openai.BadRequestError, None, "messages"),
        ({"messages": [{"role": "user", "content": " ?! "}]}, openai.BadRequestError, None, "messages"),
        ({"model": "gpt-4o"}, openai.NotFoundError, "model_not_found", "model"),
        ({"model": "ragwright/documents:x"}, openai.NotFoundError, "model_not_found", "model"),
        ({"extra_body": {"rag": {"collection": "x"}}}, openai.NotFoundError, "collection_not_found", None),
        ({"temperature": 2.5}, openai.UnprocessableEntityError, "invalid_value", "temperature"),
        ({"messages": []}, openai.UnprocessableEntityError, "invalid_value", "messages"),
        ({"max_tokens": 0}, openai.UnprocessableEntityError, "invalid_value", "max_tokens"),
        ({"messages": [{"role": "x"}]}, openai.UnprocessableEntityError, None, "messages.0.role"),
        ({"extra_body": {"rag": {"fliters": {}}}}, openai.UnprocessableEntityError, None, "rag.fliters"),
        ({"extra_body": {"rag": {"filters": {"page": "x"}}}}, openai.BadRequestError, None, None),
    ],
)
def test_what_the_caller_can_mend_is_told(
    client: OpenAI, options: dict[str, Any], kind: type, code: str | None, param: str | None
) -> None:
    error = refused(client, **options)
    assert type(error) is kind
    assert error.type == "invalid_request_error"
    assert code is None or error.code == code
    assert param is None or error.param == param
    assert error.request_id


def test_a_wrong_key_is_an_authentication_error(world: World) -> None:
    error = refused(world.client("rw-a-key-that-nobody-has"))
    assert type(error) is openai.AuthenticationError
    assert (error.type, error.code) == ("authentication_error", "invalid_api_key")


def test_too_many_requests_of_a_key_are_a_rate_limit_error(world: World) -> None:
    ask(world.client(HURRIED), ABOUT)
    error = refused(world.client(HURRIED))
    assert type(error) is openai.RateLimitError
    assert int(error.response.headers["retry-after"]) >= 1


def test_a_body_that_is_too_large_is_413(client: OpenAI) -> None:
    error = refused(client, "x" * 1_100_000)
    assert (error.status_code, error.code) == (413, "request_too_large")


def test_half_a_character_is_422(world: World) -> None:
    body = {"messages": [{"role": "user", "content": "pump \ud83d"}]}
    answer = world.post("/v1/chat/completions", body)
    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == "messages.0.content"


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [(b'{"messages": [', "application/json", 400), (b"\xff\xfe{", "application/json", 400), (b"{}", "", 422)],
)
def test_what_is_no_json_is_said_so(world: World, body: bytes, content_type: str, status: int) -> None:
    headers = {"authorization": f"Bearer {OWNER}", "content-type": content_type or "text/plain"}
    answer = world.http.post(f"{world.url}/v1/chat/completions", content=body, headers=headers)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/v1/nothing", 404), ("GET", "/v1/rerank", 405)]
)
def test_unknown_routes_and_methods_answer_in_the_same_shape(
    world: World, method: str, path: str, status: int
) -> None:
    answer = world.http.request(method, world.url + path, headers={"authorization": f"Bearer {OWNER}"})
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == {404: "not_found", 405: "method_not_allowed"}[status]


# The Qdrant client looks for the server's version in a thread, and warns there.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    ("question", "model", "status", "code"),
    [
        (ABOUT, "ragwright/down", 503, "unavailable"),
        ("break it", SCRIPTED, 502, "upstream_error"),
        ("late again", SCRIPTED, 504, "upstream_timeout"),
        ("bug here", SCRIPTED, 500, "internal_error"),
    ],
)
def test_what_only_the_operator_can_mend_is_told_without_details(
    client: OpenAI, question: str, model: str, status: int, code: str
) -> None:
    """No path, address or key of the server leaves it, whether the answer is whole or streamed."""
    error = refused(client, question, model=model)
    assert isinstance(error, openai.InternalServerError)
    assert (error.status_code, error.code, error.type) == (status, code, "server_error")
    assert ("retry-after" in error.response.headers) == (status == 503)
    with pytest.raises(openai.APIError) as caught:
        chunks(client, question, model=model)
    assert caught.value.code == code
    for told in (str(error), str(caught.value)):
        assert not any(secret in told for secret in ("secret", "sk-123", "127.0.0.1", "Division"))
    assert error.request_id is not None
    assert error.request_id in str(error)


def test_the_client_does_not_pay_three_times_for_what_will_fail_again(world: World) -> None:
    asked_before = len(world.scripted.requests)
    with pytest.raises(openai.InternalServerError):
        ask(world.client().with_options(max_retries=2), "bug here", model=SCRIPTED)
    assert len(world.scripted.requests) == asked_before + 1


def test_an_error_in_the_middle_of_a_stream_reaches_the_async_client(world: World) -> None:
    async def streamed() -> list[str]:
        got = []
        async with world.async_client() as made:
            stream = await made.chat.completions.create(**asked("break it", model=SCRIPTED), stream=True)
            with pytest.raises(openai.APIError, match="broke off") as caught:
                async for each in stream:
                    got.append(each.choices[0].delta.content or "")
        assert caught.value.code == "upstream_error"
        return got

    assert "".join(asyncio.run(streamed())) == "so far"


# Leaving


@pytest.mark.parametrize("question", ["endless work", "mute work"])
def test_work_stops_when_a_streaming_client_leaves(world: World, client: OpenAI, question: str) -> None:
    """In the middle of the text, and before the first word."""
    world.scripted.started.clear()
    world.scripted.stopped.clear()
    stream = client.chat.completions.create(**asked(question, model=SCRIPTED), stream=True)
    for _ in itertools.islice(stream, 4 if question == "endless work" else 3):
        pass
    assert world.scripted.started.wait(5)
    assert not world.scripted.stopped.is_set()
    stream.close()
    assert world.scripted.stopped.wait(2)
    trace = newest_trace(world)
    assert (trace["error"], trace["citations"]) == ("stopped", 0)


def test_work_stops_when_a_client_leaves_that_waits_for_the_whole_answer(world: World) -> None:
    world.scripted.started.clear()
    world.scripted.stopped.clear()
    body = json.dumps(asked("mute work", model=SCRIPTED)).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {OWNER}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(world.served.address) as connection:
        connection.sendall(head.encode() + body)
        assert world.scripted.started.wait(5)
        assert not world.scripted.stopped.is_set()
    assert world.scripted.stopped.wait(2)
    assert newest_trace(world)["error"] == "stopped"


def newest_trace(world: World) -> dict[str, Any]:
    """The trace of what was stopped; it is kept in a thread."""
    kept = world.served.app.state.observations
    for _ in range(100):
        found = kept.traces(LOCAL, limit=1)
        if found and found[0]["error"] == "stopped":
            break
        time.sleep(0.02)
    newest: dict[str, Any] = found[0]
    return newest


def test_a_key_that_does_not_see_everything_gets_no_scores(world: World, client: OpenAI) -> None:
    options: Any = {"extra_body": {"rag": {"trace": True}}}
    told = said(ask(world.client(READER), ABOUT, **options), "rag")
    assert "score" not in json.dumps(told)
    assert "support" not in told
    told = said(ask(client, ABOUT, **options), "rag")
    assert told["support"] > 0.3
    assert told["hits"][0]["scores"]
