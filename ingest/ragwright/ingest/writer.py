"""Chunks to vectors to the index to the catalog, in the order that a crash cannot harm.

For every slice: name the new chunks as strays, write them to the index, commit the documents that are now
complete, delete what they no longer hold. Until the commit the old version answers, after it the new one.
Slices are encoded in threads of their own, a few ahead, and written one by one in the order they came.
"""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Collection, Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, TypeVar

from ragwright.core.errors import InputError
from ragwright.core.protocols import ChunkIndex, Encoder
from ragwright.core.types import Encoding, IndexEntry
from ragwright.ingest.catalog import Catalog
from ragwright.ingest.catalog_values import CommittedDocument, LedgerRow
from ragwright.ingest.prepare import PreparedDocument, ledger_row
from ragwright.ingest.report import IngestReport
from ragwright.ingest.slices import PendingChunk, Slice, SliceEncoder
from ragwright.ingest.stopwatch import Stopwatch

Item = TypeVar("Item")

# Chunks in one slice, which the encoder's `call_tokens` divides before. With 384 dimensions and seven
# sentences a chunk's vectors take 12 kB, so that a slice on the CPU (some 360 chunks) takes 5 MB, and the
# largest one 50 MB.
_MOST_CHUNKS = 4_096
# Slices begun and not yet written: two in the encoder, and one that it takes up while another is written.
_IN_FLIGHT = 3
# Of `call_tokens`, what is enough for an encoder that has nothing to do.
_FIRST_SHARE = 1 / 8
# Chunks in one call to the index: its points are Python lists, eight times the size of the vectors.
_AT_ONCE = 384


class Observer(Protocol):
    """Told what happens, from the thread that writes."""

    def start(self, total_files: int) -> None:
        """Files were found."""

    def file_done(self, source: str, outcome: str) -> None:
        """A file ended as `added`, `updated`, `skipped` or `failed`."""

    def chunks_done(self, count: int, tokens: int) -> None:
        """Chunks were written."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where documents are written.

    Attributes:
        catalog: Of the workspace.
        index: The index version's engine.
        encoder: The one the index was made with.
        version: Index version.
        folder: Workspace folder, whose disk must have room.
        free_bytes: Room that the disk must keep.
    """

    catalog: Catalog
    index: ChunkIndex
    encoder: Encoder
    version: str
    folder: Path
    free_bytes: int


class IndexWriter:
    """Writes prepared documents to one index version; encodes ahead while its block is open.

    Everything but encoding runs in the calling thread. It holds at most `_IN_FLIGHT` slices, the chunks of
    less than one more, and those of one document.
    """

    def __init__(
        self,
        target: Target,
        *,
        former: Container[str],
        report: IngestReport,
        observer: Observer,
        stored: bool = False,
    ) -> None:
        """Make a writer.

        Args:
            target: Where to write.
            former: Sources that had a document before: they count as updated.
            report: Counts what is done.
            observer: Is told.
            stored: Whether the documents come from the catalog, which then stays as it is but for the ledger.
        """
        self.stopwatch = Stopwatch(report.seconds)
        self._from_catalog = stored
        self._marked = False
        self._catalog, self._index, self._version = target.catalog, target.index, target.version
        self._target = target
        self._former = former
        self._report = report
        self._observer = observer
        self._encoder = SliceEncoder(target.encoder, stored=self._stored, stopwatch=self.stopwatch)
        self._pending: deque[PendingChunk] = deque()
        self._pending_tokens = 0
        self._undeclared: list[LedgerRow] = []
        self._in_flight: deque[Slice] = deque()
        self._written: dict[str, str] = {}  # chunk by encoded digest, of documents that are not yet committed
        self._open: dict[str, tuple[PreparedDocument, list[LedgerRow]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._encoder.close()

    def warm_up(self) -> None:
        """Load the encoder while the first documents are prepared."""
        self._encoder.warm_up()

    def add(self, prepared: PreparedDocument) -> None:
        """Take a document over; it is written when its slices are encoded, or by `finish`."""
        rows = [ledger_row(prepared, chunk) for chunk in prepared.chunks]
        self._undeclared.extend(rows)
        self._report.hidden_characters += prepared.hidden_characters
        self._report.tokens += prepared.encoded.tokens if prepared.encoded else 0
        self._open[prepared.document.id] = (prepared, rows)
        for chunk, row in zip(prepared.chunks, rows, strict=True):
            self._pending.append(PendingChunk(prepared, chunk, row))
            self._pending_tokens += chunk.tokens
        while self._in_flight and self._in_flight[0].ready:
            self._write_slice()
        while self._enough():
            self._begin_slice()

    def fail(self, source: str, reason: str, *, digest: str, tenant: str) -> None:
        """Record that a tenant's file could not be ingested; `digest` is of its bytes."""
        self._report.failures[source] = reason
        self._catalog.record_failure(source, reason, digest, tenant=tenant)
        self._observer.file_done(source, "failed")

    def finish(self) -> None:
        """Write what is left and delete every stray."""
        while self._pending:
            self._begin_slice()
        while self._in_flight:
            self._write_slice()
        self._commit_complete()
        self.delete_strays()

    def delete_strays(self) -> None:
        """Delete chunks that belong to no document from the index."""
        strays = self._catalog.strays(self._version)
        for part in parts_of(strays):
            self._mark_unsettled()
            self._index.delete(part)
            self._catalog.drop_strays(self._version, part)

    def graph_is_due(self) -> bool:
        """Whether optimising the index would build a graph, which takes long."""
        return self._index.graph_is_due()

    def optimize(self) -> None:
        """Optimise the index if it was written to since it last was, by this run or a stopped one."""
        if not self._catalog.is_settled(self._version):
            with self.stopwatch.timed("optimize"):
                self._index.optimize()
            self._catalog.set_settled(self._version, settled=True)
            self._marked = False

    def _mark_unsettled(self) -> None:
        if not self._marked:
            self._catalog.set_settled(self._version, settled=False)
            self._marked = True

    def _enough(self) -> bool:
        """Whether the pending chunks make a slice; a small one does when the encoder has none."""
        share = 1 if self._in_flight else _FIRST_SHARE
        wanted = self._target.encoder.call_tokens * share
        return len(self._pending) >= _MOST_CHUNKS or self._pending_tokens >= max(wanted, 1)

    def _begin_slice(self) -> None:
        """Name the new chunks, and hand a slice to the encoder; the oldest is written when there are many."""
        while len(self._in_flight) >= _IN_FLIGHT:
            self._write_slice()
        if self._undeclared:
            with self.stopwatch.timed("commit"):
                self._catalog.declare(self._version, self._undeclared, stored=self._from_catalog)
            self._undeclared.clear()
        self._in_flight.append(self._encoder.begin(self._next_chunks()))

    def _next_chunks(self) -> list[PendingChunk]:
        """Pending chunks for one slice, at least one."""
        part: list[PendingChunk] = []
        tokens = 0
        while self._pending and len(part) < _MOST_CHUNKS and tokens < self._target.encoder.call_tokens:
            part.append(self._pending.popleft())
            tokens += part[-1].chunk.tokens
        self._pending_tokens -= tokens
        return part

    def _write_slice(self) -> None:
        """Write the oldest slice in flight, once it is encoded."""
        done = self._in_flight[0]
        encodings = done.encodings()
        check_free_space(self._target.folder, self._target.free_bytes)
        self._mark_unsettled()
        with self.stopwatch.timed("index"):
            for part in parts_of(done.chunks):
                self._index.upsert([_entry(each, encodings[each.row.encoded]) for each in part])
        self._written.update((each.row.encoded, each.row.id) for each in done.chunks)
        self._encoder.end(done)
        self._in_flight.popleft()
        self._report.chunks += len(done.chunks)
        self._report.reused += done.reused
        self._report.tokens += sum(each.chunk.tokens for each in done.new)
        self._observer.chunks_done(len(done.chunks), sum(each.chunk.tokens for each in done.chunks))
        self._commit_complete()

    def _stored(self, digests: Collection[str]) -> dict[str, Encoding]:
        """Vectors in the index, by encoded digest."""
        with self.stopwatch.timed("index"):
            # Of strays with equal digests the catalog may name one that is not yet written.
            chunks = self._catalog.chunks_encoding(self._version, digests)
            chunks |= {digest: self._written[digest] for digest in digests if digest in self._written}
            stored = self._index.encodings(list(chunks.values()))
        return {digest: stored[chunk_id] for digest, chunk_id in chunks.items() if chunk_id in stored}

    def _commit_complete(self) -> None:
        """Commit the documents all of whose chunks are written."""
        complete: list[CommittedDocument] = []
        unwritten = self._in_flight[0].chunks if self._in_flight else self._pending
        unfinished = unwritten[0].prepared.document.id if unwritten else None
        for document_id, (prepared, rows) in list(self._open.items()):
            if document_id == unfinished:
                break  # documents are written in the order they came
            del self._open[document_id]
            complete.append(
                CommittedDocument(
                    prepared.document, prepared.digest, prepared.size, prepared.domain, tuple(rows)
                )
            )
        if complete:
            with self.stopwatch.timed("commit"):
                self._commit(complete)

    def _commit(self, complete: Sequence[CommittedDocument]) -> None:
        record = self._catalog.hold if self._from_catalog else self._catalog.commit
        gone = record(self._version, complete)
        self._index.delete(gone)
        self._catalog.drop_strays(self._version, gone)
        for each in complete:
            for row in each.rows:
                if self._written.get(row.encoded) == row.id:
                    del self._written[row.encoded]  # the catalog knows it now
            self._count(each.document.source)

    def _count(self, source: str) -> None:
        if source in self._former:
            self._report.updated += 1
            self._observer.file_done(source, "updated")
        else:
            self._report.added += 1
            self._observer.file_done(source, "added")


def parts_of(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Items in order, as many at a time as one call to the index should get."""
    return (items[start : start + _AT_ONCE] for start in range(0, len(items), _AT_ONCE))


def check_free_space(folder: Path, wanted: int) -> None:
    """Stop before the disk is full: the embedded engine dies of SIGBUS on a full one.

    Raises:
        InputError: Fewer than `wanted` bytes are free.
    """
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise InputError(
            f"{free / 1e6:.0f} MB are free on the disk of {folder}, {wanted / 1e6:.0f} MB are wanted; free "
            f"{(wanted - free) / 1e6:.0f} MB and run the same command again, or lower ingest.free_megabytes"
        )


def _entry(pending: PendingChunk, encoding: Encoding) -> IndexEntry:
    document = pending.prepared.document
    facts = (document.source, document.title, document.metadata)
    return IndexEntry(pending.chunk, *facts, encoding, document.access)
