"""`/v1/traces`: how answers came about, each for the key that asked, all for keys that see everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import anyio.to_thread
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from ragwright.app.serve.dependencies import caller, observations, service
from ragwright.app.serve.errors import HttpError, documented
from ragwright.app.serve.forgetting import served_catalogs, visible_part

if TYPE_CHECKING:
    from ragwright.app.serve.trace_record import Record

_MOST_LISTED = 500

TraceId = Annotated[str | None, Query(pattern=r"^[0-9a-f]{32}$", description="Id of a trace.")]


class TraceSummary(BaseModel):
    """A trace as a list shows it."""

    id: str
    at: float = Field(description="When the question came, seconds since 1970.")
    caller: str = Field(description="Name and id of the key.")
    collection: str
    generator: str
    question: str
    query: str = Field(description="What was searched for.")
    refused: bool | None = Field(description="null: there is no answer.")
    error: str | None
    seconds: dict[str, float]
    citations: int
    up: int = Field(description="Good ratings of the answer and its citations.")
    down: int


class TraceList(BaseModel):
    """Traces, the newest first."""

    object: Literal["list"] = "list"
    data: list[TraceSummary]
    has_more: bool


def router() -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(tags=["traces"])
    routes.add_api_route(
        "/v1/traces", every_trace, methods=["GET"], response_model=TraceList, responses=documented()
    )
    routes.add_api_route("/v1/traces/{trace_id}", one_trace, methods=["GET"], responses=documented(404))
    return routes


async def every_trace(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=_MOST_LISTED)] = 100,
    before: TraceId = None,
    refused: Annotated[bool | None, Query(description="Only refusals, or only answers.")] = None,
    rated: Annotated[Literal["up", "down", "any"] | None, Query(description="Only what was rated.")] = None,
) -> TraceList:
    """List the traces that the key may see, the newest first."""
    who, kept = caller(request), observations(request)
    found = await anyio.to_thread.run_sync(
        lambda: kept.traces(who, limit=limit + 1, before=before, refused=refused, rated=rated)
    )
    return TraceList(data=[TraceSummary(**each) for each in found[:limit]], has_more=len(found) > limit)


async def one_trace(trace_id: str, request: Request) -> dict[str, Any]:
    """Show how an answer came about: query, hits, evidence, citations, times and ratings.

    Prompts and scores are for keys that see everything. What the key may no longer see is left out.
    """
    who, kept = caller(request), observations(request)
    catalog_of = served_catalogs(service(request).collections)

    def work() -> Record:
        record = kept.trace(trace_id, who)
        if record is None:
            raise HttpError(404, "there is no such trace", code="trace_not_found", param="trace_id")
        return visible_part(record, who.scope, catalog_of)

    return await anyio.to_thread.run_sync(work)
