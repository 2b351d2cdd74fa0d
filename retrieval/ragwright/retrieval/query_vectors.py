"""The vectors of queries, each encoded once while it is remembered; threads share the encoder's calls."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from ragwright.core.protocols import Encoder
from ragwright.core.types import Vector
from ragwright.retrieval.coalesce import Coalescer

KEPT = 1024
"""Queries that are remembered: 1.5 MB of vectors at 384 dimensions."""


class QueryVectors:
    """Query vectors, the last ones remembered; any number of threads may ask at once.

    Who asks while nothing is encoded does not wait; those who ask meanwhile are encoded together.
    """

    def __init__(self, encoder: Encoder, *, kept: int = KEPT) -> None:
        """Nothing is remembered yet.

        Args:
            encoder: Encodes what is not remembered.
            kept: How many queries are remembered, at least 1; the one that was asked for longest ago is
                forgotten first.
        """
        self._encode: Coalescer[str, Vector] = Coalescer(lambda texts: _rows(encoder, texts))
        self._kept = kept
        self._known: OrderedDict[str, Vector] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, texts: Sequence[str]) -> list[Vector]:
        """The vectors of queries, in their order; those that are not remembered are encoded in one call.

        Returns:
            float32, shape (dim,) each, of unit L2 norm, not to be written to.
        """
        distinct = list(dict.fromkeys(texts))
        with self._lock:
            found = {text: self._known[text] for text in distinct if text in self._known}
        new = [text for text in distinct if text not in found]
        if new:
            found.update(zip(new, self._encode(new), strict=True))
        with self._lock:
            for text in distinct:
                found[text] = self._known.setdefault(text, found[text])  # another thread may have been first
                self._known.move_to_end(text)
            while len(self._known) > self._kept:
                self._known.popitem(last=False)
        return [found[text] for text in texts]


def _rows(encoder: Encoder, texts: Sequence[str]) -> list[Vector]:
    """A vector for each text, the same for equal ones, that does not hold on to its neighbours'."""
    distinct = list(dict.fromkeys(texts))
    rows = {text: np.array(row) for text, row in zip(distinct, encoder.encode_queries(distinct), strict=True)}
    for row in rows.values():
        row.setflags(write=False)
    return [rows[text] for text in texts]
