"""Every error gets the status and the words that help its reader, and nothing that is not for him."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from ragwright.app.serve.error_handlers import Door, invalid
from ragwright.app.serve.errors import HttpError, http_error, without_paths
from ragwright.core.errors import (
    IndexDamaged,
    InputError,
    MissingExtra,
    ModelError,
    ServiceError,
    WorkspaceBusy,
)

SECRET = "/srv/tenant/.ragwright at http://db:5432 with sk-secret"


@pytest.mark.parametrize(
    ("error", "status", "retries"),
    [
        (ServiceError(SECRET), 503, True),
        (WorkspaceBusy(SECRET), 503, True),
        (IndexDamaged(SECRET), 503, False),
        (MissingExtra(SECRET, "server"), 501, False),
        (ModelError(SECRET), 500, False),
        (RuntimeError(SECRET), 500, False),
    ],
)
def test_what_the_operator_has_to_mend_is_logged_and_not_told(
    error: Exception, status: int, retries: bool, caplog: pytest.LogCaptureFixture
) -> None:
    told = http_error(error, request_id="r-1")
    response = told.response()
    assert response.status_code == status
    assert ("retry-after" in response.headers) == retries
    assert (response.headers.get("x-should-retry") == "false") == (not retries)
    assert "srv" not in told.message
    assert "secret" not in told.message
    assert "request r-1" in told.message
    [line] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "r-1" in line.getMessage()
    assert type(error).__name__ in line.getMessage()


def test_a_service_that_fails_while_the_answer_is_written_is_the_model() -> None:
    late = ServiceError("too late")
    late.__cause__ = TimeoutError()
    assert http_error(ServiceError("x"), writing=True).status == 502
    assert http_error(late, writing=True).status == 504
    assert http_error(late).status == 503


def test_what_the_caller_can_mend_is_told_without_places_on_a_disk() -> None:
    error = http_error(
        InputError("workspace /srv/a/.ragwright holds nothing; filters and/or pages 3/4 differ")
    )
    assert (error.status, error.kind) == (400, "invalid_request_error")
    assert error.message == "workspace ...; filters and/or pages 3/4 differ"


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("read ~/keys/a.json", "read ..."),
        (r"C:\Users\Bob Smith\ws is gone; run x", "...; run x"),
        ("D:/ws", "..."),
        (r"\\server\share\x", "..."),
        ("'/a/b c' (see http://host/a/b)", "'...' (see http://host/a/b)"),
        ("'/srv/Bob's data/x' is gone", "'...' is gone"),
        ("/data", "..."),
        ("~/ws, a folder", "..., a folder"),
        ("in ~bob/my ws", "in ..."),
        ("/srv/my data/x.toml, line 3", "..., line 3"),
        ("/srv/a,b/x", "..."),
        ("../../my ws", "..."),
        ("file=/data", "file=..."),
        ("config:/data", "config:..."),
        ("file:///srv/x y", "..."),
        ("sqlite:///srv/x.db", "sqlite:..."),
        ("and/or a / b", "and/or a / b"),
        ("docs/a.md is text/plain", "docs/a.md is text/plain"),
        ("seen: '\\ud83d'", "seen: '\\ud83d'"),
        ("pages 3/4 and 5/6/7", "pages 3/4 and 5/6/7"),
    ],
)
def test_paths_are_recognised(message: str, told: str) -> None:
    assert without_paths(message) == told


def test_a_field_is_named_once_and_as_callers_know_it() -> None:
    place = ("body", "messages", 0, "content")
    problems: list[dict[str, Any]] = [
        {"type": "string_type", "loc": (*place, "str"), "msg": "Input should be a valid string"},
        {"type": "list_type", "loc": (*place, "list[Part]"), "msg": "Input should be a valid list"},
        {"type": "value_error", "loc": ("body", "model"), "msg": "Value error, no such thing"},
    ]
    told = invalid(problems)
    assert told.param == "messages.0.content"
    assert told.message == "messages.0.content: Input should be a valid string; model: no such thing"


def test_half_a_character_in_a_message_does_not_break_the_answer() -> None:
    told = HttpError(400, "seen: \ud83d", param="filters.\ud83d")
    assert b"seen: ?" in told.response().body


def test_the_door_answers_for_everything_and_lets_nothing_out(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise ZeroDivisionError(SECRET)

    sent: list[Message] = []

    async def keep(message: Message) -> None:
        sent.append(message)

    async def nothing() -> Message:
        return {"type": "http.disconnect"}

    scope = {"type": "http", "state": {"request_id": "r-2"}}
    asyncio.run(Door(broken)(scope, nothing, keep))
    assert sent[0]["status"] == 500
    assert b"srv" not in sent[1]["body"]
    assert b"request r-2" in sent[1]["body"]
    assert "test_openai_errors.py" in caplog.text
    assert "Traceback" not in caplog.text


def test_an_answer_that_has_begun_is_broken_off(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is sent behind half an answer: the server closes the connection."""

    async def breaks(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ZeroDivisionError

    sent: list[Message] = []

    async def keep(message: Message) -> None:
        sent.append(message)

    async def nothing() -> Message:
        return {"type": "http.disconnect"}

    asyncio.run(Door(breaks)({"type": "http"}, nothing, keep))
    assert [message["type"] for message in sent] == ["http.response.start"]
    assert "ZeroDivisionError" in caplog.text
