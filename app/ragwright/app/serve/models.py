"""`/v1/models`: what can be asked, each collection with each of its generators under an id of its own."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from ragwright.app.serve.collections import MODEL_PREFIX, Collection, Collections
from ragwright.app.serve.dependencies import service
from ragwright.app.serve.errors import HttpError, documented
from ragwright.core.errors import InputError


class Model(BaseModel):
    """One model, in OpenAI's shape."""

    id: str = Field(description="`ragwright/COLLECTION` or `ragwright/COLLECTION:GENERATOR`.")
    object: Literal["model"] = "model"
    created: int = Field(description="Seconds since 1970.")
    owned_by: Literal["ragwright"] = "ragwright"


class ModelList(BaseModel):
    """Every model."""

    object: Literal["list"] = "list"
    data: list[Model]


def router() -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(tags=["models"])
    routes.add_api_route(
        "/v1/models", every_model, methods=["GET"], response_model=ModelList, responses=documented()
    )
    routes.add_api_route(
        "/v1/models/{model:path}",  # ids hold a slash
        one_model,
        methods=["GET"],
        response_model=Model,
        responses=documented(404),
    )
    return routes


async def every_model(request: Request) -> ModelList:
    """List what can be asked; the first is the default."""
    collections = service(request).collections
    return ModelList(data=[_model(collections, each) for each in collections.model_ids()])


async def one_model(model: str, request: Request) -> Model:
    """Look one model up."""
    collections = service(request).collections
    resolve(collections, model)
    return _model(collections, model)


def _model(collections: Collections, model: str) -> Model:
    return Model(id=model, created=collections.resolve(model)[0].created)


def resolve(collections: Collections, model: str | None) -> tuple[Collection, str | None]:
    """The collection and the generator that a model id names; both default.

    Raises:
        HttpError: 404 for an id that names none.
    """
    if model is None:
        return collections.get(None), None
    try:
        return collections.resolve(model)
    except InputError as error:
        raise HttpError(404, str(error), code="model_not_found", param="model") from None


def chosen(collections: Collections, *, model: str | None, name: str | None) -> tuple[Collection, str | None]:
    """The collection and generator of a request; a collection that is named goes before the model's.

    Raises:
        HttpError: 404 for a model or a collection that is not there.
    """
    collection, generator = resolve(collections, model)
    if name is None or name == collection.name:
        return collection, generator
    wanted = f"{MODEL_PREFIX}{name}:{generator}" if generator else MODEL_PREFIX + name
    try:
        return collections.resolve(wanted)
    except InputError as error:
        raise HttpError(404, str(error), code="collection_not_found", param="collection") from None
