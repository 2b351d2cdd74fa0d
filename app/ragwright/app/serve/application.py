"""The application: routes, the gate before them, and what they share."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import anyio.to_thread
from fastapi import APIRouter, FastAPI

from ragwright.app.serve import (
    chat,
    documents,
    embeddings,
    feedback,
    health,
    mcp_route,
    models,
    page,
    promotions,
    rerank,
    retrieve,
    traces,
    uploads,
    viewer,
)
from ragwright.app.serve.answering import AnswerService
from ragwright.app.serve.authentication import Authentication
from ragwright.app.serve.described import described
from ragwright.app.serve.draining import Draining
from ragwright.app.serve.entrance import Entrance
from ragwright.app.serve.error_handlers import install
from ragwright.app.serve.forgetting import forget_gone
from ragwright.app.serve.health import ReadinessCheck
from ragwright.app.serve.limits import Gate, Limits
from ragwright.app.serve.logs import AccessLog
from ragwright.app.serve.metrics import Metrics
from ragwright.app.serve.origins import Origins
from ragwright.app.serve.places import Places
from ragwright.app.serve.promotion_jobs import PromotionJobs
from ragwright.app.serve.rates import Rates
from ragwright.app.serve.receiving import uploads_of

if TYPE_CHECKING:
    from ragwright.app.serve.answering import Keep
    from ragwright.app.serve.authentication import Keyring
    from ragwright.app.serve.collections import Collections
    from ragwright.app.serve.observations import Observations
    from ragwright.app.serve.receiving import Uploads
    from ragwright.app.serve.telemetry import Telemetry
    from ragwright.app.serve.values import Trace
    from ragwright.core.config import Config
    from ragwright.core.config_serving import ServerConfig

_ALL = (
    *(chat, models, embeddings, rerank, retrieve),
    *(uploads, documents, viewer, feedback, traces),  # uploads first: /v1/documents/jobs is no document
    *(promotions, mcp_route, health, page),
)
ROUTES = tuple(part.router for part in _ALL)


def create_app(
    collections: Collections,
    config: Config,
    *,
    keyring: Keyring,
    observations: Observations,
    telemetry: Telemetry | None = None,
    routes: Sequence[Callable[[], APIRouter]] = ROUTES,
) -> FastAPI:
    """The application over open workspaces; whoever made them closes them after it.

    Args:
        collections: What is served.
        config: Every setting.
        keyring: Who may ask.
        observations: What is kept of answers.
        telemetry: Where traces are exported to; None: nowhere.
        routes: What is answered, behind the same gate in any case.

    Raises:
        ConfigError: The settings would leave the server open, or name an origin that is none.
    """
    limits, metrics = _limits(config.server, keyring), Metrics()
    log = AccessLog(questions=config.server.log_questions)
    forget_gone(observations, collections)
    receiving = uploads_of(collections, metrics, kept=observations.jobs)
    promoting = PromotionJobs()
    life = partial(_life, limits, receiving, promoting)
    app = FastAPI(docs_url=None, redoc_url=None, redirect_slashes=False, lifespan=life)
    app.state.limits = limits
    app.state.metrics = metrics
    app.state.observations = observations
    app.state.uploads = receiving
    app.state.promotions = promoting
    app.state.page_images = viewer.PageImages()
    app.state.readiness = ReadinessCheck(collections, limits.draining)
    app.state.service = _service(collections, config, keep=_keep(metrics, log, observations, telemetry))
    for part in routes:
        app.include_router(part())
    _guard(app, limits, log=log, metrics=metrics)
    return app


def _guard(app: FastAPI, limits: Limits, *, log: AccessLog, metrics: Metrics) -> None:
    """Put the gate before every route, and the entrance before everything; then describe what is there."""
    metrics.watch("ragwright_requests_at_work", "Requests at work.", lambda: limits.places.at_work)
    metrics.watch("ragwright_requests_waiting", "Requests that wait for a place.", limits.places.waiting)
    app.add_middleware(Gate, limits=limits)
    install(app)
    app.add_middleware(Entrance, log=log, metrics=metrics)
    app.openapi_schema = described(app)


@asynccontextmanager
async def _life(
    limits: Limits, receiving: Mapping[str, Uploads], promoting: PromotionJobs, _: FastAPI
) -> AsyncGenerator[None, None]:
    """What happens beside the requests: at the end, an upload that is being ingested gets the time left.

    A promotion is broken off.
    """
    yield
    await anyio.to_thread.run_sync(partial(promoting.close, seconds=limits.draining.left()))
    for each in receiving.values():
        await anyio.to_thread.run_sync(partial(each.jobs.close, seconds=limits.draining.left()))


def _limits(settings: ServerConfig, keyring: Keyring) -> Limits:
    return Limits(
        settings=settings,
        authentication=Authentication(keyring, settings),
        origins=Origins(settings),
        rates=Rates(streams=settings.streams),
        places=Places(working=settings.concurrency, waiting=settings.queue, seconds=settings.queue_seconds),
        draining=Draining(grace_seconds=settings.grace_seconds),
    )


def _service(collections: Collections, config: Config, *, keep: Keep) -> AnswerService:
    conversation = config.conversation
    return AnswerService(
        collections,
        threads=config.server.concurrency,
        rewrite=conversation.rewrite,
        turns=conversation.turns,
        keep=keep,
    )


def _keep(metrics: Metrics, log: AccessLog, observations: Observations, telemetry: Telemetry | None) -> Keep:
    def keep(trace: Trace) -> None:
        metrics.answer(trace)
        log.answer(trace)
        observations.keep(trace)
        if telemetry is not None:
            telemetry.keep(trace)

    return keep
