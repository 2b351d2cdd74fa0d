"""What searching by int8 copies costs in recall, and gains in time: `index.quantization`.

    python bench/quantised.py

Once on made-up chunks, see `bench/synthetic.py`, and once on the default model's vectors: every chunk and
every sentence of the five corpora, asked their 472 questions. Both answer from a graph, and take turns.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from corpora import chroma, indexed
from rows import DATA, Bench
from searches import ALWAYS, Searches, disk, graph_from, resident, write
from stopwatch import seconds
from synthetic import BATCH, DIMENSION, AskedQuery, World, chunk_id, nearest

from ragwright.core.types import Chunk, Encoding, IndexEntry, Span, Vectors
from ragwright.retrieval.edge import EdgeIndex
from ragwright.retrieval.index_settings import Quantization
from ragwright.retrieval.terms import Terms

CHUNKS = 100_000
SETTINGS: tuple[Quantization, ...] = ("none", "int8")
ROUNDS = 3


def made_up(bench: Bench, world: World) -> None:
    """The same chunks under both settings."""
    vectors = world.vectors(0, CHUNKS)
    searches = Searches.of(world, vectors)
    with tempfile.TemporaryDirectory() as name:
        indexes = []
        for setting in SETTINGS:
            folder, before = Path(name) / setting, resident()
            index = EdgeIndex.create(folder, dimension=DIMENSION, terms=searches.terms, quantization=setting)
            write(index, world, 0, CHUNKS)
            bench.add(f"optimize, {setting}, {CHUNKS:,} made-up chunks", seconds(index.optimize), "s")
            bench.add(f"disk, {setting}, {CHUNKS:,} made-up chunks", disk(folder), "MB")
            bench.add(f"memory beside mapped files, {setting}", resident() - before, "MB")
            indexes.append(index)
        compare(bench, indexes, searches, nearest(vectors, np.arange(CHUNKS), searches.queries), "made-up")
        for index in indexes:
            index.close()


def real(bench: Bench) -> None:
    """The default model's vectors of the five corpora, chunks and sentences alike."""
    documents, questions = chroma()
    with indexed(documents) as (encoder, index, terms):
        ids = [stored.chunk.id for batch in index.scan() for stored in batch]
        encodings = index.encodings(ids)
        vectors = np.concatenate([np.vstack([each.vector, each.sentences]) for each in encodings.values()])
        asked = encoder.encode_queries([question.text for question in questions])
    queries = [AskedQuery(vector, question.text) for vector, question in zip(asked, questions, strict=True)]
    with tempfile.TemporaryDirectory() as name, graph_from(ALWAYS):
        indexes = [_index(Path(name) / setting, vectors, terms, setting) for setting in SETTINGS]
        searches = Searches(queries, terms)
        truth = nearest(vectors, np.arange(len(vectors)), queries)
        compare(bench, indexes, searches, truth, f"{len(vectors):,} MiniLM")
        for index in indexes:
            index.close()


def compare(
    bench: Bench, indexes: Sequence[EdgeIndex], searches: Searches, truth: Sequence[set[str]], kind: str
) -> None:
    """Rows of both settings, taken in turns."""
    ratios = []
    for _ in range(ROUNDS):
        plain, quantised = (searches.dense(index) for index in indexes)
        ratios.append(plain.p50 / quantised.p50)
    for setting, asked in zip(SETTINGS, (plain, quantised), strict=True):
        asked.add(bench, f"dense, {setting}, {kind} vectors", truth)
    lost = 100 * (plain.recall(truth) - quantised.recall(truth))
    bench.add(f"points of recall at ten lost to int8, {kind} vectors", lost, "points", bar="<= 0.5")
    bench.add(f"dense query p50, none over int8, {kind} vectors", ratios, "x")


def _index(folder: Path, vectors: Vectors, terms: Terms, setting: Quantization) -> EdgeIndex:
    """An index of vectors whose chunks say nothing."""
    index = EdgeIndex.create(folder, dimension=vectors.shape[1], terms=terms, quantization=setting)
    for start in range(0, len(vectors), BATCH):
        part = vectors[start : start + BATCH]
        index.upsert([_entry(start + place, vector) for place, vector in enumerate(part)])
    index.optimize()
    return index


def _entry(number: int, vector: Vectors) -> IndexEntry:
    span = Span("d", 0, 1)
    chunk = Chunk(chunk_id(number), span, "x", "", (), None, (), 3)
    return IndexEntry(chunk, "d", "D", {}, Encoding(vector, np.empty((0, len(vector)), np.float32)))


def main() -> None:
    """Run and write `bench/results/quantised.json`."""
    bench = Bench("quantised", "python bench/quantised.py")
    made_up(bench, World())
    if DATA.is_dir():
        real(bench)
    bench.write()


if __name__ == "__main__":
    main()
