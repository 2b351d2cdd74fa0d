"""Asking a scripted endpoint."""

from __future__ import annotations

from typing import Any

import pytest
from tests.generation.model_asking import ask
from tests.openai_server import OpenAIServer, Script

from ragwright.core.config_serving import GeneratorConfig
from ragwright.core.errors import ServiceError
from ragwright.generation.language_model import Finish, LanguageModel, open_language_model

KEY = "sk-canary-5f3A9b"


def model_at(url: str, **options: Any) -> LanguageModel:
    """A model behind an address."""
    chosen = {"model": "small", "api_key": KEY, "timeout_seconds": 5.0, **options}
    return open_language_model(GeneratorConfig(kind="openai", url=url, **chosen))


def ask_endpoint(
    server: OpenAIServer, *replies: Script, max_tokens: int = 20, **options: Any
) -> list[str | Finish]:
    """What a new model gives for a script; the server's earlier requests are forgotten."""
    script(server, *replies)
    return ask(model_at(server.url, **options), max_tokens=max_tokens)


def script(server: OpenAIServer, *replies: Script) -> None:
    """Give a server its replies, and forget what it was asked."""
    server.requests.clear()
    server.replies[:] = replies


def failing(server: OpenAIServer, *replies: Script, **options: Any) -> str:
    """The message of the one error that a script ends in."""
    with pytest.raises(ServiceError) as caught:
        ask_endpoint(server, *replies, **options)
    message = str(caught.value)
    assert server.url in message and KEY not in message and "\n" not in message and len(message) < 250
    return message
