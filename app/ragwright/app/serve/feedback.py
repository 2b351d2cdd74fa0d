"""`/v1/feedback`: what people say of answers and of their citations.

It is kept for people to read, and leaves the server by `ragwright feedback export`; nothing is learned from
it that no person has looked at.
"""

from __future__ import annotations

import json
import secrets
import time
from typing import Annotated, Any, Literal, get_args

import anyio.to_thread
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, BeforeValidator, Field

from ragwright.app.serve.dependencies import caller, observations
from ragwright.app.serve.errors import HttpError, documented
from ragwright.app.serve.observations import Observations
from ragwright.app.serve.shapes import Exact
from ragwright.app.serve.values import Caller, Feedback
from ragwright.core.errors import InputError

LONGEST_TEXT = 4_000
_LONGEST_EXTRA = 10_000  # bytes of JSON
_MOST_LISTED = 500

OfAnswer = Literal[
    "wrong",
    "incomplete",
    "unsupported",
    "irrelevant",
    "unclear",
    "outdated",
    "should-refuse",
    "should-answer",
]
OfCitation = Literal["wrong-source", "wrong-place", "not-supporting", "outdated", "irrelevant"]
Reason = OfAnswer | OfCitation | Literal["other"]

REASONS: tuple[str, ...] = tuple(dict.fromkeys((*get_args(OfAnswer), *get_args(OfCitation), "other")))
"""What can be wrong, or right, with an answer or a citation; what does not fit is `other`, with words."""


def _no_truth(value: object) -> object:
    if isinstance(value, bool):  # which Python takes for 1
        raise ValueError("wanted 1, -1, up or down")
    return value


class FeedbackRequest(Exact):
    """A rating of an answer, or of one of its citations."""

    trace_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$", description="Of the answer.")]
    rating: Annotated[Literal[1, -1, "up", "down"], BeforeValidator(_no_truth)]
    marker: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        default=None, description="Of the citation; unset: the answer as a whole."
    )
    reasons: Annotated[list[Reason], Field(default_factory=list, max_length=len(REASONS))]
    text: Annotated[str, Field(max_length=LONGEST_TEXT)] = ""
    extra: dict[str, Any] = Field(default_factory=dict, description="Anything else, kept as it is.")


class FeedbackKept(BaseModel):
    """What was kept."""

    object: Literal["feedback"] = "feedback"
    id: str
    trace_id: str
    rating: Literal[1, -1]
    marker: int | None
    reasons: list[str]
    text: str
    at: float = Field(description="Seconds since 1970.")
    caller: str = Field(description="Name and id of the key.")
    extra: dict[str, Any]


class FeedbackList(BaseModel):
    """What was said, the newest first."""

    object: Literal["list"] = "list"
    data: list[FeedbackKept]
    has_more: bool


def router() -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(tags=["feedback"])
    routes.add_api_route(
        "/v1/feedback",
        rate,
        methods=["POST"],
        status_code=201,
        response_model=FeedbackKept,
        responses=documented(404),
    )
    routes.add_api_route(
        "/v1/feedback", every_feedback, methods=["GET"], response_model=FeedbackList, responses=documented()
    )
    return routes


async def rate(body: FeedbackRequest, request: Request) -> FeedbackKept:
    """Rate an answer that the key can see, or one of its citations.

    The same key's next word on the same thing takes the place of this one.
    """
    who, kept = caller(request), observations(request)
    said = _feedback(body, who)
    await anyio.to_thread.run_sync(_keep, kept, said, who)
    return _shown(said)


def _feedback(body: FeedbackRequest, who: Caller) -> Feedback:
    if len(json.dumps(body.extra)) > _LONGEST_EXTRA:
        raise HttpError(422, f"extra: it has more than {_LONGEST_EXTRA} bytes", param="extra")
    return Feedback(
        trace_id=body.trace_id,
        rating=1 if body.rating in (1, "up") else -1,
        marker=body.marker,
        reasons=tuple(dict.fromkeys(body.reasons)),
        text=body.text,
        at=time.time(),
        caller=who.name,
        id=secrets.token_hex(16),
        extra=body.extra,
    )


def _keep(kept: Observations, said: Feedback, who: Caller) -> None:
    """Keep a rating of something that its caller can see.

    Raises:
        HttpError: 404 where there is no such trace, in the same words where it is somebody else's; 422 where
            the answer has no such citation.
    """
    trace = kept.trace(said.trace_id, who)
    if trace is None:
        raise _no_trace()
    markers = {each["marker"] for each in trace["answer"]["citations"]} if trace["answer"] else set()
    if said.marker is not None and said.marker not in markers:
        raise HttpError(422, f"marker: the answer has no citation {said.marker}", param="marker")
    try:
        kept.add_feedback(said)
    except InputError:  # it made room for a newer one meanwhile
        raise _no_trace() from None


def _no_trace() -> HttpError:
    return HttpError(404, "there is no such trace", code="trace_not_found", param="trace_id")


def _shown(said: Feedback) -> FeedbackKept:
    return FeedbackKept(
        id=said.id,
        trace_id=said.trace_id,
        rating=said.rating,
        marker=said.marker,
        reasons=list(said.reasons),
        text=said.text,
        at=said.at,
        caller=said.caller,
        extra=dict(said.extra),
    )


async def every_feedback(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=_MOST_LISTED)] = 100,
    before: Annotated[str | None, Query(pattern=r"^[0-9a-f]{32}$", description="Id of a rating.")] = None,
) -> FeedbackList:
    """List what everyone said, the newest first; for keys that see everything."""
    if not caller(request).sees_all:
        raise HttpError(403, "feedback is listed for keys that see everything", code="permission_denied")
    kept = observations(request)
    found = await anyio.to_thread.run_sync(lambda: kept.feedback(limit=limit + 1, before=before))
    return FeedbackList(data=[FeedbackKept(**each) for each in found[:limit]], has_more=len(found) > limit)
