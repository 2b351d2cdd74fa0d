"""What went wrong, in the shape that OpenAI's clients understand: the one place that chooses status codes.

    {"error": {"message": ..., "type": ..., "param": ..., "code": ...}}

What a caller can mend is told in full (4xx). What only the operator can mend is told in general (5xx), since
its details hold paths and addresses; they go to the log, under the request's id.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse

from ragwright.core.errors import (
    IndexDamaged,
    InputError,
    MissingExtra,
    RagwrightError,
    ServiceError,
    WorkspaceBusy,
)

LOG = logging.getLogger("ragwright.serve")

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_CODES = {
    400: "invalid_request",
    401: "invalid_api_key",
    403: "permission_denied",
    404: "not_found",
    405: "method_not_allowed",
    413: "request_too_large",
    422: "invalid_value",
    429: "rate_limit_exceeded",
    500: "internal_error",
    501: "not_installed",
    502: "upstream_error",
    503: "unavailable",
    504: "upstream_timeout",
}
_RETRY_SECONDS = 2
_LONGEST = 1000  # characters of a message; some quote what was sent
# Names of folders hold spaces, so where a path ends cannot be told from its words. "and/or", "3/4" and
# "http://host/a" are no places on this disk.
_PATH = re.compile(
    r"""
    (?: (?<!\w) [A-Za-z]: [/\\]                 # C: and a stroke
      | (?<!\w) file:/                          # file:///
      | (?<!\w) ~ [\w.-]* [/\\]                 # ~/ and ~name/
      | (?<![\w./\\]) \.{1,2} [/\\]+ (?=[\w.]) # ./ and ../
      | (?<![\w:/\\]) /+ (?=[^\s/'"`;,)])      # /
      | (?<=:) (?:/|/{3}) (?=[^\s/'"`;,)])      # key:/ and sqlite:///
      | \\\\ (?=[\w?.])                         # a share
      | (?<![\w/\\]) \\ [^\s'"`;,\\]+ \\         # two parts from the root
    )
    (?: [^'"`;,\n] | (?<=\w)'(?=\w) | [;,](?=[^\s'"`]) )*
    """,
    re.VERBOSE,
)


class HttpError(RagwrightError):
    """An answer with a status of its own.

    Attributes:
        status: Of HTTP, 400 to 599.
        message: One sentence; no path, no secret, nothing of another caller.
        code: For programs.
        kind: OpenAI's `type`.
        param: The field of the request that is meant; None: none.
        retry_after: Seconds after which trying again may help; None: never.
        headers: Sent besides.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = _sendable(message[:_LONGEST])
        self.code = code or _CODES.get(status, "invalid_request" if status < 500 else "internal_error")
        self.kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
        self.param = None if param is None else _sendable(param)
        self.retry_after = retry_after
        self.headers = dict(headers or {})

    def body(self) -> dict[str, dict[str, str | None]]:
        """The JSON that is sent, also inside a stream."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}

    def response(self) -> JSONResponse:
        """The whole answer."""
        headers = dict(self.headers)
        if self.retry_after is not None:
            headers["Retry-After"] = str(max(1, round(self.retry_after)))
        elif self.status >= 500:
            headers["x-should-retry"] = "false"  # else OpenAI's client asks twice again, at the same price
        return JSONResponse(self.body(), status_code=self.status, headers=headers)


def _sendable(text: str) -> str:
    """The text without halves of characters, which no encoding has."""
    return text.encode(errors="replace").decode()


class ErrorDetail(BaseModel):
    """What went wrong."""

    message: str = Field(description="One sentence for people.")
    type: str = Field(description="Such as invalid_request_error, authentication_error or server_error.")
    param: str | None = Field(description="The field of the request that is meant.")
    code: str | None = Field(description="For programs, such as model_not_found.")


class ErrorBody(BaseModel):
    """Every error, in OpenAI's shape."""

    error: ErrorDetail


_WORDS = {
    400: "The request cannot be understood or fulfilled.",
    401: "No valid API key.",
    403: "The key does not allow this.",
    404: "There is no such model, collection or document.",
    409: "The document is not in the state that this needs.",
    413: "The request is too large.",
    422: "A field has a wrong type or is out of range.",
    429: "Too many requests of this key.",
    500: "An error of the server.",
    501: "An optional package of the server is not installed.",
    502: "The model behind the collection failed.",
    503: "Too busy, or the index does not answer.",
    504: "The model behind the collection took too long.",
    507: "The server's disk has too little room.",
}


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route may answer instead, for its OpenAPI entry; errors that any route may give are included."""
    told = sorted({400, 401, 403, 413, 422, 429, 500, 503, *statuses})
    return {status: {"model": ErrorBody, "description": _WORDS[status]} for status in told}


def http_error(error: Exception, *, request_id: str = "", writing: bool = False) -> HttpError:
    """What a caller is told of an error; what is kept from him is logged.

    Args:
        error: Whatever was raised.
        request_id: Of the request; told with errors that only the log explains.
        writing: Whether the answer was being written: then a service that fails is the model's.
    """
    if isinstance(error, HttpError):
        return error
    if isinstance(error, InputError):
        return HttpError(400, without_paths(str(error)))
    told = _told(error, writing=writing)
    if request_id:
        told.message = f"{told.message} (request {request_id})"
    _log(error, request_id)
    return told


def _told(error: Exception, *, writing: bool) -> HttpError:
    """What is told of an error whose own words are not for callers."""
    if isinstance(error, ServiceError) and writing:
        if isinstance(error.__cause__, TimeoutError):
            return HttpError(504, "the model behind this collection took too long")
        return HttpError(502, "the model behind this collection does not answer, or broke off")
    if isinstance(error, ServiceError):
        return HttpError(503, "a service behind this server does not answer", retry_after=_RETRY_SECONDS)
    if isinstance(error, WorkspaceBusy):
        return HttpError(503, "the collection is in use elsewhere", retry_after=_RETRY_SECONDS)
    if isinstance(error, IndexDamaged):
        return HttpError(503, "the collection's index cannot be used; its operator has to mend it")
    if isinstance(error, MissingExtra):
        return HttpError(501, "this needs an optional package that the server lacks")
    return HttpError(500, "an error of the server; its log says more")


def _log(error: Exception, request_id: str) -> None:
    """One line; the traceback, which may quote documents, only where debugging is on."""
    name = type(error).__name__
    if isinstance(error, RagwrightError):
        LOG.error("request %s failed: %s: %s", request_id or "-", name, " ".join(str(error).split()))
        return
    LOG.error("request %s failed: %s at %s", request_id or "-", name, _place(error))
    LOG.debug("request %s", request_id or "-", exc_info=error)


def _place(error: Exception) -> str:
    """File and line that raised, such as `serve/chat.py:40`."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "?"
    return f"{'/'.join(trace.tb_frame.f_code.co_filename.split('/')[-2:])}:{trace.tb_lineno}"


def without_paths(message: str) -> str:
    """A message with places on a disk left out, each up to the next quote, semicolon, comma or the end.

    >>> without_paths("workspace /srv/my data/ws holds no documents; run: ragwright ingest PATH")
    'workspace ...; run: ragwright ingest PATH'
    """
    return _PATH.sub("...", message)


def request_id(request: Request) -> str:
    """The id that the request was given, or ""."""
    return str(getattr(request.state, "request_id", ""))
