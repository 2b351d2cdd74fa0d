"""The outermost layer: gives each request its id, each response its headers, and the log its line."""

from __future__ import annotations

import re
import secrets
import time
from typing import TYPE_CHECKING, Any

from starlette.datastructures import MutableHeaders

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from ragwright.app.serve.logs import AccessLog
    from ragwright.app.serve.metrics import Metrics

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_LEFT = 499  # what logs call it when the client left before an answer began

SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""What every response says, unless its route says it otherwise, as the page does."""


class Entrance:
    """Every request comes in here, and every response leaves here."""

    def __init__(self, app: ASGIApp, *, log: AccessLog, metrics: Metrics) -> None:
        self._app = app
        self._log = log
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["request_id"] = _request_id(scope)
        reply: dict[str, str] = {"x-request-id": state["request_id"]}
        state["reply"] = reply
        status, started = _LEFT, time.perf_counter()

        async def dressed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _dress(message, reply)
            await send(message)

        try:
            await self._app(scope, receive, dressed)
        finally:
            self._tell(scope, status, time.perf_counter() - started)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "none")  # a bounded set, other than the paths asked for
        self._metrics.request(route=route, method=scope["method"], status=status, seconds=seconds)
        state: dict[str, Any] = scope["state"]
        caller = state.get("caller")
        self._log.request(
            method=scope["method"],
            path=scope["path"],
            status=status,
            seconds=seconds,
            caller=caller.name if caller else None,
            request_id=state["request_id"],
        )


def _request_id(scope: Scope) -> str:
    """The id that the client chose, where it is one; else a new one."""
    for name, value in scope["headers"]:
        if name.lower() == b"x-request-id":
            given = value.decode("latin-1")
            if _REQUEST_ID.fullmatch(given):
                return str(given)
    return secrets.token_hex(16)


def _dress(message: Message, reply: dict[str, str]) -> None:
    headers = MutableHeaders(scope=message)
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)
    for name, value in reply.items():
        headers[name] = value
