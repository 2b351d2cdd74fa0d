"""How much of a shard lies in its graph: what tells whether its next `optimize` builds one, which takes long.

The engine says of a shard how many points it has, and how many vectors are indexed: those of words always,
the others once they lie in a graph. Both counts of a graph keep what was deleted from it, or written anew.
"""

from __future__ import annotations

import json
from pathlib import Path

from ragwright.core.errors import IndexDamaged
from ragwright.retrieval import index_settings
from ragwright.retrieval.payload import DENSE

_FLOAT_BYTES = 4
# The engine's own bounds: from so many vectors on, a graph is built anew when this share of it is gone.
_GONE_FROM = 1000
_GONE_SHARE = 0.2


def graphs(folder: Path) -> dict[Path, int]:
    """How many vectors each graph in a shard's folder was built of; after an `optimize` former ones linger.

    Raises:
        IndexDamaged: A file of a graph does not say so.
    """
    found = folder.glob(f"segments/*/vector_index-{DENSE}/hnsw_config.json")
    try:
        return {path: int(json.loads(path.read_bytes())["indexed_vector_count"]) for path in found}
    except (ValueError, KeyError, TypeError) as error:
        raise IndexDamaged(
            f"a graph of the index in {folder} is damaged ({error}); run: ragwright ingest --rebuild"
        ) from error


def graph_is_due(*, points: int, indexed: int, graphed: int, dimension: int) -> bool:
    """Whether an `optimize` would build a graph, or build the present one anew.

    Args:
        points: In the shard.
        indexed: Vectors that the engine calls indexed.
        graphed: Vectors that the present graph was built of.
        dimension: Of a vector.

    >>> graph_is_due(points=30_000, indexed=30_000, graphed=0, dimension=384)
    True
    >>> graph_is_due(points=31_000, indexed=61_000, graphed=30_000, dimension=384)
    False
    """
    beside = indexed - 2 * graphed
    gone = graphed + beside - points
    grown = beside * dimension * _FLOAT_BYTES > index_settings.GRAPH_FROM_KILOBYTES * 1024
    return grown or (graphed >= _GONE_FROM and gone > _GONE_SHARE * graphed)
