"""An embedded index's engine, watched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ragwright.retrieval.edge import EdgeIndex


class Watched:
    """Stands before an engine and notes what it is asked.

    Attributes:
        calls: The methods, in order, with what they were given.
    """

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._engine, name)

        def call(*given: Any, **named: Any) -> Any:
            self.calls.append((name, given))
            return found(*given, **named)

        return call


@contextmanager
def watched(index: EdgeIndex) -> Iterator[Watched]:
    """The calls of an index's engine while the block runs."""
    engine, watch = index._shard, Watched(index._shard)
    index._shard = watch
    try:
        yield watch
    finally:
        index._shard = engine
