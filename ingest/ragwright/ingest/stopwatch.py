"""How long each stage of an ingest worked, and how long the encoder had nothing to do."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Adds up seconds by stage; any number of threads may use it."""

    def __init__(self, seconds: dict[str, float]) -> None:
        """`seconds` is added to."""
        self._seconds = seconds
        self._lock = threading.Lock()
        self._encoding = 0  # threads that encode now
        self._changed = time.perf_counter()  # when the encoder last began or ended
        self._gap = "encode_start"

    def add(self, stage: str, seconds: float) -> None:
        """Count time that a stage worked."""
        with self._lock:
            self._add(stage, seconds)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Count the time inside the block."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - started)

    @contextmanager
    def encoding(self) -> Iterator[None]:
        """Count the time inside the block as `encode`, once where blocks of several threads overlap.

        The time between blocks counts as `encode_wait`, that before the first one as `encode_start`.
        """
        with self._lock:
            if self._encoding == 0:
                self._turn(self._gap)
                self._gap = "encode_wait"
                self._add(self._gap, 0.0)  # named even if it never waits
            self._encoding += 1
        try:
            yield
        finally:
            with self._lock:
                self._encoding -= 1
                if self._encoding == 0:
                    self._turn("encode")

    def _turn(self, stage: str) -> None:
        now = time.perf_counter()
        self._add(stage, now - self._changed)
        self._changed = now

    def _add(self, stage: str, seconds: float) -> None:
        self._seconds[stage] = self._seconds.get(stage, 0.0) + seconds
