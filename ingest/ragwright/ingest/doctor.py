"""Verifying a workspace: the catalog, the index, and that each says the same as the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ragwright.core.errors import IndexDamaged
from ragwright.core.protocols import ChunkIndex, StoredChunk
from ragwright.core.types import Document, Span
from ragwright.ingest.catalog import Catalog
from ragwright.ingest.catalog_values import LedgerRow
from ragwright.ingest.prepare import ORIGIN, encoded_digest

REBUILD = "run: ragwright ingest --rebuild"
RESUME = "run the ingest that was stopped again"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something damaged.

    Attributes:
        part: `catalog`, `index files`, `index` or `chunk`.
        problem: What was seen.
        remedy: What to do.
    """

    part: str
    problem: str
    remedy: str


def examine(catalog: Catalog, index: ChunkIndex, version: str) -> Iterator[Finding]:
    """Compare a catalog with an index version, chunk by chunk.

    Checked are: the database's own consistency; that every document can be read; that every chunk of the
    ledger is in the index and the index holds no other; that each chunk's text is the slice of its document,
    stored under its source and with its rights; that its sentences lie inside it; that it was encoded from
    what is stored; and that it has one unit vector per sentence.
    """
    for problem in catalog.damage():
        yield Finding("catalog", problem, "restore catalog.sqlite3, or ingest into a new workspace")
    documents = _Documents(catalog)
    yield from documents.damaged()
    ledger = {row.id: row for row in catalog.ledger(version)}
    strays = set(catalog.strays(version))
    seen: set[str] = set()
    for batch in index.scan():
        for stored in batch:
            seen.add(stored.chunk.id)
            row = ledger.get(stored.chunk.id)
            if row is None:
                yield _unknown(stored, stray=stored.chunk.id in strays)
            elif problem := _problem(stored, row, documents):
                remedy = RESUME if documents.being_replaced(row.document_id) else REBUILD
                yield Finding("chunk", f"chunk {row.id} of {stored.source} {problem}", remedy)
    for row in (row for row in ledger.values() if row.id not in seen):
        source = documents.source(row.document_id)
        yield Finding("index", f"chunk {row.id} of {source} is missing from the index", REBUILD)


def _unknown(stored: StoredChunk, *, stray: bool) -> Finding:
    name = f"chunk {stored.chunk.id} of {stored.source}"
    return Finding("index", f"{name} belongs to no document of the catalog", RESUME if stray else REBUILD)


def _problem(stored: StoredChunk, row: LedgerRow, documents: _Documents) -> str:
    """What is wrong with a chunk that the ledger names; "" when nothing is."""
    chunk, document = stored.chunk, documents.get(row.document_id)
    if document is None:
        return "has a ledger row, but its document is missing"
    if chunk.span != Span(row.document_id, row.start, row.end):
        return "stands at other offsets in the index than in the ledger"
    if document.text[row.start : row.end] != chunk.text:
        return f"is not the text at {row.start}-{row.end} of its document"
    if stored.source != document.source:
        return f"is a chunk of {document.source} in the catalog"
    if stored.access != document.access:
        return "can be seen by others than its document"
    if not all(row.start <= s.start <= s.end <= row.end for s in chunk.sentences):
        return "has sentences outside its span"
    if row.encoded.partition(ORIGIN)[0] != encoded_digest(chunk):
        return "was not encoded from the headings and sentences that are stored with it"
    return "" if _sound(stored) else "has damaged vectors"


def _sound(stored: StoredChunk) -> bool:
    vectors = stored.sentence_vectors
    if len(vectors) != len(stored.chunk.sentences):
        return False
    # Half precision keeps three decimal places of a unit vector's length.
    return bool(np.all(np.abs(np.linalg.norm(vectors, axis=1) - 1.0) < 1e-2))


class _Documents:
    """Documents of the catalog, the last ones kept: neighbours in the index often share one."""

    _KEPT = 64

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._ids = catalog.names()
        self._replaced = catalog.being_replaced()
        self._kept: dict[str, Document | None] = {}

    def damaged(self) -> Iterator[Finding]:
        """The documents that cannot be read."""
        for document_id in self._ids:
            try:
                self._catalog.document(document_id)
            except IndexDamaged as error:
                problem, _, remedy = str(error).partition("; ")
                yield Finding("catalog", problem, remedy)

    def get(self, document_id: str) -> Document | None:
        """The document; None when it is not there or cannot be read."""
        if document_id not in self._kept:
            if len(self._kept) >= self._KEPT:
                self._kept.pop(next(iter(self._kept)))
            try:
                self._kept[document_id] = self._catalog.document(document_id)
            except IndexDamaged:
                self._kept[document_id] = None
        return self._kept[document_id]

    def source(self, document_id: str) -> str:
        return self._ids.get(document_id, f"document {document_id}")

    def being_replaced(self, document_id: str) -> bool:
        return document_id in self._replaced
