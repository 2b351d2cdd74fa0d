"""`/v1/documents`, as far as it writes: a file is received, and ingested in the background."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Header, Query, Request
from starlette.requests import ClientDisconnect

from ragwright.app.serve.dependencies import caller, observations, settings
from ragwright.app.serve.documents import CollectionName, found_collection, visible
from ragwright.app.serve.errors import HttpError, documented
from ragwright.app.serve.job_records import job_record
from ragwright.app.serve.multipart import read_form

if TYPE_CHECKING:
    from ragwright.app.serve.collections import Collection
    from ragwright.app.serve.receiving import Uploads
    from ragwright.app.serve.values import Caller

MOST_OPEN_JOBS = 64
_MOST_LISTED = 100
_KEY_PATTERN = r"^[\x21-\x7e]{1,255}$"

_FIELDS = ("collection", "groups")

_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "additionalProperties": False,
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "collection": {"type": "string", "description": "Unset: the first."},
                        "groups": {
                            "type": "array",
                            "items": {"type": "string"},
                            "description": "Who of the tenant may see it, of the key's own groups; unset: all"
                            " of them.",
                        },
                    },
                }
            }
        },
    }
}


def router() -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(tags=["documents"])
    routes.add_api_route(
        "/v1/documents",
        upload,
        methods=["POST"],
        status_code=202,
        openapi_extra=_FORM,
        responses=documented(404, 507),
    )
    routes.add_api_route("/v1/documents/jobs", every_job, methods=["GET"], responses=documented(404))
    routes.add_api_route("/v1/documents/jobs/{job_id}", one_job, methods=["GET"], responses=documented(404))
    routes.add_api_route(
        "/v1/documents/{document_id}", delete, methods=["DELETE"], responses=documented(404, 409)
    )
    return routes


async def upload(
    request: Request,
    collection: CollectionName = None,
    idempotency_key: Annotated[str | None, Header(pattern=_KEY_PATTERN)] = None,
) -> dict[str, Any]:
    """Upload a document: a form with the field `file`. It is ingested in the background.

    The answer is a job; once it is `done`, every search finds the document. The same file again is the same
    document. Groups, if any are named, narrow who may see it.
    """
    who, every = caller(request), uploads(request)
    _check_writes(who)
    first = every[found_collection(request, collection).name]
    limit = _limit(request, first.collection)
    await anyio.to_thread.run_sync(_check_room, first, int(request.headers.get("content-length") or 0))
    with first.files.incoming() as incoming:
        content_type = request.headers.get("content-type", "")
        form = await read_form(_body(request), content_type, file=incoming.file, limit=limit, fields=_FIELDS)
        named = form.fields.get("collection", [])
        to = every[found_collection(request, named[-1] if named and named[-1] else collection).name]
        if not form.size:
            raise HttpError(422, "file: it is empty", param="file")
        if to.jobs.open() >= MOST_OPEN_JOBS:
            told = f"{MOST_OPEN_JOBS} files wait to be ingested; send this one later"
            raise HttpError(503, told, code="overloaded", retry_after=10)
        job = await anyio.to_thread.run_sync(
            lambda: to.accept(incoming, form, who, key=idempotency_key)  # shielded: it ends what it began
        )
    return job_record(job, collection=to.collection.name)


async def _body(request: Request) -> AsyncIterator[bytes]:
    try:
        async for part in request.stream():
            yield part
    except ClientDisconnect:
        raise HttpError(400, "the body broke off", code="incomplete_body") from None


def _limit(request: Request, collection: Collection) -> int:
    """Most bytes of a file: of what may be sent, and of what is read."""
    megabytes = settings(request).upload_megabytes
    return min(megabytes, collection.workspace.config.ingest.file_megabytes) * 1_000_000


def _check_room(to: Uploads, size: int) -> None:
    kept = to.collection.workspace.config.ingest.free_megabytes * 1_000_000
    if to.files.free_bytes() < kept + size:
        raise HttpError(507, "the server's disk has too little room for the file", code="no_room")


def _check_writes(who: Caller) -> None:
    if not who.may_write:
        raise HttpError(403, "this key may not upload or delete documents", code="permission_denied")


async def every_job(
    request: Request,
    collection: CollectionName = None,
    limit: Annotated[int, Query(ge=1, le=_MOST_LISTED)] = 20,
) -> dict[str, Any]:
    """List the caller's uploads, the newest first."""
    who, jobs = caller(request), uploads(request)[found_collection(request, collection).name].jobs
    data = await anyio.to_thread.run_sync(lambda: jobs.records(who, limit=limit))
    return {"object": "list", "data": data, "graph_is_due": jobs.graph_is_due(who)}


async def one_job(job_id: str, request: Request) -> dict[str, Any]:
    """Look one upload up: what is being done, and what became of it.

    One that was interrupted by the server's end has failed, and says to upload the file again.
    """
    who, every = caller(request), uploads(request)

    def work() -> dict[str, Any]:
        for each in every.values():
            if (found := each.jobs.record(job_id, who)) is not None:
                return found
        raise HttpError(404, "there is no such upload; the last thousand of a key are remembered")

    return await anyio.to_thread.run_sync(work)


async def delete(document_id: str, request: Request, collection: CollectionName = None) -> dict[str, Any]:
    """Delete a document: from now on nothing finds, shows or quotes it.

    The file of an upload is deleted as well. One that was ingested from a folder stays there, and the next
    ingest of the folder adds it again.
    """
    who = caller(request)
    _check_writes(who)
    to = uploads(request)[found_collection(request, collection).name]
    kept = observations(request)

    def work() -> bool:
        document = visible(to.collection, document_id, who)
        if who.scope.tenants is not None and document.access.tenant != who.access.tenant:
            raise HttpError(403, "only documents of the key's own tenant can be deleted with it")
        removed = to.delete(document)
        kept.forget([document.id])
        return removed

    removed = await anyio.to_thread.run_sync(work)
    return {"object": "document.deleted", "id": document_id, "deleted": True, "file_deleted": removed}


def uploads(request: Request) -> Mapping[str, Uploads]:
    """What receives uploads, by the name of the collection."""
    every: Mapping[str, Uploads] = request.app.state.uploads
    return every
