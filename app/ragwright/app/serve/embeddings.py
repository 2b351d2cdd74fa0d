"""`/v1/embeddings`: the vectors that a collection's documents are found by, for texts of one's own."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import PurePath
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, WithJsonSchema
from pydantic_core import to_json
from starlette.responses import Response

from ragwright.app.serve.collections import Collection, Collections
from ragwright.app.serve.dependencies import service
from ragwright.app.serve.errors import HttpError, documented
from ragwright.app.serve.models import resolve
from ragwright.app.serve.shapes import LONGEST_TEXT, Count, Lenient, ModelName, whole_characters
from ragwright.app.serve.text_vectors import CollectionVectors, Kind, TextVectors
from ragwright.core.types import Vector

MOST_INPUTS = 2048

_TEXT = {"type": "string", "minLength": 1, "maxLength": LONGEST_TEXT}
_INPUT = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": MOST_INPUTS}]}


class EmbeddingRequest(Lenient):
    """Texts to be encoded; other fields of OpenAI's are accepted and passed over."""

    model: ModelName | None = Field(
        default=None, description="Of /v1/models, or the name of a collection's encoder."
    )
    input: Annotated[object, WithJsonSchema(_INPUT)] = Field(description="A text, or a list of texts.")
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Count | None = Field(
        default=None, description="Numbers of a vector that are kept, for models made to be cut."
    )
    input_type: Literal["passage", "query"] | None = Field(
        default=None, description="What the texts are to the encoder; unset: passages."
    )


class Embedding(BaseModel):
    """The vector of one text."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str = Field(description="Of unit length; or float32 in base64.")


class EmbeddingUsage(BaseModel):
    """What was read."""

    prompt_tokens: int
    total_tokens: int


class Embeddings(BaseModel):
    """The vectors, in the order of the texts."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage


def router() -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(tags=["retrieval"])
    every = CollectionVectors()

    async def embed(body: EmbeddingRequest, request: Request) -> Response:
        """Encode texts with a collection's encoder."""
        answers = service(request)
        collection = _collection(answers.collections, body.model)
        texts = _texts(body.input)

        def encoded() -> bytes:  # a million numbers take a while to write down, too
            name = body.model or encoder_name(collection)
            return to_json(_embeddings(every.of(collection), texts, body, name=name))

        return Response(await answers.in_thread(encoded), media_type="application/json")

    routes.add_api_route(
        "/v1/embeddings", embed, methods=["POST"], response_model=Embeddings, responses=documented(404)
    )
    return routes


def _collection(collections: Collections, model: str | None) -> Collection:
    """The collection of a model id, or the first whose encoder is named so."""
    for each in collections:
        if model == encoder_name(each):
            return each
    return resolve(collections, model)[0]


def encoder_name(collection: Collection) -> str:
    """Name of a collection's encoder, as callers see it: a folder's without the way to it."""
    name = collection.workspace.models.encoder_name
    return PurePath(name).name if name.startswith((".", "/", "~")) else name


def _texts(given: object) -> list[str]:
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list):
        raise HttpError(422, "input has to be a text or a list of texts", param="input")
    if any(isinstance(each, int | list) for each in texts):
        raise HttpError(400, "input holds token ids; send the texts themselves", param="input")
    if not all(isinstance(each, str) for each in texts):
        raise HttpError(422, "input has to be a text or a list of texts", param="input")
    if not 1 <= len(texts) <= MOST_INPUTS:
        raise HttpError(422, f"input holds {len(texts)} texts; wanted 1 to {MOST_INPUTS}", param="input")
    for place, text in enumerate(texts):
        if not 1 <= len(text) <= LONGEST_TEXT:
            message = f"input {place} has {len(text)} characters; wanted 1 to {LONGEST_TEXT}"
            raise HttpError(422, message, param=f"input.{place}")
        _check_characters(text, place)
    return texts


def _check_characters(text: str, place: int) -> None:
    try:
        whole_characters(text)
    except ValueError as error:
        raise HttpError(422, f"input {place}: {error}", param=f"input.{place}") from None


def _embeddings(
    vectors: TextVectors, texts: Sequence[str], body: EmbeddingRequest, *, name: str
) -> dict[str, Any]:
    kind: Kind = body.input_type or "passage"
    dimension = vectors.encoder.dimension
    if body.dimensions is not None and body.dimensions > dimension:
        message = f"dimensions is {body.dimensions}; the encoder's vectors have {dimension}"
        raise HttpError(400, message, param="dimensions")
    tokens = vectors.tokens(texts, kind)
    _check_lengths(tokens, vectors.encoder.model.max_tokens)
    rows = [_cut(row, body.dimensions) for row in vectors.of(texts, kind)]
    packed = body.encoding_format == "base64"
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": place, "embedding": _base64(row) if packed else row.tolist()}
            for place, row in enumerate(rows)
        ],
        "model": name,
        "usage": {"prompt_tokens": sum(tokens), "total_tokens": sum(tokens)},
    }


def _check_lengths(tokens: Sequence[int], limit: int) -> None:
    for place, count in enumerate(tokens):
        if count > limit:
            raise HttpError(
                400,
                f"input {place} has {count} tokens; the encoder reads at most {limit}",
                code="context_length_exceeded",
                param=f"input.{place}",
            )


def _cut(row: Vector, dimensions: int | None) -> Vector:
    """The first numbers of a vector, at unit length again."""
    if dimensions is None or dimensions == len(row):
        return row
    kept = row[:dimensions]
    length = float(np.linalg.norm(kept))
    return kept / np.float32(length) if length else kept


def _base64(row: Vector) -> str:
    return base64.b64encode(np.ascontiguousarray(row, "<f4").tobytes()).decode()
