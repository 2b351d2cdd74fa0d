"""How many requests are worked on at once, and how many wait: beyond both, the next one is turned away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from ragwright.app.serve.errors import HttpError


class Places:
    """A bounded number of places to work at, and a bounded queue before them; for one event loop."""

    def __init__(self, *, working: int, waiting: int, seconds: float) -> None:
        """Every place is free.

        Args:
            working: Requests at work at once.
            waiting: Requests that wait for a place.
            seconds: Longest wait.
        """
        self._places = asyncio.Semaphore(working)
        self._most = working + waiting
        self._seconds = seconds
        self.inside = 0
        """Requests that are at work, or wait."""
        self.at_work = 0
        """Requests that are at work."""

    def waiting(self) -> int:
        """Requests that wait for a place, or for the rest of their body."""
        return self.inside - self.at_work

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Count a request from its head to its end, so that bodies do not pile up before the queue.

        Raises:
            HttpError: 503 at once, where the queue is full.
        """
        if self.inside >= self._most:
            raise _overloaded("the server is at work on as much as it takes")
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Have a place; those that came first are first.

        Raises:
            HttpError: 503 where none became free in time.
        """
        try:
            async with asyncio.timeout(self._seconds):
                await self._places.acquire()
        except TimeoutError:
            raise _overloaded(f"no place became free within {self._seconds:g} s") from None
        self.at_work += 1
        try:
            yield
        finally:
            self.at_work -= 1
            self._places.release()


def _overloaded(why: str) -> HttpError:
    return HttpError(503, f"{why}; try again in a moment", code="overloaded", retry_after=1)
