"""`/v1/documents`, as far as it reads: what a caller may see, and the text with a place in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlencode

import anyio.to_thread
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from ragwright.app.serve.dependencies import caller, service
from ragwright.app.serve.errors import HttpError, documented
from ragwright.app.serve.models import chosen
from ragwright.core.types import Document, Span

if TYPE_CHECKING:
    from ragwright.app.serve.collections import Collection
    from ragwright.app.serve.values import Caller
    from ragwright.ingest.catalog_values import ListedDocument

MOST_CHARACTERS = 200_000
"""Of a document's text in one answer."""

_MOST_LISTED = 500

CollectionName = Annotated[str | None, Query(max_length=100, description="Unset: the first.")]
Offset = Annotated[int | None, Query(ge=0, le=2**40)]


class DocumentSummary(BaseModel):
    """A document as a list shows it."""

    id: str
    object: Literal["document"] = "document"
    title: str
    source: str = Field(description="Where it came from; of an uploaded file a place of the server's own.")
    name: str | None = Field(description="Of an uploaded file, as its sender called it.")
    characters: int
    bytes: int
    chunks: int
    media_type: str | None
    groups: list[str] = Field(description="Who of the tenant may see it; empty: everyone.")
    tenant: str | None = Field(default=None, description="Only for keys that see everything.")


class DocumentList(BaseModel):
    """A page of the documents that the key may see, ordered by source."""

    object: Literal["list"] = "list"
    collection: str
    data: list[DocumentSummary]
    has_more: bool
    next: str | None = Field(description="The next page's `after`.")
    may_upload: bool = Field(description="Whether this key may add documents.")


class SpanPlace(BaseModel):
    """Characters `[start, end)` of a document's text."""

    document_id: str
    start: int
    end: int


class DocumentBlock(BaseModel):
    """One structural unit, where it stands in the whole text."""

    kind: str
    start: int
    end: int
    level: int | None
    page: int | None


class DocumentView(BaseModel):
    """A document's text, or a part of it."""

    id: str
    object: Literal["document"] = "document"
    collection: str
    title: str
    source: str = Field(description="Where it came from; of an uploaded file a place of the server's own.")
    name: str | None = Field(description="Of an uploaded file, as its sender called it.")
    media_type: str | None
    metadata: dict[str, str]
    groups: list[str]
    text: str
    offset: int = Field(description="Where `text` begins in the whole text.")
    total_characters: int
    blocks: list[DocumentBlock] = Field(description="Those that touch `text`.")
    span: SpanPlace = Field(description="Where `text` stands.")
    page: int | None = Field(description="On which it begins, from 1.")
    pages: int | None = Field(description="Of a PDF; each can be shown by /pages/N.")
    original: str = Field(description="Where the file itself can be fetched.")
    may_delete: bool


def router() -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(tags=["documents"])
    routes.add_api_route(
        "/v1/documents",
        every_document,
        methods=["GET"],
        response_model=DocumentList,
        response_model_exclude_unset=True,
        responses=documented(404),
    )
    routes.add_api_route(
        "/v1/documents/{document_id}",
        one_document,
        methods=["GET"],
        response_model=DocumentView,
        responses=documented(404),
    )
    return routes


async def every_document(
    request: Request,
    collection: CollectionName = None,
    limit: Annotated[int, Query(ge=1, le=_MOST_LISTED)] = 100,
    after: Annotated[str, Query(max_length=10_000, description="`next` of the page before.")] = "",
) -> DocumentList:
    """List the documents that the key may see."""
    found, who = found_collection(request, collection), caller(request)
    listed = await anyio.to_thread.run_sync(lambda: listing(found, who, limit=limit + 1, after=after))
    shown = listed[:limit]
    more = len(listed) > limit
    return DocumentList(
        object="list",
        collection=found.name,
        data=[_summary(each, who) for each in shown],
        has_more=more,
        next=shown[-1].cursor if more else None,
        may_upload=who.may_write,
    )


async def one_document(
    document_id: str,
    request: Request,
    collection: CollectionName = None,
    start: Offset = None,
    end: Offset = None,
) -> DocumentView:
    """Show a document's text, or its characters `[start, end)`: at most 200,000 of them at once."""
    found, who = found_collection(request, collection), caller(request)

    def work() -> DocumentView:
        document = visible(found, document_id, who)
        return view(document, span_of(document, start, end), collection=found.name, who=who)

    return await anyio.to_thread.run_sync(work)


def found_collection(request: Request, name: str | None) -> Collection:
    """The collection that a request names; None: the first.

    Raises:
        HttpError: 404 where there is none.
    """
    return chosen(service(request).collections, model=None, name=name)[0]


def listing(collection: Collection, who: Caller, *, limit: int, after: str = "") -> list[ListedDocument]:
    """Documents that a caller may see, ordered by source; see `Catalog.listing`."""
    workspace = collection.workspace
    return workspace.catalog.listing(who.scope, limit=limit, after=after) if workspace.exists() else []


def visible(collection: Collection, document_id: str, who: Caller) -> Document:
    """A document that a caller may see.

    Raises:
        HttpError: 404 where there is none, and in the same words where it is somebody else's.
    """
    workspace = collection.workspace
    found = workspace.catalog.visible(document_id, who.scope) if workspace.exists() else None
    if found is None:
        raise HttpError(404, "there is no such document", code="document_not_found", param="document_id")
    return found


def span_of(document: Document, start: int | None, end: int | None) -> Span:
    """The characters that a request names, as far as the document has them; None: its beginning, its end.

    Raises:
        HttpError: 422 where they begin behind the document, or end before they begin.
    """
    first, total = start or 0, len(document.text)
    last = total if end is None else min(end, total)
    if first > last:
        told = f"start is {first} and end is {last}; the document has {total} characters"
        raise HttpError(422, told, param="start")
    return Span(document.id, first, last)


def view(document: Document, span: Span, *, collection: str, who: Caller) -> DocumentView:
    """What is shown of a document.

    Args:
        document: The caller may see it.
        span: What is asked for; of it no more than `MOST_CHARACTERS` are shown.
        collection: Where it is.
        who: Asks.
    """
    begin, stop = span.start, min(span.end, span.start + MOST_CHARACTERS)
    blocks = [each for each in document.blocks if each.start < stop and begin < each.end]
    return DocumentView(
        id=document.id,
        collection=collection,
        title=document.title,
        source=document.source,
        name=document.metadata.get("name"),
        media_type=media_type(document),
        metadata=dict(document.metadata),
        groups=list(document.access.groups),
        text=document.text[begin:stop],
        offset=begin,
        total_characters=len(document.text),
        blocks=[
            DocumentBlock(kind=b.kind, start=b.start, end=b.end, level=b.level, page=b.page) for b in blocks
        ],
        span=SpanPlace(document_id=document.id, start=begin, end=stop),
        page=page_of(document, span),
        pages=pages_of(document),
        original=address(document.id, "original", collection=collection),
        may_delete=may_delete(who, document),
    )


def pages_of(document: Document) -> int | None:
    """How many pages a PDF has; None for other files."""
    pages = document.metadata.get("pages", "") if document.metadata.get("type") == "pdf" else ""
    return int(pages) if pages.isdecimal() and pages.isascii() else None


def page_of(document: Document, span: Span) -> int | None:
    """The page on which a span begins; None without pages."""
    touched = (each.page for each in document.blocks if each.end > span.start and each.start < span.end)
    return next((page for page in touched if page is not None), None)


def media_type(document: Document) -> str | None:
    """The type of a document's file, as its content told."""
    return _media_type(document.metadata.get("type", ""))


def _media_type(suffix: str) -> str | None:
    from ragwright.ingest.sniff import SUPPORTED

    return SUPPORTED.get(f".{suffix.lower()}")


def may_delete(who: Caller, document: Document) -> bool:
    """Whether a caller that sees a document may delete it, too."""
    own = who.scope.tenants is None or document.access.tenant == who.access.tenant
    return who.may_write and own


def address(document_id: str, *parts: str, collection: str) -> str:
    """The path of something that belongs to a document."""
    return "/".join(("/v1/documents", document_id, *parts)) + "?" + urlencode({"collection": collection})


def _summary(listed: ListedDocument, who: Caller) -> DocumentSummary:
    only: dict[str, Any] = {"tenant": listed.access.tenant} if who.sees_all else {}
    return DocumentSummary(
        id=listed.id,
        object="document",
        title=listed.title,
        source=listed.source,
        name=listed.metadata.get("name"),
        characters=listed.characters,
        bytes=listed.bytes,
        chunks=listed.chunks,
        media_type=_media_type(listed.metadata.get("type", "")),
        groups=list(listed.access.groups),
        **only,
    )
