"""What the page shows of a document's file: the pages of a PDF with a place on them, and the file itself."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, TypeVar
from urllib.parse import quote

import anyio
import anyio.to_thread
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

from ragwright.app.page_image import (
    Original,
    OriginalChangedError,
    PageView,
    page_picture,
    page_view,
    pieces_of,
)
from ragwright.app.serve.dependencies import caller
from ragwright.app.serve.documents import (
    CollectionName,
    Offset,
    SpanPlace,
    address,
    found_collection,
    media_type,
    pages_of,
    span_of,
    visible,
)
from ragwright.app.serve.errors import HttpError, documented
from ragwright.core.errors import InputError
from ragwright.core.types import Document, Span

if TYPE_CHECKING:
    from ragwright.app.serve.collections import Collection

_PDF = "application/pdf"
_AT_ONCE = 2  # children that draw
_KEPT_BYTES = 32_000_000
_PIECE = 1 << 18

T = TypeVar("T")
Responses = dict[int | str, dict[str, Any]]

_UNSAFE = re.compile(r"[^A-Za-z0-9._ -]")

PageNumber = Annotated[int, Field(ge=1, le=1_000_000)]


class ShownPage(BaseModel):
    """A page of a PDF, with the places on it of the characters that were asked for."""

    document_id: str
    page: int = Field(description="From 1.")
    pages: int | None
    width: float = Field(description="In points, turned as it is shown.")
    height: float
    span: SpanPlace | None
    boxes: list[tuple[float, float, float, float]] = Field(
        description="Left, top, right and bottom of each line, in points from the upper left corner."
    )
    image: str = Field(description="The path of its picture; add `scale`, pixels to a point.")


class PageImages:
    """Pictures that were drawn lately; for any number of threads."""

    def __init__(self, most: int = _KEPT_BYTES) -> None:
        """Nothing is drawn yet.

        Args:
            most: Bytes that are kept; the picture that was shown longest ago goes first.
        """
        self._most = most
        self._kept: OrderedDict[tuple[str, str, int, float], bytes] = OrderedDict()
        self._lock = threading.Lock()
        self.limiter = anyio.CapacityLimiter(_AT_ONCE)

    def get(self, document_id: str, original: Original, *, page: int, scale: float) -> bytes:
        """The picture of a page; see `page_picture`."""
        key = (document_id, original.digest, page, scale)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        picture = page_picture(original, page=page, scale=scale)
        with self._lock:
            self._kept[key] = picture
            while sum(map(len, self._kept.values())) > self._most:
                self._kept.popitem(last=False)
        return picture

    def forget(self, document_id: str) -> None:
        """Let go of a document's pages."""
        with self._lock:
            for key in [key for key in self._kept if key[0] == document_id]:
                del self._kept[key]


def router() -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(tags=["documents"])
    page = "/v1/documents/{document_id}/pages/{page}"
    answers = documented(404, 409)
    routes.add_api_route(page, one_page, methods=["GET"], response_model=ShownPage, responses=answers)
    picture: Responses = {200: {"content": {"image/png": {}}}}
    routes.add_api_route(
        page + "/image",
        page_image,
        methods=["GET"],
        response_class=Response,
        responses={**answers, **picture},
    )
    file: Responses = {200: {"content": {"application/octet-stream": {}}}}
    routes.add_api_route(
        "/v1/documents/{document_id}/original",
        original_file,
        methods=["GET"],
        response_class=Response,
        responses={**answers, **file},
    )
    return routes


async def one_page(
    document_id: str,
    page: PageNumber,
    request: Request,
    collection: CollectionName = None,
    start: Offset = None,
    end: Offset = None,
) -> ShownPage:
    """Tell the size of a PDF's page, and where on it characters of the document stand."""
    found, who = found_collection(request, collection), caller(request)

    def work() -> tuple[Document, Span | None, PageView]:
        document = visible(found, document_id, who)
        original = _pdf(found, document)
        span = None if start is None and end is None else span_of(document, start, end)
        pieces = pieces_of(document, span, page) if span else ()
        return document, span, page_view(original, page=page, pieces=pieces)

    document, span, view = await _drawn(request, work)
    return ShownPage(
        document_id=document.id,
        page=page,
        pages=pages_of(document),
        width=view.width,
        height=view.height,
        span=SpanPlace(document_id=document.id, start=span.start, end=span.end) if span else None,
        boxes=list(view.boxes),
        image=address(document.id, "pages", str(page), "image", collection=found.name),
    )


async def page_image(
    document_id: str,
    page: PageNumber,
    request: Request,
    collection: CollectionName = None,
    scale: Annotated[float, Query(gt=0, le=4, allow_inf_nan=False)] = 1.5,
) -> Response:
    """Show a page of a PDF as PNG, drawn from the file that was ingested."""
    found, who = found_collection(request, collection), caller(request)
    images = page_images(request)

    def work() -> bytes:
        document = visible(found, document_id, who)
        return images.get(document.id, _pdf(found, document), page=page, scale=round(scale, 2) or 0.01)

    return Response(await _drawn(request, work), media_type="image/png")


async def original_file(
    document_id: str, request: Request, collection: CollectionName = None
) -> StreamingResponse:
    """Fetch the file that a document was made of, as long as it has not changed; never shown, only saved."""
    found, who = found_collection(request, collection), caller(request)

    def work() -> tuple[Document, BinaryIO, int]:
        document = visible(found, document_id, who)
        return document, *opened_original(_original(found, document))

    document, file, size = await anyio.to_thread.run_sync(work)
    headers = {
        "Content-Disposition": disposition(document),
        "Content-Length": str(size),
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(_pieces(file), media_type="application/octet-stream", headers=headers)


def page_images(request: Request) -> PageImages:
    """Pictures that were drawn lately."""
    images: PageImages = request.app.state.page_images
    return images


async def _drawn(request: Request, work: Callable[[], T]) -> T:
    """What a child process makes of a file; few of them at a time.

    Raises:
        HttpError: 409 where the file has changed, 404 where it has no such page.
    """
    try:
        return await anyio.to_thread.run_sync(work, limiter=page_images(request).limiter)
    except OriginalChangedError as error:
        raise HttpError(409, str(error), code="original_changed") from None
    except InputError as error:
        raise HttpError(404, str(error), code="page_not_found", param="page") from None


def _pdf(collection: Collection, document: Document) -> Original:
    """The file of a document, if it is a PDF.

    Raises:
        HttpError: 404 where it is none.
    """
    if media_type(document) != _PDF:
        raise HttpError(404, "the document is no PDF, so it has no pages", code="page_not_found")
    return _original(collection, document)


def _original(collection: Collection, document: Document) -> Original:
    """The file of a document, as the catalog knows it."""
    from ragwright.ingest.discover import path_of

    workspace = collection.workspace
    path = path_of(document.source, workspace.project)
    return Original(path, workspace.catalog.digest(document.id), workspace.ingest_settings().limits)


def opened_original(original: Original) -> tuple[BinaryIO, int]:
    """A file, open at its beginning, and its size in bytes.

    Raises:
        HttpError: 409 where it is gone, or holds other bytes than were ingested.
    """
    try:
        descriptor = os.open(original.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        raise _changed() from None
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):  # a pipe has no end
        os.close(descriptor)
        raise _changed()
    file = os.fdopen(descriptor, "rb")
    if hashlib.file_digest(file, "sha256").hexdigest() != original.digest:
        file.close()
        raise _changed()
    file.seek(0)
    return file, facts.st_size


def _changed() -> HttpError:
    return HttpError(
        409,
        "the file is gone, or has changed since it was ingested; ingest it again",
        code="original_changed",
    )


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE):
            yield piece


def disposition(document: Document) -> str:
    """The header that makes a browser save a file under its name (RFC 6266), with nothing else in it."""
    name = document.metadata.get("name") or PurePosixPath(document.source).name or "document"
    plain = _UNSAFE.sub("_", name)[:100]
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name[:200], safe='')}"
