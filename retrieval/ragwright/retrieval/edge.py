"""The embedded index: Qdrant Edge, the real engine in this process. The only importer of its shard."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from ragwright.core.errors import IndexDamaged, WorkspaceBusy
from ragwright.core.protocols import IndexQuery, Scored, StoredChunk
from ragwright.core.types import Access, Encoding, IndexEntry, Scope
from ragwright.retrieval.answers import best_of, results
from ragwright.retrieval.checksums import write_checksums
from ragwright.retrieval.edge_graph import graph_is_due, graphs
from ragwright.retrieval.index_settings import (
    MetadataFields,
    Quantization,
    edge_config,
    is_current,
    scoped_filter,
    search_params,
)
from ragwright.retrieval.payload import (
    DENSE,
    INDEXED_KEYS,
    PACKED,
    PAGE,
    SPARSE,
    access_payload,
    from_payload,
    to_payload,
    unpack,
)
from ragwright.retrieval.terms import Best, Rarities, Terms

Item = TypeVar("Item")

# Points in one write: the engine keeps the interpreter's lock during one, some 0.2 ms for each point. Larger
# writes are no quicker.
_WRITTEN_AT_ONCE = 64


class EdgeIndex:
    """One shard in one folder, open in one process at a time.

    Beside the folder lie the checksums of its files: removed before the first write, recorded at a clean
    close, so that a record that exists is true.
    """

    def __init__(
        self, shard: Any, folder: Path, terms: Terms, *, quantization: Quantization, written: bool = False
    ) -> None:
        import qdrant_edge

        self._q = qdrant_edge
        self._shard = shard
        self._folder = folder
        self._terms = terms
        self._written = written
        self._rarities = Rarities(self._best, self.count)
        self._quantization = quantization
        self._graphed = sum(graphs(folder).values())
        self._fields: MetadataFields | None = None  # unknown until something is written
        self._parameters = {
            filtered: search_params(qdrant_edge, filtered=filtered) for filtered in (False, True)
        }

    @classmethod
    def create(
        cls, folder: Path, *, dimension: int, terms: Terms, quantization: Quantization = "none"
    ) -> EdgeIndex:
        """Make an empty index in a folder that does not exist or is empty."""
        import qdrant_edge as q

        folder.mkdir(parents=True, exist_ok=True)
        shard = q.EdgeShard.create(str(folder), edge_config(q, dimension, quantization))
        for key in INDEXED_KEYS:
            shard.update(q.UpdateOperation.create_field_index(key, q.PayloadSchemaType.Keyword))
        shard.update(q.UpdateOperation.create_field_index(PAGE, q.PayloadSchemaType.Integer))
        return cls(shard, folder, terms, quantization=quantization, written=True)

    @classmethod
    def open(cls, folder: Path, *, terms: Terms, quantization: Quantization = "none") -> EdgeIndex:
        """Open an existing index; one that was quantised in another way is changed by the next `optimize`.

        Raises:
            WorkspaceBusy: Another process has it open.
            IndexDamaged: The folder is gone or the engine cannot read it.
        """
        import qdrant_edge as q

        if not folder.is_dir():
            raise IndexDamaged(f"the index folder {folder} is gone; run: ragwright ingest --rebuild")
        with _damage_told(folder):
            return cls(q.EdgeShard.load(str(folder)), folder, terms, quantization=quantization)

    def upsert(self, entries: Sequence[IndexEntry]) -> None:
        """Write entries; on return they are in the write-ahead log and survive the death of the process."""
        if entries:
            self._index_fields(entries)
        for part in _parts(entries):
            points = [self._point(entry) for entry in part]
            self._write(self._q.UpdateOperation.upsert_points(points))

    def _index_fields(self, entries: Sequence[IndexEntry]) -> None:
        """Give metadata fields that are seen for the first time a payload index, so that filters are fast."""
        if self._fields is None:
            with _damage_told(self._folder):
                self._fields = MetadataFields(self._shard.info().payload_schema)
        for path in self._fields.unseen(entries):
            keyword = self._q.PayloadSchemaType.Keyword
            self._write(self._q.UpdateOperation.create_field_index(path, keyword))

    def delete(self, chunk_ids: Sequence[str]) -> None:
        """Remove chunks; unknown ids are ignored."""
        for part in _parts(chunk_ids):
            self._write(self._q.UpdateOperation.delete_points(list(part)))

    def set_access(self, chunk_ids: Sequence[str], access: Access) -> None:
        """Let chunks be seen by others than before; see `ChunkIndex.set_access`."""
        for part in _parts(chunk_ids):
            self._write(self._q.UpdateOperation.set_payload(list(part), access_payload(access)))

    def search(
        self,
        dense: NDArray[np.float32] | None,
        terms: Mapping[int, float] | None,
        *,
        limit: int,
        scope: Scope,
        filters: Mapping[str, str],
    ) -> tuple[list[Scored], list[Scored]]:
        """Find the nearest chunks by vector and by words in one planned batch; see `ChunkIndex.search`."""
        return self.search_many([IndexQuery(dense, terms, scope, filters)], limit=limit)[0]

    def search_many(
        self, queries: Sequence[IndexQuery], *, limit: int
    ) -> list[tuple[list[Scored], list[Scored]]]:
        """What `search` finds for each query, in one planned batch; see `ChunkIndex.search_many`."""
        answers = iter(self._query([each for query in queries for each in self._halves(query, limit)]))
        return [results(query, answers, text=_text) for query in queries]

    def _halves(self, query: IndexQuery, limit: int) -> Iterator[Any]:
        """The dense half and the lexical one, as far as they are asked for; none for who may see nothing."""
        if query.scope.is_empty:
            return
        q, condition = self._q, scoped_filter(self._q, query.scope, query.filters)
        if query.dense is not None:
            nearest = q.Query.Nearest(query.dense.tolist(), using=DENSE)
            params = self._parameters[condition is not None]
            yield q.QueryRequest(limit=limit, query=nearest, filter=condition, params=params)
        if query.terms:
            sparse = q.SparseVector(list(query.terms), list(query.terms.values()))
            nearest = q.Query.Nearest(sparse, using=SPARSE)
            yield q.QueryRequest(limit=limit, query=nearest, filter=condition)

    def fetch(self, chunk_ids: Sequence[str]) -> dict[str, StoredChunk]:
        """The chunks of these ids with their sentence vectors; unknown ids are left out."""
        with _damage_told(self._folder):
            records = self._shard.retrieve(list(chunk_ids), True, False) if chunk_ids else []
            return {(key := str(record.id)): from_payload(key, record.payload) for record in records}

    def encodings(self, chunk_ids: Sequence[str]) -> dict[str, Encoding]:
        """The stored vectors of these ids; unknown ids are left out."""
        with _damage_told(self._folder):
            wanted = self._q.PayloadSelector.Include([PACKED])
            records = self._shard.retrieve(list(chunk_ids), wanted, [DENSE]) if chunk_ids else []
            return {
                (key := str(r.id)): Encoding(
                    np.asarray(r.vector[DENSE], np.float32), unpack(key, r.payload)[-1]
                )
                for r in records
            }

    def rarities(self, terms: Iterable[int]) -> dict[int, float]:
        """Inverse document frequency of terms in the whole index, by term id; see `ChunkIndex.rarities`."""
        return self._rarities.of(terms)

    def _best(self, terms: Sequence[int]) -> list[Best | None]:
        q = self._q
        queries = [q.Query.Nearest(q.SparseVector([term], [1.0]), using=SPARSE) for term in terms]
        answers = self._query(
            [q.QueryRequest(limit=1, query=query, with_vector=[SPARSE]) for query in queries]
        )
        return [best_of(answer) for answer in answers]

    def scan(self, batch: int = 256) -> Iterator[list[StoredChunk]]:
        """Every stored chunk, in batches, ordered by id."""
        offset = None
        while True:
            request = self._q.ScrollRequest(offset=offset, limit=batch, with_payload=True)
            with _damage_told(self._folder):
                records, offset = self._shard.scroll(request)
                chunks = [from_payload(str(r.id), r.payload) for r in records]
            if chunks:
                yield chunks
            if offset is None:
                return

    def count(self) -> int:
        """How many chunks are stored."""
        with _damage_told(self._folder):
            return int(self._shard.count(self._q.CountRequest(exact=True)))

    def optimize(self) -> None:
        """Merge segments, drop deleted points, and build a graph where a segment is large enough for one.

        What was added since the graph was built stays beside it, and is scanned, until it is large enough
        itself. An index that was made under other settings takes over the present ones.
        """
        self._before_write()
        with _damage_told(self._folder):
            self._configure()
            former = graphs(self._folder)
            self._shard.optimize()
            if graphs(self._folder).keys() - former.keys():  # a new graph holds nothing that is gone
                info = self._shard.info()
                self._graphed = info.indexed_vectors_count - info.points_count

    def graph_is_due(self) -> bool:
        """Whether `optimize` would build or extend a graph now, or close the index for a moment to change it.

        Asking takes well below a millisecond.
        """
        with _damage_told(self._folder):
            info, stored = self._shard.info(), self._stored_config()
        return not is_current(stored, self._quantization) or graph_is_due(
            points=info.points_count,
            indexed=info.indexed_vectors_count,
            graphed=self._graphed,
            dimension=stored["vectors"][DENSE]["size"],
        )

    def _stored_config(self) -> Any:
        return json.loads((self._folder / "edge_config.json").read_text(encoding="utf-8"))

    def _configure(self) -> None:
        """Open the shard anew under the present settings, if it has others."""
        stored = self._stored_config()
        if not is_current(stored, self._quantization):
            config = edge_config(self._q, stored["vectors"][DENSE]["size"], self._quantization)
            self._shard.flush()
            self._shard.close()
            self._shard = self._q.EdgeShard.load(str(self._folder), config)

    def close(self) -> None:
        """Flush, release the folder, and record its checksums if anything was written."""
        with _damage_told(self._folder):
            self._shard.flush()
            self._shard.close()
            if self._written:
                # What was written makes the next opening fold journals away; once that is done, no opening
                # changes a file any more.
                self._q.EdgeShard.load(str(self._folder)).close()
                write_checksums(self._folder, checksums_path(self._folder))

    def _write(self, operation: Any) -> None:
        self._before_write()
        try:
            with _damage_told(self._folder):
                self._shard.update(operation)
        finally:
            self._rarities.clear()  # another thread may have asked for one in the meantime

    def _before_write(self) -> None:
        self._rarities.clear()
        if not self._written:
            self._written = True
            checksums_path(self._folder).unlink(missing_ok=True)

    def _query(self, requests: Sequence[Any]) -> list[Any]:
        if not requests:
            return []
        with _damage_told(self._folder):
            return list(self._shard.query_batch(self._q.QueryBatchRequest(list(requests))))

    def _point(self, entry: IndexEntry) -> Any:
        sparse = self._terms.of_text(entry.chunk.context + entry.chunk.text)
        vectors = {
            DENSE: entry.encoding.vector.tolist(),
            SPARSE: self._q.SparseVector(list(sparse), list(sparse.values())),
        }
        payload = to_payload(entry, self._terms.of_parts(entry.chunk))
        return self._q.Point(entry.chunk.id, vectors, payload)


@contextmanager
def _damage_told(folder: Path) -> Iterator[None]:
    """Say in one sentence what the engine could not do."""
    try:
        yield
    except BaseException as error:
        # The engine raises bare Exception; a panic of its Rust code derives from BaseException, and has no
        # importable name; a vector that damage took away is missing under its key.
        if type(error) not in (Exception, KeyError) and type(error).__name__ != "PanicException":
            raise
        if "WouldBlock" in str(error):
            message = f"the index in {folder} is open in another process; wait until it ends"
            raise WorkspaceBusy(message) from None
        raise IndexDamaged(
            f"the engine cannot use the index in {folder} ({error}); run: ragwright ingest --rebuild"
        ) from error


def checksums_path(folder: Path) -> Path:
    """Where the checksums of a shard's folder are recorded."""
    return folder.with_name(folder.name + ".checksums.json")


def _parts(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Items in order, as many as one write may hold up others: while it runs, no other thread does."""
    for start in range(0, len(items), _WRITTEN_AT_ONCE):
        if start:
            time.sleep(0)  # lets a thread go on that waits for the interpreter
        yield items[start : start + _WRITTEN_AT_ONCE]


def _text(key: UUID) -> str:
    """What `str` gives, in half the time: a query reads a hundred ids."""
    digits = f"{key.int:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
