"""The server's log: a line for each request and each remark, as text or JSON, without control characters.

It tells what was asked only where the settings say so.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TextIO

from ragwright.app.console import escape_control

if TYPE_CHECKING:
    from ragwright.app.serve.values import Trace

_ROOT = "ragwright"
_REQUESTS = logging.getLogger("ragwright.requests")
_LONGEST = 2000  # characters of a text


class LineFormatter(logging.Formatter):
    """Makes one line of a record and its `facts`."""

    def __init__(self, form: Literal["text", "json"]) -> None:
        super().__init__()
        self._form = form

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        facts: Mapping[str, Any] = getattr(record, "facts", {})
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        message = record.getMessage()
        if record.exc_info:
            message += "\n" + self.formatException(record.exc_info)
        if self._form == "json":
            entry = {"time": at, "level": record.levelname.lower(), "message": message, **facts}
            return json.dumps(entry, default=str).replace("\x7f", "\\u007f")  # the one that JSON lets stand
        told = " ".join(f"{name}={_shown(value)}" for name, value in facts.items())
        line = f"{at} {record.levelname.lower()} {message}"
        return escape_control(f"{line} {told}" if told else line, keep="")


class AccessLog:
    """What is told of each request, and of what was asked."""

    def __init__(self, *, questions: bool) -> None:
        """Write through the log.

        Args:
            questions: Whether what was asked is told.
        """
        self._questions = questions

    def request(self, *, status: int, method: str, path: str, seconds: float, **facts: str | None) -> None:
        """Tell of a request that has ended."""
        told = {name: value for name, value in facts.items() if value is not None}
        line = f"{status} {method} {path[:_LONGEST]} {seconds * 1000:.0f} ms"
        _REQUESTS.info("%s", line, extra={"facts": told})

    def answer(self, trace: Trace) -> None:
        """Tell what was asked, where that is wanted."""
        if self._questions:
            facts = {"request_id": trace.ask.request_id, "trace_id": trace.id, "caller": trace.caller}
            _REQUESTS.info("asked: %s", trace.ask.question[:_LONGEST], extra={"facts": facts})


def start_log(stream: TextIO, *, form: Literal["text", "json"], quiet: bool) -> logging.Handler:
    """Write the log from now on; `stop_log` takes the handler off again.

    Args:
        stream: Where to.
        form: Of the lines.
        quiet: Only what went wrong is told.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter(form))
    own, server = logging.getLogger(_ROOT), logging.getLogger("uvicorn")
    own.addHandler(handler)
    own.setLevel(logging.WARNING if quiet else logging.INFO)
    server.addHandler(handler)
    server.setLevel(logging.ERROR)  # its own remarks are about requests, and we tell of those
    for each in (own, server):
        each.propagate = False
    return handler


def stop_log(handler: logging.Handler) -> None:
    """Undo `start_log`."""
    for name in (_ROOT, "uvicorn"):
        logger = logging.getLogger(name)
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
        logger.propagate = True


def _shown(value: object) -> str:
    text = str(value)[:_LONGEST]
    return text if text and " " not in text and '"' not in text else json.dumps(text, ensure_ascii=False)
