"""Asking the server by the official client, in few words."""

from __future__ import annotations

from typing import Any

from openai import OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk

ABOUT = "To what torque are the flange bolts tightened?"
NOWHERE = "Which opera did the composer finish in Vienna?"
SCRIPTED = "ragwright/documents:scripted"


def asked(question: str, *, model: str = "ragwright/documents", **options: Any) -> dict[str, Any]:
    """Arguments of a request."""
    return {"model": model, "messages": [{"role": "user", "content": question}], **options}


def ask(client: OpenAI, question: str, **options: Any) -> ChatCompletion:
    """The whole answer."""
    answer: ChatCompletion = client.chat.completions.create(**asked(question, **options))
    return answer


def chunks(client: OpenAI, question: str, **options: Any) -> list[ChatCompletionChunk]:
    """The answer as a stream."""
    return list(client.chat.completions.create(**asked(question, **options), stream=True))


def content(answer: ChatCompletion) -> str:
    """The text of an answer."""
    text = answer.choices[0].message.content
    assert text is not None
    return text


def said(answer: Any, field: str) -> Any:
    """A field that OpenAI's types do not have."""
    return answer.to_dict()[field]
