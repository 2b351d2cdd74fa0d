"""Chunks to vectors to the index to the catalog, in the order that a crash cannot harm.

For every slice: name the new chunks as strays, write them to the index, commit the documents that are now
complete, delete what they no longer hold. Until the commit the old version answers, after it the new one.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections import deque
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ragwright.core.errors import InputError
from ragwright.core.protocols import ChunkIndex, EncodedChunks, Encoder
from ragwright.core.types import Chunk, Document, Encoding, IndexEntry, Passage
from ragwright.ingest.catalog import Catalog
from ragwright.ingest.catalog_values import CommittedDocument, LedgerRow
from ragwright.ingest.report import IngestReport

# Chunks in one slice: enough for full batches, few enough that vectors and points stay in tens of megabytes.
_SLICE = 384

ORIGIN = "-"
"""In the ledger, parts what is encoded of a chunk from what else the encoder read for its vectors."""


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


@dataclass(frozen=True, slots=True)
class PreparedDocument:
    """A document cut into chunks, ready to be written.

    Attributes:
        document: The document.
        chunks: In text order.
        digest: Of the file.
        size: Of the file, in bytes.
        domain: The profile that it was cut by.
        hidden_characters: How many were removed.
        encoded: The chunks with their vectors, where cutting made them; else they are encoded here.
    """

    document: Document
    chunks: tuple[Chunk, ...]
    digest: str
    size: int
    domain: str
    hidden_characters: int = 0
    encoded: EncodedChunks | None = None


@dataclass(frozen=True, slots=True)
class _Pending:
    prepared: PreparedDocument
    chunk: Chunk
    row: LedgerRow

    @property
    def encoding(self) -> Encoding | None:
        """The vectors that cutting made; None when there are none yet."""
        encoded = self.prepared.encoded
        return None if encoded is None else encoded.encodings[self.chunk.id]


class IndexWriter:
    """Writes prepared documents to one index version."""

    def __init__(
        self,
        target: Target,
        *,
        former: Container[str],
        report: IngestReport,
        observer: Observer,
        keep_failures: bool = False,
    ) -> None:
        """Make a writer.

        Args:
            target: Where to write.
            former: Sources that had a document before: they count as updated.
            report: Counts what is done.
            observer: Is told.
            keep_failures: Whether the documents come from the catalog, so that their files may still fail.
        """
        self._keep_failures = keep_failures
        self._marked = False
        self._catalog, self._index, self._encoder = target.catalog, target.index, target.encoder
        self._version = target.version
        self._target = target
        self._former = former
        self._report = report
        self._observer = observer
        self._pending: deque[_Pending] = deque()
        self._open: dict[str, tuple[PreparedDocument, list[LedgerRow]]] = {}

    def add(self, prepared: PreparedDocument) -> None:
        """Take a document over; it is written when a slice is full, or by `finish`."""
        rows = [_ledger_row(prepared, chunk) for chunk in prepared.chunks]
        self._catalog.declare(self._version, rows)
        self._report.hidden_characters += prepared.hidden_characters
        self._report.tokens += prepared.encoded.tokens if prepared.encoded else 0
        self._open[prepared.document.id] = (prepared, rows)
        for chunk, row in zip(prepared.chunks, rows, strict=True):
            self._pending.append(_Pending(prepared, chunk, row))
        while len(self._pending) >= _SLICE:
            self._write_slice()

    def finish(self) -> None:
        """Write what is left and delete every stray."""
        while self._pending or self._open:
            self._write_slice()
        self.delete_strays()

    def delete_strays(self) -> None:
        """Delete chunks that belong to no document from the index."""
        strays = self._catalog.strays(self._version)
        for start in range(0, len(strays), _SLICE):
            part = strays[start : start + _SLICE]
            self._mark_unsettled()
            self._index.delete(part)
            self._catalog.drop_strays(self._version, part)

    def optimize(self) -> None:
        """Optimise the index if it was written to since it last was, by this run or a stopped one."""
        if not self._catalog.is_settled(self._version):
            with self._timed("optimize"):
                self._index.optimize()
            self._catalog.set_settled(self._version, settled=True)
            self._marked = False

    def _mark_unsettled(self) -> None:
        if not self._marked:
            self._catalog.set_settled(self._version, settled=False)
            self._marked = True

    def _write_slice(self) -> None:
        check_free_space(self._target.folder, self._target.free_bytes)
        part = [self._pending.popleft() for _ in range(min(_SLICE, len(self._pending)))]
        with self._timed("encode"):
            encodings = self._encode(part)
        self._mark_unsettled()
        with self._timed("index"):
            self._index.upsert([_entry(each, encodings[each.row.encoded]) for each in part])
        self._report.chunks += len(part)
        self._observer.chunks_done(len(part), sum(each.chunk.tokens for each in part))
        with self._timed("commit"):
            self._commit_complete()

    def _encode(self, part: Sequence[_Pending]) -> dict[str, Encoding]:
        """Vectors by encoded digest: those made by cutting, those in the index, the others computed once."""
        encodings = {each.row.encoded: each.encoding for each in part if each.encoding is not None}
        given = sum(each.encoding is not None for each in part)
        wanted = {each.row.encoded: each for each in part if each.encoding is None}
        known = self._catalog.chunks_encoding(self._version, wanted)
        stored = self._index.encodings(list(known.values()))
        encodings |= {key: stored[chunk_id] for key, chunk_id in known.items() if chunk_id in stored}
        new = [each for key, each in wanted.items() if key not in encodings]
        made = self._encoder.encode_passages([Passage.of(each.chunk) for each in new]) if new else []
        encodings |= {each.row.encoded: encoding for each, encoding in zip(new, made, strict=True)}
        self._report.reused += len(part) - given - len(new)
        self._report.tokens += sum(each.chunk.tokens for each in new)
        return encodings

    def _commit_complete(self) -> None:
        """Commit the documents none of whose chunks is pending."""
        unfinished = self._pending[0].prepared.document.id if self._pending else None
        complete: list[CommittedDocument] = []
        for document_id, (prepared, rows) in list(self._open.items()):
            if document_id == unfinished:
                break  # documents are written in the order they came
            complete.append(
                CommittedDocument(
                    prepared.document, prepared.digest, prepared.size, prepared.domain, tuple(rows)
                )
            )
            del self._open[document_id]
        if complete:
            gone = self._catalog.commit(self._version, complete, keep_failures=self._keep_failures)
            self._index.delete(gone)
            self._catalog.drop_strays(self._version, gone)
            for each in complete:
                self._count(each.document.source)

    def _count(self, source: str) -> None:
        if source in self._former:
            self._report.updated += 1
            self._observer.file_done(source, "updated")
        else:
            self._report.added += 1
            self._observer.file_done(source, "added")

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self._report.seconds[stage] = self._report.seconds.get(stage, 0.0) + time.perf_counter() - started


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


def _ledger_row(prepared: PreparedDocument, chunk: Chunk) -> LedgerRow:
    digest = encoded_digest(chunk)
    if prepared.encoded is not None:
        digest += ORIGIN + prepared.encoded.origins[chunk.id]
    return LedgerRow(chunk.id, prepared.document.id, chunk.span.start, chunk.span.end, digest)


def encoded_digest(chunk: Chunk) -> str:
    """Names what the encoder reads of a chunk: chunks of equal digest have equal vectors."""
    passage = Passage.of(chunk)
    cuts = ",".join(f"{start}-{end}" for start, end in passage.sentences)
    return hashlib.sha256(
        f"{len(chunk.context)}|{cuts}|{passage.text}".encode("utf-8", "surrogatepass")
    ).hexdigest()[:32]


def _entry(pending: _Pending, encoding: Encoding) -> IndexEntry:
    document = pending.prepared.document
    return IndexEntry(pending.chunk, document.source, document.title, document.metadata, encoding)
