"""How both engines search and when they build a graph; each number was measured by `bench/scale.py`.

Functions that make an engine's own values are given the engine's module, so that nothing is imported here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal

from ragwright.core.types import IndexEntry, Scope
from ragwright.retrieval.payload import DENSE, SPARSE, filter_conditions, scope_conditions

Quantization = Literal["none", "int8"]
"""`int8` keeps a copy of one byte per number, which finds candidates; the originals score them."""

# Below this many kilobytes of vectors in a segment (26,000 chunks of 384 dimensions) the engine scans them:
# exact, and in about 2 ms on two cores. A graph answers in less than 1 ms, and building it takes 0.5 ms of a
# core for each chunk. What an ingest adds is scanned beside the graph until it reaches the same size; only
# then does an `optimize` work it in, so that a small update never waits for a large graph.
GRAPH_FROM_KILOBYTES = 40_000

# The graph (Malkov and Yashunin 2018, "Efficient and robust approximate nearest neighbor search using
# hierarchical navigable small world graphs"): neighbours of a node (`m`), candidates looked at when a node is
# added (`ef_construction`), and candidates that a search keeps (`ef`). At 100,000 chunks, on queries far from
# every chunk, 192 find 98.3 % of the ten nearest, and a hybrid query takes 1.6 ms; 320 find 99.9 % in 2.5 ms.
# A denser graph (24, 150) did not find reliably more, and takes 1.4 times as long to build.
GRAPH_NEIGHBOURS, GRAPH_CARE = 16, 100
GRAPH_BREADTH = 192
_GRAPH_FACTS = {"m": GRAPH_NEIGHBOURS, "ef_construct": GRAPH_CARE}
_SCANNED_KILOBYTES = 10_000  # under a filter that leaves fewer, the engine scans; its own default

# Under a filter the walk passes through what the filter excludes (ACORN, Patel et al. 2024), whatever share
# it excludes: without, a filter that kept half of the chunks lost a tenth of the ten nearest.
FILTERED_BREADTH = 64
ACORN_UP_TO = 1.0

# Candidates from the quantised vectors for each result, before the originals decide.
OVERSAMPLING = 2.0

# Share of the numbers that the range of int8 covers; the rest is cut off to its ends.
QUANTILE = 0.99

MOST_FIELDS = 32


def edge_config(engine: Any, dimension: int, quantization: Quantization) -> Any:
    """The configuration of an embedded shard."""
    int8 = engine.ScalarQuantizationConfig(
        engine.ScalarType.Int8, quantile=QUANTILE, memory=engine.Memory.Pinned
    )
    # Unit vectors under the dot product are stored bit by bit as they were encoded, quantised or not.
    dense = engine.EdgeVectorParams(
        size=dimension,
        distance=engine.Distance.Dot,
        quantization_config=int8 if quantization == "int8" else None,
    )
    return engine.EdgeConfig(
        vectors={DENSE: dense},
        sparse_vectors={SPARSE: engine.EdgeSparseVectorParams(modifier=engine.Modifier.Idf)},
        hnsw_config=engine.HnswIndexConfig(**_GRAPH_FACTS, full_scan_threshold=_SCANNED_KILOBYTES),
        optimizers=engine.EdgeOptimizersConfig(
            indexing_threshold=GRAPH_FROM_KILOBYTES, default_segment_number=1
        ),
    )


def is_current(stored: Mapping[str, Any], quantization: Quantization) -> bool:
    """Whether a shard's stored configuration is the one that `edge_config` would make.

    Args:
        stored: What the shard's `edge_config.json` holds.
        quantization: The configured one.
    """
    found = "int8" if stored["vectors"][DENSE].get("quantization_config") else "none"
    graph = stored.get("hnsw_config", {})
    return (
        found == quantization
        and stored["optimizers"]["indexing_threshold"] == GRAPH_FROM_KILOBYTES
        and all(graph.get(name) == value for name, value in _GRAPH_FACTS.items())
    )


def server_graph(models: Any) -> Any:
    """The graph of a server's collection."""
    return models.HnswConfigDiff(**_GRAPH_FACTS, full_scan_threshold=_SCANNED_KILOBYTES)


def server_int8(models: Any) -> Any:
    """The quantisation of a server's collection."""
    scalar = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=QUANTILE, always_ram=True)
    return models.ScalarQuantization(scalar=scalar)


def search_params(engine: Any, *, filtered: bool) -> Any:
    """How vectors are searched; a segment without a graph or quantised vectors passes over that part."""
    acorn = engine.AcornSearchParams(enable=True, max_selectivity=ACORN_UP_TO)
    return engine.SearchParams(
        hnsw_ef=FILTERED_BREADTH if filtered else GRAPH_BREADTH,
        acorn=acorn if filtered else None,
        quantization=engine.QuantizationSearchParams(rescore=True, oversampling=OVERSAMPLING),
    )


def scoped_filter(engine: Any, scope: Scope, filters: Mapping[str, str]) -> Any:
    """What every result of a query must fulfil: the scope, and beside it the filters; None: nothing.

    Each is a condition of its own, so that no filter can undo the scope. This is the one place where the
    engines' filters are made.

    Raises:
        ValueError: The scope is empty; see `scope_conditions`.
        InputError: A filter cannot be asked for; see `filter_conditions`.
    """
    allowed = [(key, engine.MatchAny(any=values)) for key, values in scope_conditions(scope)]
    wanted = [(key, engine.MatchValue(value=value)) for key, value in filter_conditions(filters)]
    conditions = [engine.FieldCondition(key=key, match=match) for key, match in (*allowed, *wanted)]
    # Filter(must=[]) would match everything as well, but say so by accident.
    return engine.Filter(must=conditions) if conditions else None


class MetadataFields:
    """The metadata fields that have a payload index.

    A filter on a field without one reads the payload of every chunk: 300 ms at 100,000 chunks against 0.1 ms.
    """

    def __init__(self, indexed: Collection[str]) -> None:
        """Begin with what an index has.

        Args:
            indexed: Payload paths that are indexed, with or without the quotes that `metadata_path` sets.
        """
        self._known = {path.replace('"', "") for path in indexed if path.startswith("metadata.")}

    def unseen(self, entries: Iterable[IndexEntry]) -> list[str]:
        """Paths of the fields that have no index yet, in the order seen; from now on they count as indexed.

        Only the first `MOST_FIELDS` fields get one, since files may bring any number of them.
        """
        paths = []
        for name in dict.fromkeys(name for entry in entries for name in entry.metadata):
            path = metadata_path(name)
            if path is None or path.replace('"', "") in self._known or len(self._known) >= MOST_FIELDS:
                continue
            self._known.add(path.replace('"', ""))
            paths.append(path)
        return paths


def metadata_path(name: str) -> str | None:
    """Where the payload holds a metadata field; None for a name that no path can say."""
    # Quoted: without, a dot would mean a field within a field, and a space would be no path at all.
    return None if '"' in name or "\\" in name else f'metadata."{name}"'
