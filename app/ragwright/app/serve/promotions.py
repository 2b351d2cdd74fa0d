"""`/v1/tune`: for keys that see everything: promote a tuned model while queries go on, and take it back."""

from __future__ import annotations

from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Request
from pydantic import AfterValidator, Field

from ragwright.app.serve.dependencies import caller
from ragwright.app.serve.documents import found_collection
from ragwright.app.serve.errors import HttpError, documented
from ragwright.app.serve.promotion_jobs import PromotionJobs
from ragwright.app.serve.shapes import CollectionName, Exact, whole_characters

TunedName = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(whole_characters)]


class PromotionRequest(Exact):
    """Which tuned model is to answer."""

    name: TunedName = Field(description="Of a tuned model, as `ragwright tune list` shows it.")
    collection: CollectionName | None = None
    skip_outside: bool = Field(default=False, description="Ask nothing of another domain.")


class RollbackRequest(Exact):
    """Where the last promotion is to be taken back."""

    collection: CollectionName | None = None


def router() -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(tags=["tuning"])
    started: dict[str, Any] = {"methods": ["POST"], "status_code": 202, "responses": documented(404, 409)}
    routes.add_api_route("/v1/tune/promotions", promote, **started)
    routes.add_api_route("/v1/tune/rollbacks", roll_back, **started)
    routes.add_api_route("/v1/tune/jobs", every_job, methods=["GET"], responses=documented())
    routes.add_api_route("/v1/tune/jobs/{job_id}", one_job, methods=["GET"], responses=documented(404))
    return routes


async def promote(body: PromotionRequest, request: Request) -> dict[str, Any]:
    """Let a tuned model answer if it passes the gate of the server's settings; the answer is a job.

    Its index is built beside the one that answers. Every request is answered by one of the two as a whole.
    """
    jobs = _jobs(request)
    collection = found_collection(request, body.collection)
    job = await anyio.to_thread.run_sync(
        lambda: jobs.promote(collection, body.name, skip_outside=body.skip_outside)
    )
    return job.record()


async def roll_back(body: RollbackRequest, request: Request) -> dict[str, Any]:
    """Let answer what did before the last promotion, with every document of now; the answer is a job."""
    jobs = _jobs(request)
    collection = found_collection(request, body.collection)
    job = await anyio.to_thread.run_sync(lambda: jobs.roll_back(collection))
    return job.record()


async def every_job(request: Request) -> dict[str, Any]:
    """List the promotions and rollbacks since the server began, the newest first."""
    return {"object": "list", "data": [each.record() for each in _jobs(request).all()]}


async def one_job(job_id: str, request: Request) -> dict[str, Any]:
    """Look one up: what is being done, what the exam said, and what became of it."""
    job = _jobs(request).get(job_id)
    if job is None:
        raise HttpError(404, "there is no such job; they are forgotten when the server ends")
    return job.record()


def _jobs(request: Request) -> PromotionJobs:
    """The jobs, for who may see and change everything.

    Raises:
        HttpError: 403 for anybody else.
    """
    who = caller(request)
    if not (who.sees_all and who.may_write):
        raise HttpError(403, "tuning is for keys that see everything (admin)", code="permission_denied")
    jobs: PromotionJobs = request.app.state.promotions
    return jobs
