"""Where every error of the application leaves it: as a response in OpenAI's shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ragwright.app.serve.errors import HttpError, http_error, request_id
from ragwright.core.errors import RagwrightError

_TOLD_PROBLEMS = 3  # of a body with many
# What Starlette and FastAPI say, and what helps.
_WORDS = {
    "Not Found": "there is no such route; /openapi.json lists them",
    "Method Not Allowed": "this route does not take that method; /openapi.json lists them",
    "There was an error parsing the body": "the body cannot be read; send JSON in UTF-8",
}


def install(app: FastAPI) -> None:
    """Let every error of an application leave it in this shape.

    Call it after all middleware has been added: what is outside of the door is not answered for.
    """
    app.add_exception_handler(RagwrightError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_middleware(Door)


async def _on_error(request: Request, error: Exception) -> Response:
    return http_error(error, request_id=request_id(request)).response()


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = _WORDS.get(error.detail, error.detail)
    headers = _allowed(request, error) if error.status_code == 405 else error.headers
    return HttpError(error.status_code, message, headers=headers).response()


def _allowed(request: Request, error: HTTPException) -> Mapping[str, str] | None:
    """Every method of the path: each has a route of its own, which knows of no other."""
    path = getattr(request.scope.get("route"), "path", "")
    operations = request.app.openapi()["paths"].get(path)
    return {"Allow": ", ".join(sorted(operations)).upper()} if operations else error.headers


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return invalid(error.errors()).response()


def invalid(problems: Sequence[Mapping[str, Any]]) -> HttpError:
    """What is told of a request that does not fit its schema: pydantic's list, without the values."""
    first = problems[0]
    if first["type"] == "json_invalid":
        reason, place = first["ctx"]["error"], first["loc"][-1]
        return HttpError(400, f"the body is not JSON: {reason} (character {place})", code="invalid_json")
    if tuple(first["loc"]) == ("body",):
        message = "the body has to be a JSON object, sent with the header Content-Type: application/json"
        return HttpError(422, message)
    # Of several problems of one field the first is told.
    fields = {_field(each["loc"]): each["msg"].removeprefix("Value error, ") for each in reversed(problems)}
    told = [f"{field}: {fields[field]}" for field in reversed(fields)][:_TOLD_PROBLEMS]
    return HttpError(422, "; ".join(told), param=_field(first["loc"]))


def _field(place: Sequence[str | int]) -> str:
    """A field as callers name it: `messages.0.content`; where it stands in the request is left out.

    >>> _field(("body", "messages", 0, "content", "list[Part]", 0, "type"))
    'messages.0.content'
    """
    parts = []
    for part in place[1:]:
        if isinstance(part, str) and ("[" in part or part in ("str", "int", "constrained-str")):
            break  # pydantic's name for one of several types
        parts.append(str(part))
    return ".".join(parts)[:100]


class Door:
    """Answers for what nobody knows: 500 with the request's id, one line in the log, and no traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception as error:  # noqa: BLE001 - the door
            told = http_error(error, request_id=request_id(Request(scope)))
            if not started:  # else the server sees that the answer has no end, and hangs up
                await told.response()(scope, receive, send)
            del told  # often the error itself, whose frames hold the request: a ring that would live on
