"""How many requests are worked on at once, and how many wait: beyond both, the next one is turned away.

One key has half of everything at most, so that whatever it does another key finds a place. Requests of
nobody's key (None) come from this machine while there are no keys: they share with nobody.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager

from ragwright.app.serve.errors import HttpError

_UPLOADS_OF_KEY = 4


class Shared:
    """A bounded number of places to wait for, and a smaller number for each key; for one event loop."""

    def __init__(self, most: int, *, of_key: int, seconds: float) -> None:
        """Every place is free.

        Args:
            most: Places in all.
            of_key: Places of one key.
            seconds: Longest wait.
        """
        self._places = asyncio.Semaphore(most)
        self._of_key = of_key
        self._seconds = seconds
        self._shares: dict[str, asyncio.Semaphore] = {}
        self._users: Counter[str] = Counter()
        self.held = 0
        """Places that are taken."""

    @asynccontextmanager
    async def taken(self, key: str | None) -> AsyncIterator[None]:
        """Have a place; of one key, and of all, those that came first are first.

        Raises:
            HttpError: 503 where none became free in time.
        """
        async with AsyncExitStack() as taken:
            try:
                async with asyncio.timeout(self._seconds):
                    await taken.enter_async_context(self._share(key))  # first, so that nobody waits behind it
                    await taken.enter_async_context(self._places)
            except TimeoutError:
                raise _overloaded(f"no place became free within {self._seconds:g} s") from None
            self.held += 1
            try:
                yield
            finally:
                self.held -= 1

    @asynccontextmanager
    async def _share(self, key: str | None) -> AsyncIterator[None]:
        if key is None:
            yield
            return
        share = self._shares.setdefault(key, asyncio.Semaphore(self._of_key))
        self._users[key] += 1
        try:
            async with share:
                yield
        finally:
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key], self._shares[key]


class Places:
    """Bounded places to work at, to receive uploads at, and a bounded queue; for one event loop."""

    def __init__(self, *, working: int, waiting: int, seconds: float) -> None:
        """Every place is free.

        Args:
            working: Requests at work at once.
            waiting: Requests that wait for a place.
            seconds: Longest wait.
        """
        uploads = half(working)
        self._working = Shared(working, of_key=half(working), seconds=seconds)
        self._uploading = Shared(uploads, of_key=min(_UPLOADS_OF_KEY, half(uploads)), seconds=seconds)
        self._most = working + waiting
        self._by_key: Counter[str] = Counter()
        self._reading = 0
        self._admitted = 0

    @property
    def inside(self) -> int:
        """Requests whose body arrives, that wait, or are at work."""
        return self._reading + self._uploading.held + self._admitted

    @property
    def at_work(self) -> int:
        """Requests that are at work."""
        return self._working.held

    def waiting(self) -> int:
        """Requests that wait for a place."""
        return self._admitted - self.at_work

    @contextmanager
    def of_key(self, key: str | None) -> Iterator[None]:
        """Count a request of a key from its head to its end, whether its body arrives, it waits or works.

        Raises:
            HttpError: 429 where the key has half of what the server takes.
        """
        if key is None:
            yield
            return
        if self._by_key[key] >= half(self._most):
            told = f"more than {half(self._most)} requests at once with this key; wait until one has ended"
            raise HttpError(429, told, code="too_many_requests", retry_after=1)
        self._by_key[key] += 1
        try:
            yield
        finally:
            self._by_key[key] -= 1
            if not self._by_key[key]:
                del self._by_key[key]

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Count a body that arrives, so that bodies do not pile up before the queue.

        Raises:
            HttpError: 503 at once, where too many arrive.
        """
        if self._reading >= self._most:
            raise _overloaded("too many requests arrive at once")
        self._reading += 1
        try:
            yield
        finally:
            self._reading -= 1

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Count a request that is here as a whole, until its end.

        Raises:
            HttpError: 503 at once, where the queue is full.
        """
        if self._admitted >= self._most:
            raise _overloaded("the server is at work on as much as it takes")
        self._admitted += 1
        try:
            yield
        finally:
            self._admitted -= 1

    def taken(self, key: str | None) -> AbstractAsyncContextManager[None]:
        """Have a place to work at; see `Shared.taken`."""
        return self._working.taken(key)

    def uploading(self, key: str | None) -> AbstractAsyncContextManager[None]:
        """Have a place to receive a file at; see `Shared.taken`. Slow senders take no place of work."""
        return self._uploading.taken(key)


def half(count: int) -> int:
    """What one key has of a number of places.

    >>> half(96), half(3), half(1)
    (48, 1, 1)
    """
    return max(1, count // 2)


def _overloaded(why: str) -> HttpError:
    return HttpError(503, f"{why}; try again in a moment", code="overloaded", retry_after=1)
