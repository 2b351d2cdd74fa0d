"""The same queries, asked of an index in every way, with a stop watch; for `scale.py` and `quantised.py`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rows import Bench
from stopwatch import seconds
from synthetic import DIMENSION, AskedQuery, World

from ragwright.core.protocols import Scored
from ragwright.core.types import OWNER, Encoding, Passage, Vectors
from ragwright.retrieval import index_settings
from ragwright.retrieval.edge import EdgeIndex
from ragwright.retrieval.search import HybridRetriever, SearchOptions
from ragwright.retrieval.terms import Terms

CANDIDATES = 50
QUERIES = 200
FEW = 20  # queries, where one takes long
ALWAYS, NEVER = 1, 10**9  # kilobytes from which a graph is built
EVERYTHING: Mapping[str, str] = {}


class Asked:
    """What one kind of query took and found."""

    def __init__(self, asks: Iterable[Callable[[], tuple[list[Scored], list[Scored]]]]) -> None:
        self.milliseconds: list[float] = []
        self.found: list[list[str]] = []
        for ask in asks:
            started = time.perf_counter()
            dense, _ = ask()
            self.milliseconds.append((time.perf_counter() - started) * 1000)
            self.found.append([hit.id for hit in dense[:10]])

    @property
    def p50(self) -> float:
        """Median in milliseconds."""
        return float(np.median(self.milliseconds))

    def recall(self, truth: Sequence[set[str]]) -> float:
        """Share of the ten nearest that were found."""
        return float(np.mean([len(set(a) & b) / len(b) for a, b in zip(self.found, truth, strict=True)]))

    def add(self, bench: Bench, what: str, truth: Sequence[set[str]] = (), *, bar: str = "") -> None:
        """Add rows: p50, p95, and recall at ten where the truth is given."""
        bench.add(f"{what}, p50", self.p50, "ms", bar=bar)
        bench.add(f"{what}, p95", float(np.quantile(self.milliseconds, 0.95)), "ms")
        if truth:
            bench.add(f"{what}, recall of the exact ten nearest", self.recall(truth), "", bar=">= 0.99")


class StubEncoder:
    """Gives each query's vector at once, so that only the framework and the index are timed."""

    fingerprint, dimension, call_tokens = "stub", DIMENSION, 1024
    max_tokens, special_tokens = 256, 2

    def __init__(self, queries: Sequence[AskedQuery]) -> None:
        self._vectors = {query.text: query.vector for query in queries}
        self.tokenizer = self

    def load(self) -> None:
        """Nothing is to be loaded."""

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """The vectors that belong to these texts."""
        return np.stack([self._vectors[text] for text in texts])

    def encode_passages(self, passages: Sequence[Passage]) -> list[Encoding]:
        """Nothing: no passage is encoded here."""
        return []

    def starts(self, text: str) -> NDArray[np.int64]:
        """Where words begin."""
        return np.arange(len(text.split()))


@contextmanager
def graph_from(kilobytes: int) -> Iterator[None]:
    """Let indexes build a graph from this size on, whatever the setting."""
    former = index_settings.GRAPH_FROM_KILOBYTES
    index_settings.GRAPH_FROM_KILOBYTES = kilobytes
    try:
        yield
    finally:
        index_settings.GRAPH_FROM_KILOBYTES = former


def write(index: EdgeIndex, world: World, start: int, stop: int) -> float:
    """Upsert chunks; what comes back is the time within the index, in seconds."""
    return sum(seconds(partial(index.upsert, part)) for part in world.batches(start, stop))


class Searches:
    """The same queries, asked in every way."""

    def __init__(self, queries: Sequence[AskedQuery], terms: Terms) -> None:
        self.terms, self.queries = terms, queries
        self.words = [terms.of_query(query.text) for query in queries]

    @classmethod
    def of(cls, world: World, vectors: Vectors) -> Searches:
        """Queries about the first chunks of a world, whose vectors these are."""
        return cls(world.queries(vectors, QUERIES), Terms("en"))

    def some(self) -> Sequence[tuple[AskedQuery, Mapping[int, float]]]:
        """A few queries with their words."""
        return list(zip(self.queries, self.words, strict=True))[:FEW]

    def dense(self, index: EdgeIndex, filters: Mapping[str, str] = EVERYTHING) -> Asked:
        """The dense half alone, after a few queries that are not counted."""
        asks = [
            partial(index.search, query.vector, None, limit=CANDIDATES, scope=OWNER, filters=filters)
            for query in self.queries
        ]
        Asked(asks[:FEW])
        return Asked(asks)

    def hybrid(self, index: EdgeIndex, filters: Mapping[str, str] = EVERYTHING) -> Asked:
        """Both halves in one call of the engine, after a few that are not counted."""
        asks = [
            partial(index.search, query.vector, words, limit=CANDIDATES, scope=OWNER, filters=filters)
            for query, words in zip(self.queries, self.words, strict=True)
        ]
        Asked(asks[:FEW])
        return Asked(asks)

    def whole(self, index: EdgeIndex) -> tuple[list[float], list[float]]:
        """Searches with fusion, fetching and evidence, the vector given, as `split` tells them."""
        search = HybridRetriever(
            StubEncoder(self.queries), index, self.terms, scope=OWNER, options=SearchOptions()
        ).search
        asks = [partial(search, query.text) for query in self.queries]
        split(index, asks[:FEW])
        return split(index, asks)


class EngineWatch:
    """Stands before an embedded index's engine and measures the time within its calls.

    Attributes:
        milliseconds: Within the engine since `restart`.
    """

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.milliseconds = 0.0

    def restart(self) -> None:
        """Begin again at 0."""
        self.milliseconds = 0.0

    def __getattr__(self, name: str) -> Any:
        return partial(self._timed, getattr(self._engine, name))

    def _timed(self, call: Callable[..., Any], *given: Any) -> Any:
        started = time.perf_counter()
        try:
            return call(*given)
        finally:
            self.milliseconds += (time.perf_counter() - started) * 1000


def split(index: EdgeIndex, asks: Iterable[Callable[[], object]]) -> tuple[list[float], list[float]]:
    """Milliseconds of searches: in the engine (finding and reading chunks), and in everything around it."""
    engine, watch = index._shard, EngineWatch(index._shard)
    index._shard = watch
    within, around = [], []
    try:
        for ask in asks:
            watch.restart()
            started = time.perf_counter()
            ask()
            within.append(watch.milliseconds)
            around.append((time.perf_counter() - started) * 1000 - watch.milliseconds)
    finally:
        index._shard = engine
    return within, around


def disk(folder: Path) -> float:
    """Megabytes that the files of a folder take."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file()) / 1e6


def resident() -> float:
    """Megabytes of this process that no file backs."""
    (line,) = [each for each in Path("/proc/self/status").read_text().splitlines() if "RssAnon" in each]
    return int(line.split()[1]) / 1000
