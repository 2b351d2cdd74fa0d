"""What only the embedded index promises: it survives its process, and says when it cannot be used."""

from __future__ import annotations

import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ragwright.core.errors import IndexDamaged, WorkspaceBusy
from ragwright.core.types import OWNER, IndexEntry
from ragwright.retrieval.edge import EdgeIndex
from ragwright.retrieval.terms import Terms

DIMENSION = 48

# Writes batches of eight chunks without end and tells each one that `upsert` returned from.
WRITER = """
import sys, uuid
from pathlib import Path
import numpy as np
from ragwright.core.types import Chunk, Encoding, IndexEntry, Span
from ragwright.retrieval.edge import EdgeIndex
from ragwright.retrieval.terms import Terms

def entry(number):
    text = f"Unit x{number} is sealed."
    span = Span("a.md", 0, len(text))
    chunk = Chunk(str(uuid.UUID(int=number + 1)), span, text, "", (), None, (span,), 8)
    vector = np.full(48, number + 1, np.float32)
    return IndexEntry(chunk, "a.md", "A", {}, Encoding(vector, vector[None] * 0 + 0.5))

folder, terms = Path(sys.argv[1]), Terms()
index = (
    EdgeIndex.open(folder, terms=terms) if folder.exists()
    else EdgeIndex.create(folder, dimension=48, terms=terms)
)
batch = index.count() // 8 + 1
while True:
    index.upsert([entry(batch * 8 + place) for place in range(8)])
    print(batch, flush=True)
    batch += 1
"""


@pytest.fixture
def shard(project: Path, terms: Terms, entries: list[IndexEntry]) -> Path:
    """A closed index that holds every entry."""
    index = EdgeIndex.create(project / "shard", dimension=DIMENSION, terms=terms)
    index.upsert(entries)
    index.close()
    return project / "shard"


def test_a_reopened_index_gives_the_same_answers(
    project: Path, terms: Terms, entries: list[IndexEntry]
) -> None:
    vector, query = entries[5].encoding.vector, terms.of_query("gasket x5 torque")
    first = EdgeIndex.create(project / "shard", dimension=DIMENSION, terms=terms)
    first.upsert(entries)
    first.optimize()
    before = first.search(vector, query, limit=30, scope=OWNER, filters={}), first.rarities(query)
    first.close()
    again = EdgeIndex.open(project / "shard", terms=terms)
    assert (again.search(vector, query, limit=30, scope=OWNER, filters={}), again.rarities(query)) == before
    assert again.count() == len(entries)
    again.close()


def test_deleted_chunks_count_no_more_once_the_index_is_reopened(
    shard: Path, terms: Terms, entries: list[IndexEntry]
) -> None:
    index = EdgeIndex.open(shard, terms=terms)
    index.delete([entry.chunk.id for entry in entries[:10]])
    index.close()
    index = EdgeIndex.open(shard, terms=terms)
    gasket = terms.of_query("gasket")  # in 12, 15 .. 27
    expected = math.log(1 + (20 - 6 + 0.5) / (6 + 0.5))
    assert index.rarities(gasket) == pytest.approx(dict.fromkeys(gasket, expected), rel=1e-4)
    index.close()


def test_a_second_opening_says_that_the_index_is_in_use(shard: Path, terms: Terms) -> None:
    index = EdgeIndex.open(shard, terms=terms)
    with pytest.raises(WorkspaceBusy, match=f"{shard} is open in another process"):
        EdgeIndex.open(shard, terms=terms)
    index.close()
    EdgeIndex.open(shard, terms=terms).close()


def test_a_missing_folder_is_named_with_the_command_that_mends_it(project: Path, terms: Terms) -> None:
    with pytest.raises(IndexDamaged, match=f"{project / 'gone'} is gone; run: ragwright ingest --rebuild"):
        EdgeIndex.open(project / "gone", terms=terms)


@pytest.mark.parametrize("name", ["notes.txt", "edge_config.json", "wal", "segments"])
def test_a_folder_of_something_else_is_damage(project: Path, terms: Terms, name: str) -> None:
    folder = project / "shard"
    folder.mkdir()
    (folder / name).write_bytes(b"\x00garbage\xff" * 9)
    with pytest.raises(IndexDamaged, match="run: ragwright ingest --rebuild"):
        EdgeIndex.open(folder, terms=terms)


@pytest.mark.parametrize(
    ("pattern", "length"),
    [
        ("segment.json", 20),
        ("edge_config.json", 0),
        ("vector_storage-text-dense/vectors/chunk_0.mmap", 64),
        ("payload_storage/tracker.dat", 8),  # the engine panics
        ("payload_storage/page_0.dat", 16),
    ],
)
def test_whatever_the_engine_does_on_damaged_files_is_told_as_damage(
    shard: Path, terms: Terms, pattern: str, length: int
) -> None:
    (damaged,) = shard.rglob(pattern)
    damaged.write_bytes(b"garbage!"[: length or None] * 8 if length > 8 else b"\xff" * length)
    with pytest.raises(IndexDamaged, match="run: ragwright ingest --rebuild"):
        _use(shard, terms)


def _use(shard: Path, terms: Terms) -> None:
    index = EdgeIndex.open(shard, terms=terms)
    list(index.scan())
    index.encodings([stored.chunk.id for batch in index.scan() for stored in batch])
    index.close()


@pytest.mark.parametrize("times", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_every_acknowledged_batch_survives_kill_9(project: Path, terms: Terms, times: int) -> None:
    chance, folder = random.Random(20240229), project / "shard"
    told: list[int] = []
    for _ in range(times):
        told += _written_until_killed(folder, seconds=chance.uniform(0.05, 0.6))
        index = EdgeIndex.open(folder, terms=terms)
        stored = {chunk.chunk.id: chunk.chunk.text for batch in index.scan() for chunk in batch}
        vectors = index.encodings(list(stored))
        index.close()
        numbers = [batch * 8 + place for batch in told for place in range(8)]
        for number in numbers:
            key = f"{number + 1:032x}"
            key = f"{key[:8]}-{key[8:12]}-{key[12:16]}-{key[16:20]}-{key[20:]}"
            assert stored[key] == f"Unit x{number} is sealed."
            assert vectors[key].vector[0] == number + 1
        assert len(stored) in (len(numbers), len(numbers) + 8)  # one batch may be written and not yet told
        told = [number // 8 for number in range(8, 8 + len(stored), 8)]


def _written_until_killed(folder: Path, *, seconds: float) -> list[int]:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout
        first = writer.stdout.readline()
        time.sleep(seconds)
        os.kill(writer.pid, signal.SIGKILL)
        rest = writer.stdout.read().splitlines(keepends=True)
    return [int(line) for line in [first, *rest] if line.endswith("\n")]
