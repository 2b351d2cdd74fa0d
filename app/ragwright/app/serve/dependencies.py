"""What a route asks of the application and of its request. Routes call these: `service(request)`.

They are not for `Depends`: FastAPI runs a plain function in a thread of its own, for every request. The
application puts the values in place: those of the server when it is made, those of the request before a route
runs, once its key is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import Request

if TYPE_CHECKING:
    from ragwright.app.serve.answering import AnswerService
    from ragwright.app.serve.metrics import Metrics
    from ragwright.app.serve.observations import Observations
    from ragwright.app.serve.values import Caller
    from ragwright.core.config_serving import ServerConfig


def service(request: Request) -> AnswerService:
    """What answers, and by `service.collections` what is served."""
    answers: AnswerService = request.app.state.service
    return answers


def settings(request: Request) -> ServerConfig:
    """The `[server]` section."""
    server: ServerConfig = request.app.state.limits.settings
    return server


def observations(request: Request) -> Observations:
    """What is kept of answers, and what people say of them."""
    kept: Observations = request.app.state.observations
    return kept


def metrics(request: Request) -> Metrics:
    """What is counted."""
    counted: Metrics = request.app.state.metrics
    return counted


def caller(request: Request) -> Caller:
    """Who asks; every route has a caller but those that `route_rules` lists as public."""
    asking: Caller = request.state.caller
    return asking


def request_id(request: Request) -> str:
    """Names the request in headers, logs and traces."""
    name: str = request.state.request_id
    return name


def base_url(request: Request) -> str:
    """Where clients reach the server, for links; without a slash at the end."""
    return (settings(request).public_url or str(request.base_url)).rstrip("/")
