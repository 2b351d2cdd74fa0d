"""`/v1/rerank`: texts of one's own, ordered by how well they answer a question; as Cohere's and Jina's."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import AfterValidator, BaseModel, Field

from ragwright.app.serve.collections import Collection
from ragwright.app.serve.dependencies import service
from ragwright.app.serve.embeddings import encoder_name
from ragwright.app.serve.errors import documented
from ragwright.app.serve.models import resolve
from ragwright.app.serve.shapes import LONGEST_TEXT, Count, Lenient, ModelName, Question, whole_characters
from ragwright.app.serve.text_vectors import CollectionVectors, TextVectors
from ragwright.core.types import Chunk, Encoding, Passage, Span, Vector

if TYPE_CHECKING:
    from ragwright.retrieval.search import ModelReranking

MOST_DOCUMENTS = 1000


RankableText = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT), AfterValidator(whole_characters)]


class RerankDocument(Lenient):
    """A text as an object."""

    text: RankableText


class RerankRequest(Lenient):
    """A question and what may answer it; other fields are accepted and passed over."""

    model: ModelName | None = Field(default=None, description="Of /v1/models.")
    query: Question
    documents: list[RankableText | RerankDocument] = Field(min_length=1, max_length=MOST_DOCUMENTS)
    top_n: Count | None = Field(default=None, description="Most results.")
    return_documents: bool | None = None


class RankedText(BaseModel):
    """One of the texts."""

    text: str


class RankedDocument(BaseModel):
    """A text's place in the new order."""

    index: int = Field(description="Its place in the request.")
    relevance_score: float = Field(description="Higher is better; comparable within one answer.")
    document: RankedText | None = None


class RerankUsage(BaseModel):
    """What was read, in tokens of the encoder."""

    total_tokens: int


class Reranked(BaseModel):
    """The texts, best first."""

    id: str
    model: str = Field(
        description="What scored: the collection's reranker, or its encoder by the best sentence."
    )
    results: list[RankedDocument]
    usage: RerankUsage


def router() -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(tags=["retrieval"])
    every = CollectionVectors()

    async def rerank(body: RerankRequest, request: Request) -> Any:
        """Order texts by how well they answer a question.

        The reranker of the collection scores them where `search.rerank` is `late` or `cross`, and what is
        longer than it reads is cut off. Else it is the encoder: a text counts as its best sentence.
        """
        answers = service(request)
        collection, _ = resolve(answers.collections, body.model)
        return await answers.in_thread(lambda: _reranked(collection, every, body))

    routes.add_api_route(
        "/v1/rerank",
        rerank,
        methods=["POST"],
        response_model=Reranked,
        response_model_exclude_unset=True,
        responses=documented(404),
    )
    return routes


def _reranked(collection: Collection, every: CollectionVectors, body: RerankRequest) -> dict[str, Any]:
    texts = [each if isinstance(each, str) else each.text for each in body.documents]
    vectors = every.of(collection)
    tokens = vectors.tokens(texts, "passage")
    method = collection.workspace.search_options().rerank
    if method in ("late", "cross"):
        name = _reranker_name(collection, method)
        scores = _by_reranker(collection, method, body.query, texts, tokens)
    else:
        name = f"{encoder_name(collection)} (best sentence)"
        scores = _by_sentences(collection, vectors, body.query, texts)
    order = sorted(range(len(texts)), key=lambda place: (-scores[place], place))[: body.top_n]
    shown = {place: {"document": {"text": texts[place]}} if body.return_documents else {} for place in order}
    return {
        "id": f"rerank-{secrets.token_hex(16)}",
        "model": name,
        "results": [{"index": each, "relevance_score": scores[each], **shown[each]} for each in order],
        "usage": {"total_tokens": sum(tokens)},
    }


def _reranker_name(collection: Collection, method: Literal["late", "cross"]) -> str:
    name = collection.workspace.models.reranker_name
    if name is None:
        return f"{encoder_name(collection)} (late interaction)"
    return f"{PurePath(name).name} ({'late interaction' if method == 'late' else 'cross-encoder'})"


def _by_reranker(
    collection: Collection,
    method: ModelReranking,
    query: str,
    texts: Sequence[str],
    tokens: Sequence[int],
) -> list[float]:
    chunks = [_chunk(text, count) for text, count in zip(texts, tokens, strict=True)]
    scores = collection.workspace.reranker(method).rerank([query], [chunks])[0]
    return [float(score) for score in scores]


def _chunk(text: str, tokens: int) -> Chunk:
    """A text that is of no document, as rerankers read one."""
    span = Span("", 0, len(text))
    return Chunk(id="", span=span, text=text, context="", headings=(), page=None, sentences=(), tokens=tokens)


def _by_sentences(
    collection: Collection, vectors: TextVectors, query: str, texts: Sequence[str]
) -> list[float]:
    """Cosine of the question and the best sentence of each text, its vector made with the text around it."""
    from ragwright.ingest.sentences import SentenceSplitter

    profile = collection.workspace.profile
    splitter = SentenceSplitter(profile.language, profile.abbreviations)
    pieces = [vectors.windows(text) for text in texts]
    passages = [Passage(each, tuple(splitter.split(each, 0, len(each)))) for text in pieces for each in text]
    asked = vectors.of([query], "query")[0]
    best = iter([_best(encoding, asked) for encoding in vectors.encoded(passages)])
    return [max(next(best) for _ in each) for each in pieces]


def _best(encoding: Encoding, asked: Vector) -> float:
    rows = encoding.sentences if len(encoding.sentences) else encoding.vector[None]
    return float((rows @ asked).max())
