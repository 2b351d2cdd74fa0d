"""How the server ends: new requests are turned away, those at work may finish, the rest is broken off."""

from __future__ import annotations

import asyncio
import time

_LAST_WORDS_SECONDS = 1.0


class Draining:
    """Where the server stands between serving and having ended; for one event loop, told from any thread."""

    def __init__(self, *, grace_seconds: float) -> None:
        """The server serves.

        Args:
            grace_seconds: For requests at work.
        """
        self._grace = grace_seconds
        self._began: float | None = None
        self.ending = asyncio.Event()
        """Set when requests at work are broken off."""

    @property
    def has_begun(self) -> bool:
        """Whether new requests are turned away."""
        return self._began is not None

    def begin(self) -> None:
        """Turn new requests away from now on."""
        self._began = self._began or time.monotonic()

    def left(self) -> float:
        """Seconds that whatever still runs beside the requests may take; a little at the least."""
        spent = 0.0 if self._began is None else time.monotonic() - self._began
        return max(0.0, self._grace - spent) + _LAST_WORDS_SECONDS / 2

    def is_over(self, *, at_work: int) -> bool:
        """Whether the server may close, asked again and again in its event loop.

        Args:
            at_work: Requests that are not answered yet.
        """
        if self._began is None:
            return False
        spent = time.monotonic() - self._began
        if spent >= self._grace:
            self.ending.set()
        return at_work == 0 or spent >= self._grace + _LAST_WORDS_SECONDS
