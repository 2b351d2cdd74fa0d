"""What an endpoint's failures are called: one sentence each, without anything that it sent."""

from __future__ import annotations

import re
import ssl
import time
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from ragwright.core.errors import ServiceError

_CODES = frozenset(
    {
        "content_filter",
        "context_length_exceeded",
        "insufficient_quota",
        "invalid_api_key",
        "invalid_request_error",
        "model_not_found",
        "overloaded_error",
        "rate_limit_exceeded",
        "server_error",
    }
)


class CallFailed(ServiceError):  # noqa: N818 - a state, not an event
    """An endpoint gave no answer, or not the whole.

    Attributes:
        again: Whether another attempt may do better.
        pause: How many seconds it asks to be left alone; 0 where it does not.
        refused: Whether it does not accept the request as it stands.
    """

    def __init__(
        self, reason: str, *, again: bool = False, pause: float = 0.0, refused: bool = False
    ) -> None:
        super().__init__(reason)
        self.again = again
        self.pause = pause
        self.refused = refused


def failed(error: Exception, *, name: str, model: str, answered: bool, seconds: float) -> CallFailed:
    """What to tell of an error of a call: without its message, which may hold anything.

    Args:
        error: Of openai, of httpx, or of reading what was sent.
        name: Names the endpoint.
        model: As it was asked for.
        answered: Whether the endpoint began to answer.
        seconds: The longest silence.
    """
    import openai

    cause = error.__cause__ if isinstance(error, openai.APIConnectionError) and error.__cause__ else error
    if isinstance(cause, CallFailed):
        return cause
    if isinstance(cause, openai.APIStatusError):
        return _refused(cause, name=name, model=model)
    if isinstance(cause, httpx.TimeoutException | openai.APITimeoutError):
        return CallFailed(
            f"{name} was silent for {seconds:g} seconds; look whether it is overloaded, or raise "
            "generator.timeout_seconds",
            again=True,
        )
    if isinstance(cause, httpx.ConnectError):
        why = _reason(cause)
        return CallFailed(f"{name} cannot be reached ({why}); start it, or set generator.url", again=True)
    if isinstance(cause, httpx.TransportError):
        return CallFailed(f"{name} broke the connection; look at its log", again=not answered)
    if isinstance(cause, openai.APIError):
        return CallFailed(f"{name} reported an error in its answer{_code(cause.body)}; look at its log")
    return CallFailed(
        f"{name} sent what is no stream of chat completions; look at its log, or set generator.url"
    )


def _refused(error: Any, *, name: str, model: str) -> CallFailed:
    """What to tell of an answer with a status of failure."""
    status = error.status_code
    seen = f"({status}{_code(error.body, before=', ', after='')})"
    if status in (401, 403):
        return CallFailed(f"{name} refused the key {seen}; set RAGWRIGHT_GENERATOR__API_KEY")
    if status == 404:
        return CallFailed(
            f"{name} has no model {model!r}, or is not the API's address {seen}; set generator.model or "
            "generator.url"
        )
    if status == 429:
        pause = _pause(error.response.headers.get("retry-after", ""))
        asked = f" and asks to wait {pause:.0f} seconds" if pause else ""
        return CallFailed(
            f"{name} takes no more requests now {seen}{asked}; ask again later", again=True, pause=pause
        )
    if status >= 500:
        pause = _pause(error.response.headers.get("retry-after", ""))
        return CallFailed(f"{name} failed {seen}; look at its log", again=True, pause=pause)
    if status < 400:
        return CallFailed(
            f"{name} redirects to another address {seen}, which is not followed; set generator.url to it"
        )
    return CallFailed(
        f"{name} refused the request {seen}; where the prompt is too long for the model, lower "
        "generator.context_tokens or generator.max_tokens, else look at its log",
        refused=status in (400, 422),
    )


def _code(body: Any, *, before: str = " (", after: str = ")") -> str:
    """The error's code where it is a known one: nothing else of a body is shown."""
    found = body.get("code") or body.get("type") if isinstance(body, dict) else None
    return f"{before}{found}{after}" if isinstance(found, str) and found in _CODES else ""


def _pause(text: str) -> float:
    """Seconds that a `Retry-After` asks for, a number or a date (RFC 9110, 10.2.3); 0 where it is neither."""
    if re.fullmatch(r"\d{1,9}(?:\.\d+)?", text.strip()):
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _reason(error: BaseException) -> str:
    """The innermost system error's own words."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return "no connection"
