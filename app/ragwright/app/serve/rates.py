"""How much one key may ask: requests a minute, and answers at once."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ragwright.app.serve.errors import HttpError


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float  # seconds, when it held them


class Rates:
    """Token buckets, one for each key: a minute's requests at once, then as many as time brings.

    For one event loop.
    """

    def __init__(self, *, streams: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Every bucket is full.

        Args:
            streams: Answers of one key at once.
            clock: Seconds that never go back.
        """
        self._streams = streams
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}
        self._answering: Counter[str] = Counter()

    def take(self, key: str, *, per_minute: int) -> dict[str, str]:
        """Count a request.

        Returns:
            Headers that tell what is left, as OpenAI names them.

        Raises:
            HttpError: 429, with the seconds until the next one is let through.
        """
        now = self._clock()
        bucket = self._buckets.setdefault(key, _Bucket(per_minute, now))
        bucket.tokens = min(per_minute, bucket.tokens + (now - bucket.at) * per_minute / 60)
        bucket.at = now
        if bucket.tokens < 1:
            wait = (1 - bucket.tokens) * 60 / per_minute
            raise HttpError(
                429,
                f"more than {per_minute} requests a minute with this key; wait {math.ceil(wait)} s",
                code="rate_limit_exceeded",
                retry_after=math.ceil(wait),
                headers=_told(per_minute, bucket),
            )
        bucket.tokens -= 1
        return _told(per_minute, bucket)

    @contextmanager
    def answering(self, key: str) -> Iterator[None]:
        """Count an answer as long as it is made.

        Raises:
            HttpError: 429 where the key has all its answers going.
        """
        if self._answering[key] >= self._streams:
            raise HttpError(
                429,
                f"more than {self._streams} answers at once with this key; wait until one has ended",
                code="too_many_answers",
                retry_after=1,
            )
        self._answering[key] += 1
        try:
            yield
        finally:
            self._answering[key] -= 1
            if not self._answering[key]:
                del self._answering[key]


def _told(per_minute: int, bucket: _Bucket) -> dict[str, str]:
    full = (per_minute - bucket.tokens) * 60 / per_minute
    return {
        "x-ratelimit-limit-requests": str(per_minute),
        "x-ratelimit-remaining-requests": str(int(bucket.tokens)),
        "x-ratelimit-reset-requests": f"{math.ceil(full)}s",
    }
