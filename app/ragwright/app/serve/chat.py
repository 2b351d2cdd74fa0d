"""`/v1/chat/completions`: a question in, an answer with checked citations out, streamed or whole."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from ragwright.app.serve.citing import viewer_addresses
from ragwright.app.serve.collections import MODEL_PREFIX, Collection
from ragwright.app.serve.completions import Completion, Terms
from ragwright.app.serve.dependencies import base_url, caller, request_id, service, settings
from ragwright.app.serve.errors import documented
from ragwright.app.serve.models import chosen
from ragwright.app.serve.reading import question_of
from ragwright.app.serve.shapes import ChatCompletion, ChatRequest, RagOptions
from ragwright.app.serve.side_calls import SideCall, by_model, by_rule, side_call
from ragwright.app.serve.sse import EventStream
from ragwright.app.serve.values import Finished, ServiceEvent
from ragwright.core.types import Answer, Delta

if TYPE_CHECKING:
    from ragwright.generation.language_model import LanguageModel

_STREAMED: dict[str, Any] = {
    "content": {
        "text/event-stream": {
            "schema": {"type": "string"},
            "example": 'data: {"object":"chat.completion.chunk","choices":[...]}\n\ndata: [DONE]\n\n',
        }
    },
    "description": "The completion; with `stream` as server-sent events, each a chunk, the last `[DONE]`.",
}


def router() -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(tags=["chat"])
    routes.add_api_route(
        "/v1/chat/completions",
        complete,
        methods=["POST"],
        response_model=ChatCompletion,
        responses={200: _STREAMED, **documented(404, 501, 502, 504)},
    )
    return routes


async def complete(body: ChatRequest, request: Request) -> Response:
    """Answer a question from a collection's documents, or say that they hold no answer.

    Texts hold citation markers; `annotations`, `message.context` and `citations` say what they stand for.
    """
    answers, options = service(request), body.rag or RagOptions()
    collection, generator = chosen(answers.collections, model=body.model, name=options.collection)
    ask = question_of(body, collection=collection.name, generator=generator, request_id=request_id(request))
    terms = _terms(body, request, collection=collection, generator=generator)
    task = None if ask.history or options.side_calls == "answer" else side_call(ask.question)
    if task is None:
        events = answers.stream(ask, caller(request))
    else:
        model = None if options.side_calls == "rule" else collection.models.get(terms.generator)
        events = _side_answer(task, model)
    if not body.stream:
        return JSONResponse(await Completion(terms).whole(events))
    return EventStream(
        lambda: Completion(terms).stream(events), keep_alive_seconds=settings(request).keep_alive_seconds
    )


def _terms(body: ChatRequest, request: Request, *, collection: Collection, generator: str | None) -> Terms:
    who, options = caller(request), body.rag or RagOptions()
    return Terms(
        model=body.model or MODEL_PREFIX + collection.name,
        collection=collection.name,
        generator=collection.generator(generator).name,
        style=options.citations or settings(request).citations,
        address=viewer_addresses(base_url(request), collection.name),
        scores=who.sees_all,
        trace=bool(options.trace),
        usage=bool(body.stream_options and body.stream_options.include_usage),
        request_id=request_id(request),
    )


async def _side_answer(task: SideCall, model: LanguageModel | None) -> AsyncGenerator[ServiceEvent, None]:
    """The answer to a front end's own task; nothing is searched, and no trace is kept."""
    text = by_rule(task) if model is None else await by_model(task, model)
    yield Delta(text)
    yield Finished(Answer(text=text, citations=(), hits=(), refused=False), trace_id="")
