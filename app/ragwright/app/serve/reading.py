"""A chat completion request as a question: which message is what."""

from __future__ import annotations

from collections.abc import Sequence

from ragwright.app.serve.citing import without_footer
from ragwright.app.serve.errors import HttpError
from ragwright.app.serve.retrieve import plain_filters
from ragwright.app.serve.shapes import LONGEST_QUESTION, ChatMessage, ChatRequest, RagOptions
from ragwright.app.serve.values import Ask
from ragwright.core.types import Turn


def question_of(body: ChatRequest, *, collection: str, generator: str | None, request_id: str) -> Ask:
    """The question that a request asks.

    Args:
        body: The request.
        collection: Where is searched.
        generator: What writes; None: the configured one.
        request_id: Of the request.

    Raises:
        HttpError: 400 where there is no question, or a message holds something else than text.
    """
    if body.n not in (None, 1):
        raise HttpError(400, f"n is {body.n}; one answer is given, so n has to be 1", param="n")
    texts = [_text(message, place) for place, message in enumerate(body.messages)]
    last = _last_of_user(body.messages)
    options = body.rag or RagOptions()
    return Ask(
        question=_checked(texts[last]),
        history=_history(body.messages[:last], texts),
        instruction=_instruction(body.messages, texts),
        collection=collection,
        generator=generator,
        filters=plain_filters(options.filters),
        limit=options.top_k,
        evidence=options.evidence,
        budget=options.budget,
        rewrite=options.rewrite,
        max_tokens=_smaller(body.max_tokens, body.max_completion_tokens),
        temperature=body.temperature,
        request_id=request_id,
    )


def _text(message: ChatMessage, place: int) -> str:
    """What a message says, its parts joined."""
    content = message.content
    if content is None or message.role in ("tool", "function"):
        return ""
    if isinstance(content, str):
        return content
    for part in content:
        if part.type not in ("text", "refusal"):
            raise HttpError(
                400,
                f"message {place} holds a part of type {part.type!r}; only text can be read",
                code="unsupported_content",
                param=f"messages.{place}.content",
            )
    return "\n".join(part.text for part in content if part.text)


def _last_of_user(messages: Sequence[ChatMessage]) -> int:
    for place in range(len(messages) - 1, -1, -1):
        if messages[place].role == "user":
            return place
    raise HttpError(400, "there is no message of the user; send one with the question", param="messages")


def _checked(question: str) -> str:
    question = question.strip()
    if len(question) > LONGEST_QUESTION:
        raise HttpError(
            400,
            f"the question has {len(question)} characters; most are {LONGEST_QUESTION}",
            code="string_above_max_length",
            param="messages",
        )
    if not any(character.isalnum() for character in question):
        raise HttpError(400, "the question holds no letters or digits; ask in words", param="messages")
    return question


def _history(messages: Sequence[ChatMessage], texts: Sequence[str]) -> tuple[Turn, ...]:
    turns = []
    for message, text in zip(messages, texts, strict=False):
        if message.role == "user" and text.strip():
            turns.append(Turn("user", text))
        elif message.role == "assistant" and text.strip():
            turns.append(Turn("assistant", without_footer(text)))
    return tuple(turns)


def _instruction(messages: Sequence[ChatMessage], texts: Sequence[str]) -> str:
    said = zip(messages, texts, strict=True)
    return "\n\n".join(
        text.strip() for message, text in said if message.role in ("system", "developer") and text.strip()
    )


def _smaller(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)
