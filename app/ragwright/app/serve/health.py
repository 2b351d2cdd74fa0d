"""`/healthz`, `/readyz` and `/metrics`: for those who run the server.

Ready means that every collection can be searched. The language model behind a generator is not asked: while
it fails, documents are still searched, shown and quoted, and a restart would not mend it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import anyio.to_thread
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

from ragwright.app.serve.dependencies import caller, metrics
from ragwright.app.serve.errors import HttpError, documented
from ragwright.core.errors import IndexDamaged, ModelError, RagwrightError, ServiceError

if TYPE_CHECKING:
    from ragwright.app.serve.collections import Collection, Collections
    from ragwright.app.serve.draining import Draining

_FRESH_SECONDS = 2.0  # anyone may ask, so an answer serves all that come soon after
_PATIENCE_SECONDS = 5.0


class Health(BaseModel):
    """Whether the process runs."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """Whether questions can be answered."""

    status: Literal["ready", "not ready"]
    reasons: dict[str, str] = Field(
        description="What is wrong, by collection; `server` for the server itself. In general words, but for"
        " keys that see everything."
    )


class ReadinessCheck:
    """Finds out whether every collection can be searched; for one event loop."""

    def __init__(self, collections: Collections, draining: Draining) -> None:
        self._collections = collections
        self._draining = draining
        self._one_at_a_time = asyncio.Lock()
        self._problems: Mapping[str, RagwrightError] = {}
        self._until = 0.0

    async def problems(self) -> Mapping[str, RagwrightError]:
        """What is wrong, by collection; empty when all is well. It is at most some seconds old."""
        if self._draining.has_begun:
            return {"server": ServiceError("the server ends")}
        async with self._one_at_a_time:
            if time.monotonic() >= self._until:
                found = await asyncio.gather(*(_problem(each) for each in self._collections))
                self._problems = {name: error for name, error in found if error is not None}
                self._until = time.monotonic() + _FRESH_SECONDS
            return self._problems

    def names(self) -> list[str]:
        """The collections that are looked at."""
        return [each.name for each in self._collections]


def router() -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(tags=["operation"])
    routes.add_api_route("/healthz", healthz, methods=["GET"], response_model=Health)
    routes.add_api_route(
        "/readyz", readyz, methods=["GET"], response_model=Readiness, responses={503: {"model": Readiness}}
    )
    routes.add_api_route(
        "/metrics",
        read_metrics,
        methods=["GET"],
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}}, **documented()},
    )
    return routes


async def healthz() -> Health:
    """Tell that the process runs; nothing behind it is asked."""
    return Health()


async def readyz(request: Request) -> Response:
    """Tell whether every collection can be searched; 503 with reasons where one cannot."""
    problems = await _check(request).problems()
    in_full = _sees_all(request)
    reasons = {name: str(error) if in_full else _in_general(error) for name, error in problems.items()}
    told = Readiness(status="not ready" if reasons else "ready", reasons=reasons)
    return JSONResponse(told.model_dump(), status_code=503 if reasons else 200)


async def read_metrics(request: Request) -> Response:
    """Tell what was counted, in Prometheus' format: to this machine, and to keys that see everything."""
    if not caller(request).sees_all:
        raise HttpError(403, "the metrics are for keys that see everything", code="permission_denied")
    check = _check(request)
    problems = await check.problems()
    counted = metrics(request)
    counted.ready({name: name not in problems for name in check.names()})
    return Response(counted.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _check(request: Request) -> ReadinessCheck:
    check: ReadinessCheck = request.app.state.readiness
    return check


def _sees_all(request: Request) -> bool:
    """Whether the request brings, though it need not, a key that sees everything."""
    authentication: Any = request.app.state.limits.authentication
    peer = request.client.host if request.client else None
    try:
        return bool(authentication.asking(request.headers, peer).caller.sees_all)
    except HttpError:
        return False


async def _problem(collection: Collection) -> tuple[str, RagwrightError | None]:
    def look() -> None:
        with collection.workspace.in_use() as found:
            if found is not None:  # an empty workspace waits for its first upload
                _, _, index = found
                index.count()

    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await anyio.to_thread.run_sync(look, abandon_on_cancel=True)
    except TimeoutError:
        return collection.name, ServiceError(f"its index did not answer within {_PATIENCE_SECONDS:g} s")
    except RagwrightError as error:
        return collection.name, error
    return collection.name, None


def _in_general(error: RagwrightError) -> str:
    """What is wrong, without paths, addresses and versions."""
    words = {
        IndexDamaged: "its index is damaged, or was made with other settings",
        ModelError: "its model cannot be used",
        ServiceError: "a service behind it does not answer, or the server ends",
    }
    return next((text for kind, text in words.items() if isinstance(error, kind)), "it cannot be used")
