"""The index at scale: latency, recall, memory and build time at 10,000 and 100,000 chunks, or at 1,000,000.

    python bench/scale.py [--million] [--keep FOLDER]

Chunks are made up, see `bench/synthetic.py`, and go through this project's embedded index. NumPy's exact
search takes turns with it; the client's own engine, `QdrantClient(path=)`, is asked the same at 2,000. With
`--keep` the indexes of `measure` stay in a folder, and a later run that is given it builds none: a million
take half an hour to build, and two minutes to ask.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rows import Bench
from searches import (
    ALWAYS,
    CANDIDATES,
    FEW,
    NEVER,
    Asked,
    Searches,
    disk,
    graph_from,
    resident,
    write,
)
from stopwatch import seconds
from synthetic import DIMENSION, FILTERS, AskedQuery, World, chunk_id, kept, nearest

from ragwright.core.protocols import ChunkIndex
from ragwright.core.types import OWNER, Vector, Vectors
from ragwright.retrieval import index_settings
from ragwright.retrieval.edge import EdgeIndex
from ragwright.retrieval.server import ServerIndex
from ragwright.retrieval.terms import Terms

BREAK_EVEN = (10_000, 20_000, 50_000)


def numpy_exact(vectors: Vectors, query: Vector) -> NDArray[np.int64]:
    """The best candidates by a product with every vector, best first."""
    products = vectors @ query
    best = np.argpartition(-products, CANDIDATES)[:CANDIDATES]
    return best[np.argsort(-products[best])]


def measure(bench: Bench, world: World, chunks: int, keep: Path | None) -> Asked:
    """One size, with its rows; the hybrid queries come back."""
    size, vectors = f"{chunks:,} chunks", world.vectors(0, chunks)
    searches = Searches.of(world, vectors)
    truth = nearest(vectors, np.arange(chunks), searches.queries)
    with tempfile.TemporaryDirectory() as name:
        folder = (keep or Path(name)) / f"index-{chunks}"
        if not folder.is_dir():
            _build(bench, world, chunks, folder)
        bench.add(f"disk, {size}", disk(folder), "MB")
        before = resident()
        bench.add(f"opening, {size}", seconds(partial(_open_and_close, folder)), "s")
        index = EdgeIndex.open(folder, terms=searches.terms)
        dense, hybrid = searches.dense(index), searches.hybrid(index)
        bench.add(f"memory of the process beside mapped files, {size}", resident() - before, "MB")
        dense.add(bench, f"dense, {size}", truth)
        hybrid.add(bench, f"hybrid, {size}", bar="<= 2" if chunks == 100_000 else "")
        within, around = searches.whole(index)
        what = f"in the engine, hybrid search with ten chunks read, {size}, p50"
        bench.add(what, float(np.median(within)), "ms")
        what = f"in the framework around the engine, hybrid, {size}, p50"
        bench.add(what, float(np.median(around)), "ms", bar="<= 1")
        _filtered(bench, index, searches, vectors)
        against_numpy(bench, index, searches, vectors)
        index.close()
    return hybrid


def _build(bench: Bench, world: World, chunks: int, folder: Path) -> None:
    """An index in its folder, which appears there when it is whole."""
    size, unfinished = f"{chunks:,} chunks", folder.with_name(f"{folder.name}-unfinished")
    index = EdgeIndex.create(unfinished, dimension=DIMENSION, terms=Terms("en"))
    bench.add(f"upserts, {size}", chunks / write(index, world, 0, chunks), "chunks/s")
    bench.add(f"optimize, {size}", seconds(index.optimize), "s")
    index.close()
    unfinished.rename(folder)


def _filtered(bench: Bench, index: EdgeIndex, searches: Searches, vectors: Vectors) -> None:
    for name, filters in FILTERS.items():
        truth = nearest(vectors, kept(len(vectors), name), searches.queries)
        size = f"{len(vectors):,} chunks"
        searches.dense(index, filters).add(bench, f"dense under a filter {name}, {size}", truth)
        searches.hybrid(index, filters).add(bench, f"hybrid under a filter {name}, {size}")


def against_numpy(bench: Bench, index: EdgeIndex, searches: Searches, vectors: Vectors) -> None:
    """Ratios of NumPy's exact search, taken in turns with the index."""
    ratios = []
    for query in searches.queries[:FEW]:
        exact = seconds(partial(numpy_exact, vectors, query.vector))
        ours = seconds(partial(index.search, query.vector, None, limit=CANDIDATES, scope=OWNER, filters={}))
        ratios.append(exact / ours)
    bench.add(f"dense query, NumPy exact over ours, {len(vectors):,} chunks", ratios, "x")


def against_client(bench: Bench, world: World, chunks: int) -> None:
    """Ratios of the client's own engine, taken in turns; what it finds is exact.

    On disk it commits point by point, so that only its first batch is timed there; it searches in memory
    either way, and is asked there.
    """
    from qdrant_client import QdrantClient

    searches = Searches.of(world, world.vectors(0, chunks))
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings(), graph_from(NEVER):
        warnings.simplefilter("ignore")  # it warns of its own slowness, and of payload indexes it lacks
        index = EdgeIndex.create(Path(name) / "index", dimension=DIMENSION, terms=searches.terms)
        disk, memory = QdrantClient(path=f"{name}/client"), QdrantClient(":memory:")
        slow, peer = (
            ServerIndex.create(client, "scale", dimension=DIMENSION, terms=searches.terms)
            for client in (disk, memory)
        )
        first, *rest = world.batches(0, chunks)
        ratio = seconds(partial(slow.upsert, first)) / seconds(partial(index.upsert, first))
        bench.add(f"upserts, QdrantClient(path=) over ours, {len(first)} chunks", ratio, "x")
        peer.upsert(first)
        for part in rest:
            index.upsert(part)
            peer.upsert(part)
        ratios = [_both(peer, query, words) / _both(index, query, words) for query, words in searches.some()]
        bench.add(f"hybrid query, the client's own engine over ours, {chunks:,} chunks", ratios, "x")
        index.close()
        disk.close()


def _both(index: ChunkIndex, query: AskedQuery, words: Mapping[int, float]) -> float:
    return seconds(partial(index.search, query.vector, words, limit=CANDIDATES, scope=OWNER, filters={}))


def break_even(bench: Bench, world: World, chunks: int) -> None:
    """A scan against a graph over the same chunks."""
    searches = Searches.of(world, world.vectors(0, chunks))
    size = f"{chunks:,} chunks"
    with tempfile.TemporaryDirectory() as name, graph_from(NEVER):
        index = EdgeIndex.create(Path(name) / "index", dimension=DIMENSION, terms=searches.terms)
        write(index, world, 0, chunks)
        scan = searches.dense(index).p50
        with graph_from(ALWAYS):
            built = seconds(index.optimize)
        graph = searches.dense(index).p50
        index.close()
    bench.add(f"dense query, scan over graph, {size}", scan / graph, "x", note=f"scan {scan:.2f} ms")
    bench.add(f"building the graph, {size}", built * 1000 / chunks, "ms per chunk")


def update(bench: Bench, world: World, chunks: int) -> None:
    """What 1 % of changed chunks cost an index with a graph, and what working in a large remainder costs."""
    searches, share = Searches.of(world, world.vectors(0, chunks)), chunks // 100
    with tempfile.TemporaryDirectory() as name:
        index = EdgeIndex.create(Path(name) / "index", dimension=DIMENSION, terms=searches.terms)
        write(index, world, 0, chunks)
        first = seconds(index.optimize)
        before = searches.dense(index).p50
        index.delete([chunk_id(number) for number in range(share)])
        written = write(index, world, chunks, chunks + share)
        bench.add(f"1 % replaced in {chunks:,} chunks: upserts", written, "s")
        bench.add("1 % replaced: optimize over that of a first ingest", seconds(index.optimize) / first, "x")
        bench.add("1 % replaced: dense query p50 over before", searches.dense(index).p50 / before, "x")
        vectors = world.vectors(0, chunks + share)
        truth = nearest(vectors, np.arange(share, len(vectors)), searches.queries)
        searches.dense(index).add(bench, "1 % replaced: dense", truth)
        large = index_settings.GRAPH_FROM_KILOBYTES * 1024 // (4 * DIMENSION)
        write(index, world, chunks + share, chunks + share + large)
        note = f"{large:,} chunks came together since the graph was built"
        bench.add(
            "remainder worked into the graph, over a first ingest",
            seconds(index.optimize) / first,
            "x",
            note=note,
        )
        index.close()


def _open_and_close(folder: Path) -> None:
    EdgeIndex.open(folder, terms=Terms("en")).close()


def main() -> None:
    """Run and write `bench/results/scale.json`, or `scale-million.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--million", action="store_true", help="measure 10,000 and 1,000,000 chunks")
    parser.add_argument("--keep", type=Path, help="folder for the indexes; those in it are not built anew")
    given = parser.parse_args()
    world = World()
    if given.million:
        bench = Bench("scale-million", "python bench/scale.py --million")
        small, large = (measure(bench, world, chunks, given.keep) for chunks in (10_000, 1_000_000))
        bench.add("hybrid query p50, 1,000,000 chunks over 10,000", large.p50 / small.p50, "x", bar="<= 4")
        bench.write()
        return
    bench = Bench("scale", "python bench/scale.py")
    for chunks in BREAK_EVEN:
        break_even(bench, world, chunks)
    small, large = (measure(bench, world, chunks, given.keep) for chunks in (10_000, 100_000))
    bench.add("hybrid query p50, 100,000 chunks over 10,000", large.p50 / small.p50, "x", bar="<= 4")
    against_client(bench, world, 2_000)
    update(bench, world, 100_000)
    bench.write()


if __name__ == "__main__":
    main()
