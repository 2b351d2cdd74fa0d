"""Letting a running server promote: it holds the workspace, and switches without a failed query."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ragwright.core.errors import InputError, RagwrightError, ServiceError

_POLL_SECONDS = 1.0
_PATIENCE_SECONDS = 30.0
_LONGEST = 4_000_000  # characters of an answer

Job = Mapping[str, Any]
"""As the server tells it; see `ragwright.app.serve.promotion_jobs`."""


@dataclass(frozen=True, slots=True)
class RemoteServer:
    """A server of ragwright.

    Attributes:
        url: Its address, with or without `/v1`.
        key: A key that may do everything; None where the server wants none.
    """

    url: str
    key: str | None = None

    def run(
        self, path: str, body: Mapping[str, Any], *, told: Callable[[Job], None] = lambda job: None
    ) -> Job:
        """Start a job and wait for its end.

        Args:
            path: Where to post, such as `/v1/tune/promotions`.
            body: What is asked for.
            told: Called with the job every second.

        Raises:
            InputError: The server refuses it; its words.
            ServiceError: It does not answer, or not as this program does.
        """
        job = self._asked(path, body)
        while job.get("ended") is None:
            told(job)
            time.sleep(_POLL_SECONDS)
            with suppress(_Busy):
                job = self._asked(f"/v1/tune/jobs/{job['id']}")
        return job

    def _asked(self, path: str, body: Mapping[str, Any] | None = None) -> Job:
        from urllib.error import HTTPError, URLError
        from urllib.request import Request, urlopen

        headers = {"authorization": f"Bearer {self.key}"} if self.key else {}
        data = None if body is None else json.dumps(body).encode()
        request = Request(self._address(path), data, {**headers, "content-type": "application/json"})
        try:
            with urlopen(request, timeout=_PATIENCE_SECONDS) as answer:
                return _object(answer.read(_LONGEST))
        except HTTPError as error:
            words = f"{self.url}: {_words(error.read(_LONGEST)) or error}{_hint(error.code)}"
            raise _kind(error.code)(words) from None
        except (URLError, TimeoutError, ValueError, OSError) as error:
            raise ServiceError(
                f"{self.url} does not answer as ragwright serve does ({error}); check the address"
            ) from None

    def _address(self, path: str) -> str:
        url = self.url.rstrip("/").removesuffix("/v1")
        if not url.startswith(("http://", "https://")):
            raise InputError(f"--server {self.url} is no address; wanted http://HOST:PORT")
        return url + path


class _Busy(ServiceError):  # noqa: N818 - a state, not an event
    """The server is there, and has no time just now."""


def _kind(code: int) -> type[RagwrightError]:
    if code in (429, 503):
        return _Busy
    return InputError if code < 500 else ServiceError


def _hint(code: int) -> str:
    if code in (401, 403):
        return "; export an admin key as RAGWRIGHT_SERVER__API_KEY (ragwright keys add NAME --admin)"
    return ""


def _object(body: bytes) -> dict[str, Any]:
    value = json.loads(body)
    if not isinstance(value, dict):
        raise ValueError("its answer is no JSON object")
    return value


def _words(body: bytes) -> str:
    """What the server says of an error."""
    try:
        return str(_object(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return ""
