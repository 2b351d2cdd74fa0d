"""Routing: each query goes to the expert whose pilot questions it is nearest to, by one small product.

Nothing is trained for the choice (Lee et al. 2024, "RouterRetriever", arXiv:2409.02685): an expert is known
by centroids of questions of its domain, and a query that is like none of them stays with the encoder itself.
All experts ask the same index, so adding and removing one moves no vector.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from ragwright.core.errors import InputError, ModelError
from ragwright.core.protocols import Encoder
from ragwright.core.query_adapter import QueryAdapter, read_query_adapter
from ragwright.core.routing_table import BASE, Expert, RoutingTable, read_routing_table
from ragwright.core.types import Vectors
from ragwright.retrieval.adapted_queries import AdaptedQueries, AdaptedQuery, QueryEncoder
from ragwright.retrieval.query_vectors import QueryVectors

_log = logging.getLogger(__name__)


class QueryExpert(Protocol):
    """Gives queries vectors in the space of an index."""

    def vectors(self, texts: Sequence[str], base: Vectors) -> Vectors:
        """Vectors of queries, in their order.

        Args:
            texts: The queries.
            base: What the index's own encoder gives for them, float32, shape (n, dim).

        Returns:
            float32, shape (n, dim), rows of unit L2 norm.
        """
        ...


class AdapterExpert:
    """An expert that moves the encoder's own vectors."""

    def __init__(self, adapter: QueryAdapter) -> None:
        self._adapter = adapter

    def vectors(self, texts: Sequence[str], base: Vectors) -> Vectors:
        """See `QueryExpert.vectors`."""
        return self._adapter.moved(base)


class EncoderExpert:
    """An expert that encodes queries itself, such as a low-rank adaptation of the encoder."""

    def __init__(self, encoder: Encoder) -> None:
        self._queries = QueryVectors(encoder)

    def vectors(self, texts: Sequence[str], base: Vectors) -> Vectors:
        """See `QueryExpert.vectors`."""
        return np.stack(self._queries.of(texts))


OpenEncoder = Callable[[Path], Encoder]
"""Opens the encoder of a tuned model's folder."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Who is to encode a query.

    Attributes:
        expert: Its name; `base` for the encoder itself.
        likeness: Cosine of the query and the expert's nearest centroid; for the base that of the nearest
            expert, which was too far.
    """

    expert: str
    likeness: float


@dataclass(frozen=True, slots=True, eq=False)
class Experts:
    """The experts of a table, opened: a query sees one such set from beginning to end.

    Attributes:
        table: Who they are.
        opened: By name.
    """

    table: RoutingTable
    opened: Mapping[str, QueryExpert] = field(default_factory=dict)

    def choose(self, vectors: Vectors) -> list[Choice]:
        """The nearest expert of each query, in their order.

        Args:
            vectors: The encoder's own, float32, shape (n, dim), rows of unit L2 norm.
        """
        experts = self.table.experts
        if not experts:
            return [Choice(BASE, 0.0)] * len(vectors)
        likeness = np.stack([(vectors @ each.centroids.T).max(axis=1) for each in experts])  # (experts, n)
        floors = np.array([each.floor for each in experts])[:, None]
        best = np.where(likeness >= floors, likeness, -np.inf).argmax(axis=0)
        choices = []
        for column, row in enumerate(best):
            value = float(likeness[row, column])
            if value >= experts[row].floor:
                choices.append(Choice(experts[row].name, value))
            else:
                choices.append(Choice(BASE, float(likeness[:, column].max())))
        return choices

    def forced(self, vectors: Vectors, name: str) -> list[Choice]:
        """One expert for all of the queries.

        Raises:
            InputError: There is none of this name.
        """
        if name == BASE:
            return [Choice(BASE, 1.0)] * len(vectors)
        for each in self.table.experts:
            if each.name == name:
                return [Choice(name, float(value)) for value in (vectors @ each.centroids.T).max(axis=1)]
        known = ", ".join((*self.table.names, BASE))
        raise InputError(f'search.expert is "{name}", and there is no such expert; there are: {known}')

    def vectors(self, texts: Sequence[str], base: Vectors, choices: Sequence[Choice]) -> Vectors:
        """The vectors that the chosen experts give, shape (n, dim); each expert is asked once."""
        adapted = base.copy()
        for name in {each.expert for each in choices} - {BASE}:
            rows = [row for row, each in enumerate(choices) if each.expert == name]
            adapted[rows] = self.opened[name].vectors([texts[row] for row in rows], base[rows])
        return adapted


class Router:
    """An adaptation that follows a routing table: what is added to the file or removed counts at once.

    A query that runs keeps the experts it began with.
    """

    def __init__(self, path: Path, encoder: QueryEncoder, *, open_encoder: OpenEncoder) -> None:
        """Read the table and open its experts.

        Args:
            path: The table.
            encoder: Of the index.
            open_encoder: Opens experts that encode queries themselves.

        Raises:
            ModelError: The table or an expert cannot be read, or was made for another encoder.
        """
        self._path, self._open_encoder = path, open_encoder
        self._fingerprint, self._dimension = encoder.fingerprint, encoder.dimension
        self._lock = threading.Lock()
        self._seen = _state(path)
        self.experts = self._opened(Experts(RoutingTable("", encoder.fingerprint)))

    def adapt(self, texts: Sequence[str], vectors: Vectors, *, expert: str | None) -> list[AdaptedQuery]:
        """See `Adaptation.adapt`."""
        experts = self._current()
        choices = experts.choose(vectors) if expert is None else experts.forced(vectors, expert)
        adapted = experts.vectors(texts, vectors, choices)
        return [
            AdaptedQuery(row, {f"expert_{each.expert}": each.likeness})
            for row, each in zip(adapted, choices, strict=True)
        ]

    def _current(self) -> Experts:
        """The experts of the file as it is now; asking the file system costs microseconds."""
        if _state(self._path) != self._seen:
            with self._lock:
                if (now := _state(self._path)) != self._seen:
                    self._seen = now
                    self._reopen()
        return self.experts

    def _reopen(self) -> None:
        """Take a changed table over; one that cannot be read changes nothing, since queries go on."""
        try:
            self.experts = self._opened(self.experts)
        except ModelError as error:
            _log.warning("the experts stay as they were: %s", error)

    def _opened(self, former: Experts) -> Experts:
        table = read_routing_table(self._path)
        if table.base_fingerprint != self._fingerprint:
            raise ModelError(
                f"the routing table {self._path} was made for the encoder {table.base} "
                f"({table.base_fingerprint}), and the encoder here is {self._fingerprint}; make one for it,"
                " or unset encoder.router"
            )
        known = {each.name: each for each in former.table.experts}
        opened = {}
        for each in table.experts:
            before = known.get(each.name)
            same = before is not None and (before.kind, before.folder) == (each.kind, each.folder)
            opened[each.name] = former.opened[each.name] if same else self._open(each)
        return Experts(table, opened)

    def _open(self, expert: Expert) -> QueryExpert:
        if expert.centroids.shape[1] != self._dimension:
            raise ModelError(
                f"the centroids of the expert {expert.name} have {expert.centroids.shape[1]} dimensions, and "
                f"the encoder gives {self._dimension}; remove the expert and add it again"
            )
        folder = self._path.parent / expert.folder
        if expert.kind == "adapter":
            adapter = read_query_adapter(folder, setting=f"the expert {expert.name}")
            adapter.check_base(self._fingerprint, name=str(folder))
            return AdapterExpert(adapter)
        encoder = self._open_encoder(folder)
        if encoder.dimension != self._dimension:
            raise ModelError(
                f"the expert {expert.name} gives vectors of {encoder.dimension}, and the index has vectors "
                f"of {self._dimension}; train it on the encoder of the index"
            )
        return EncoderExpert(encoder)


def open_router(path: Path, encoder: QueryEncoder, *, open_encoder: OpenEncoder) -> AdaptedQueries:
    """An encoder whose queries are routed; see `Router` for the arguments and errors."""
    return AdaptedQueries(encoder, Router(path, encoder, open_encoder=open_encoder))


def _state(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is replaced; None where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - at every query: half the time of Path.stat
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
