"""`/v1/retrieve`: what a question finds, with its evidence and the exact place of everything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from ragwright.app.serve.citing import Addresses, viewer_addresses
from ragwright.app.serve.dependencies import base_url, caller, request_id, service
from ragwright.app.serve.errors import documented
from ragwright.app.serve.models import chosen
from ragwright.app.serve.shapes import (
    Budget,
    CollectionName,
    EvidenceShare,
    Exact,
    Filters,
    ModelName,
    Question,
    TopK,
)
from ragwright.app.serve.values import Ask
from ragwright.core.types import Hit, Span


class RetrieveRequest(Exact):
    """What is looked for, and where."""

    query: Question
    model: ModelName | None = Field(default=None, description="Of /v1/models; it names the collection.")
    collection: CollectionName | None = None
    top_k: TopK | None = None
    filters: Filters | None = None
    evidence: EvidenceShare | None = None
    budget: Budget | None = None


class Place(BaseModel):
    """Characters `[start, end)` of a document's text."""

    document_id: str
    start: int
    end: int


class FoundEvidence(BaseModel):
    """A passage that supports an answer."""

    start: int
    end: int
    text: str
    score: float | None = Field(default=None, description="Only for keys that see everything.")


class Duplicate(Place):
    """Another place with exactly this text."""

    source: str


class FoundChunk(BaseModel):
    """A chunk that was found."""

    chunk_id: str
    document_id: str
    source: str
    title: str
    headings: list[str] = Field(description="Titles above it, outermost first.")
    page: int | None
    start: int = Field(description="First character in the document's text.")
    end: int
    text: str
    url: str = Field(description="Shows the document with the chunk marked.")
    evidence: list[FoundEvidence] = Field(description="In text order.")
    duplicates: list[Duplicate]
    metadata: dict[str, str]
    score: float | None = Field(default=None, description="Only for keys that see everything.")
    scores: dict[str, float] | None = Field(default=None, description="Of each stage; likewise.")


class Retrieved(BaseModel):
    """What was found, best first."""

    object: Literal["list"] = "list"
    collection: str
    query: str
    data: list[FoundChunk]


def router() -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(tags=["retrieval"])
    routes.add_api_route(
        "/v1/retrieve",
        retrieve,
        methods=["POST"],
        response_model=Retrieved,
        response_model_exclude_unset=True,
        responses=documented(404),
    )
    return routes


async def retrieve(body: RetrieveRequest, request: Request) -> Retrieved:
    """Find chunks and the evidence in them."""
    answers, who = service(request), caller(request)
    collection, _ = chosen(answers.collections, model=body.model, name=body.collection)
    ask = Ask(
        question=body.query,
        collection=collection.name,
        filters=plain_filters(body.filters),
        limit=body.top_k,
        request_id=request_id(request),
    )
    found = await answers.find(ask, who, collection)
    hits = []
    if found is not None:
        hits = await answers.in_thread(lambda: found.hits(share=body.evidence, budget=body.budget))
    address = viewer_addresses(base_url(request), collection.name)
    data = [FoundChunk(**each) for each in shown_hits(hits, address, scores=who.sees_all)]
    return Retrieved(object="list", collection=collection.name, query=body.query, data=data)


def plain_filters(filters: dict[str, str | int] | None) -> dict[str, str]:
    """Filters as the retriever takes them."""
    return {field: str(value) for field, value in (filters or {}).items()}


def shown_hits(hits: Sequence[Hit], address: Addresses, *, scores: bool) -> list[dict[str, Any]]:
    """Hits as callers see them, best first.

    Args:
        hits: Best first.
        address: Of places in documents.
        scores: Whether numbers are shown that say something of other documents, too.
    """
    return [_shown(hit, address, scores=scores) for hit in hits]


def _shown(hit: Hit, address: Addresses, *, scores: bool) -> dict[str, Any]:
    chunk = hit.chunk
    shown: dict[str, Any] = {
        "chunk_id": chunk.id,
        **_place(chunk.span),
        "source": hit.source,
        "title": hit.title,
        "headings": list(chunk.headings),
        "page": chunk.page,
        "text": chunk.text,
        "url": address(chunk.span),
        "evidence": [
            {"start": each.span.start, "end": each.span.end, "text": each.text}
            | ({"score": each.score} if scores else {})
            for each in hit.evidence
        ],
        "duplicates": [{**_place(each.span), "source": each.source} for each in hit.duplicates],
        "metadata": dict(hit.metadata),
    }
    if scores:
        shown |= {"score": hit.score, "scores": dict(hit.scores)}
    return shown


def _place(span: Span) -> dict[str, Any]:
    return {"document_id": span.document_id, "start": span.start, "end": span.end}
