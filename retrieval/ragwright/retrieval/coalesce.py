"""Concurrent calls joined to one: a model computes one large batch faster than many small ones."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ragwright.core.protocols import Reranker
from ragwright.core.types import Chunk

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(slots=True, eq=False)
class _Call(Generic[In, Out]):
    """One caller's items, and what became of them."""

    items: list[In]
    size: int
    results: list[Out] | None = None
    error: BaseException | None = None
    leads: bool = False
    gone: bool = False
    woken: threading.Event = field(default_factory=threading.Event)

    @property
    def served(self) -> bool:
        return self.results is not None or self.error is not None

    def outcome(self) -> list[Out]:
        """The results; raises the call's own error."""
        if self.error is not None:
            raise self.error
        return self.results or []


class Coalescer(Generic[In, Out]):
    """Gives a function of a list to many threads, and calls it for all that wait at once.

    Who comes while nothing runs is served without waiting. Who comes while a call runs waits for it, and one
    of those then calls for all of them; there is no thread of its own and no clock, so that joining costs
    nothing when nobody else is there.
    """

    def __init__(
        self,
        call: Callable[[list[In]], Sequence[Out]],
        *,
        limit: int = 64,
        size: Callable[[In], int] = lambda item: 1,
    ) -> None:
        """Wrap a function.

        Args:
            call: Takes items and gives one result for each, in their order; it is never run by two threads
                at once. What it gives for an item must not depend on the other items.
            limit: Calls are joined up to so large a sum; a larger one goes alone.
            size: What an item adds to that sum.
        """
        self._call = call
        self._limit = limit
        self._size = size
        self._lock = threading.Lock()
        self._busy = False
        self._waiting: deque[_Call[In, Out]] = deque()

    def __call__(self, items: Sequence[In]) -> list[Out]:
        """The results of the items, in their order.

        Raises:
            Exception: Whatever the function raises for these items; an error that other callers' items cause
                is raised to them alone.
        """
        if not items:
            return []
        mine: _Call[In, Out] = _Call(list(items), sum(map(self._size, items)))
        with self._lock:
            if self._busy:
                self._waiting.append(mine)
            else:
                self._busy = mine.leads = True
        if not mine.leads:
            self._wait(mine)
        if mine.leads:
            self._lead(mine)
        return mine.outcome()

    def _wait(self, mine: _Call[In, Out]) -> None:
        """Wait until the call is served or leads; who is interrupted leaves the line as it was."""
        try:
            mine.woken.wait()
        except BaseException:
            with self._lock:
                mine.gone = True
                led = mine.leads
            if led:
                self._pass_on([])
            raise

    def _lead(self, mine: _Call[In, Out]) -> None:
        """Serve this call and those that wait, then let the first of those that came meanwhile lead."""
        others = self._joined(mine.size)
        try:
            self._serve([mine, *others])
        finally:  # after an interrupt too, else everyone would wait for ever
            self._pass_on([other for other in others if not other.served])
            for other in others:
                if other.served:
                    other.woken.set()

    def _joined(self, size: int) -> list[_Call[In, Out]]:
        """Those who have waited longest, as many as the limit allows."""
        others: list[_Call[In, Out]] = []
        with self._lock:
            while self._waiting and size + self._waiting[0].size <= self._limit:
                first = self._waiting.popleft()
                if not first.gone:
                    others.append(first)
                    size += first.size
        return others

    def _pass_on(self, unserved: Sequence[_Call[In, Out]]) -> None:
        with self._lock:
            self._waiting = deque(each for each in (*unserved, *self._waiting) if not each.gone)
            self._busy = bool(self._waiting)
            if self._busy:
                first = self._waiting.popleft()
                first.leads = True
                first.woken.set()

    def _serve(self, calls: Sequence[_Call[In, Out]]) -> None:
        if len(calls) > 1 and self._serve_together(calls):
            return
        for each in calls:
            self._serve_alone(each)

    def _serve_together(self, calls: Sequence[_Call[In, Out]]) -> bool:
        """Whether one call of the function served all; if not, nobody is served."""
        try:
            results = list(self._call([item for each in calls for item in each.items]))
        except Exception:  # noqa: BLE001 - found out and raised in the thread whose items caused it
            return False
        if len(results) != sum(len(each.items) for each in calls):
            return False
        start = 0
        for each in calls:
            each.results = results[start : start + len(each.items)]
            start += len(each.items)
        return True

    def _serve_alone(self, call: _Call[In, Out]) -> None:
        try:
            results = list(self._call(call.items))
            if len(results) != len(call.items):
                raise ValueError(f"{len(results)} results for {len(call.items)} items")
            call.results = results
        except Exception as error:  # noqa: BLE001 - raised again in the caller's thread
            call.error = error


class JoinedReranker:
    """A reranker whose concurrent calls are joined, so that their pairs share batches."""

    def __init__(self, reranker: Reranker, *, limit: int = 1024) -> None:
        """Wrap a reranker.

        Args:
            reranker: What scores.
            limit: Calls are joined up to so many pairs of a query and a candidate.
        """

        def call(items: list[tuple[str, Sequence[Chunk]]]) -> list[NDArray[np.float32]]:
            return reranker.rerank([query for query, _ in items], [chunks for _, chunks in items])

        self._joined: Coalescer[tuple[str, Sequence[Chunk]], NDArray[np.float32]] = Coalescer(
            call, limit=limit, size=lambda item: len(item[1])
        )

    def rerank(
        self, queries: Sequence[str], candidates: Sequence[Sequence[Chunk]]
    ) -> list[NDArray[np.float32]]:
        """See `Reranker.rerank`."""
        return self._joined(list(zip(queries, candidates, strict=True)))
