"""The gate before every route: who asks, from where, how much, how large and how long.

The numbers are those of `[server]`; there are no others.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers

from ragwright.app.serve.bodies import Disconnected, LimitedBody, Pace, check_depth, check_length, read_body
from ragwright.app.serve.errors import HttpError
from ragwright.app.serve.origins import preflight_headers
from ragwright.app.serve.route_rules import Rule, rule_for
from ragwright.app.serve.values import LOCAL
from ragwright.app.serve.work import GivenBody, run_work

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from ragwright.app.serve.authentication import Authentication
    from ragwright.app.serve.draining import Draining
    from ragwright.app.serve.origins import Origins
    from ragwright.app.serve.places import Places
    from ragwright.app.serve.rates import Rates
    from ragwright.core.config_serving import ServerConfig


@dataclass(frozen=True, slots=True)
class Limits:
    """What the gate asks.

    Attributes:
        settings: The numbers.
        authentication: Who asks.
        origins: From where.
        rates: How much one key may ask.
        places: How many are at work at once.
        draining: Whether the server ends.
    """

    settings: ServerConfig
    authentication: Authentication
    origins: Origins
    rates: Rates
    places: Places
    draining: Draining


@dataclass(frozen=True, slots=True)
class _Request:
    """A request on its way in."""

    scope: Scope
    receive: Receive
    send: Send
    headers: Headers
    rule: Rule
    reply: dict[str, str]  # headers that the response gets, whatever it will be

    @property
    def peer(self) -> str | None:
        client = self.scope.get("client")
        return client[0] if client else None


class Gate:
    """Lets a request through to its route, or refuses it in the order of what costs least to find out."""

    def __init__(self, app: ASGIApp, *, limits: Limits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request.

        Raises:
            HttpError: It is refused, or stopped before anything was sent.
        """
        if scope["type"] != "http":  # lifespan; websockets are switched off
            await self._app(scope, receive, send)
            return
        with suppress(Disconnected):  # nobody is left to be answered
            await self._let_in(scope, receive, send)

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["path"] = _without_slash(scope["path"])
        rule = rule_for(scope["method"], scope["path"])
        reply: dict[str, str] = scope["state"]["reply"]
        request = _Request(scope, receive, send, Headers(scope=scope), rule, reply)
        reply.update(self._limits.origins.check(request.headers, rule, method=scope["method"]))
        if await _answer_preflight(request):
            return
        if self._limits.draining.has_begun and not rule.drains:
            raise _ending()
        if rule.public:
            await self._app(scope, receive, send)
            return
        await self._with_key(request, self._identify(request))

    def _identify(self, request: _Request) -> str:
        """Find out who asks, and count it; returns the key's name and id."""
        limits = self._limits
        if request.rule.local and limits.authentication.is_own_machine(request.headers, request.peer):
            request.scope["state"]["caller"] = LOCAL
            return LOCAL.name
        asking = limits.authentication.asking(request.headers, request.peer)
        request.scope["state"]["caller"] = asking.caller
        per_minute = asking.caller.requests_per_minute or limits.settings.requests_per_minute
        request.reply.update(limits.rates.take(asking.key, per_minute=per_minute))
        return asking.key

    async def _with_key(self, request: _Request, key: str) -> None:
        if not request.rule.works:
            await self._app(request.scope, request.receive, request.send)
            return
        places = self._limits.places
        shared = None if key == LOCAL.name else key  # without keys there is nobody to share with
        with ExitStack() as counted:
            counted.enter_context(places.of_key(shared))
            if request.rule.answers:
                counted.enter_context(self._limits.rates.answering(key))
            if request.rule.uploads and not _is_json(request.headers):
                async with places.uploading(shared):
                    await self._work(request, *self._file_body(request))
                return
            with places.reading():
                receive = await self._whole_body(request)
            counted.enter_context(places.admitted())
            async with places.taken(shared):
                await self._work(request, receive, self._limits.settings.request_seconds)

    async def _work(self, request: _Request, receive: Any, seconds: float) -> None:
        ending = self._limits.draining.ending
        await run_work(self._app, request.scope, receive, request.send, seconds=seconds, ending=ending)

    def _file_body(self, request: _Request) -> tuple[LimitedBody, float]:
        """What the route receives of an upload, and how many seconds it has for all of it."""
        settings = self._limits.settings
        most = settings.body_megabytes * 1_000_000
        longest = settings.upload_megabytes * 1_000_000 + most  # the form around the file
        seconds = settings.body_seconds * max(1.0, longest / most)
        check_length(request.headers, limit=longest)
        pace = Pace(settings.upload_kilobytes_per_second * 1000, settings.body_seconds)
        body = LimitedBody(request.receive, limit=longest, seconds=seconds, pace=pace)
        return body, seconds + settings.request_seconds

    async def _whole_body(self, request: _Request) -> GivenBody:
        settings = self._limits.settings
        most = settings.body_megabytes * 1_000_000
        check_length(request.headers, limit=most)
        given = await read_body(request.receive, limit=most, seconds=settings.body_seconds)
        check_depth(given, limit=settings.json_depth)
        return GivenBody(given, request.receive)


def _without_slash(path: str) -> str:
    """Routes of the API are found with a slash at their end as well, since some clients add one.

    >>> _without_slash("/v1/models/"), _without_slash("/"), _without_slash("//")
    ('/v1/models', '/', '//')
    """
    return path[:-1] if path.startswith("/v1/") and path.endswith("/") else path


def _is_json(headers: Headers) -> bool:
    kind = headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


async def _answer_preflight(request: _Request) -> bool:
    """Answer a browser that asks whether a page of an allowed origin may send something."""
    allowed = "access-control-allow-origin" in request.reply
    if request.scope["method"] != "OPTIONS" or not allowed:
        return False
    if "access-control-request-method" not in request.headers:
        return False
    request.reply.update(preflight_headers(request.reply))
    await request.send({"type": "http.response.start", "status": 204, "headers": []})
    await request.send({"type": "http.response.body", "body": b""})
    return True


def _ending() -> HttpError:
    return HttpError(
        503,
        "the server ends; ask again in a moment",
        code="shutting_down",
        retry_after=5,
        headers={"connection": "close"},
    )
