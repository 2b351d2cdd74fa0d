"""What the catalog takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ragwright.core.types import Document


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an index version was made with.

    Attributes:
        schema: Layout of its payload.
        model: The encoder's configured name.
        fingerprint: The encoder's fingerprint.
        dimension: Length of a vector.
        language: Of the BM25 terms.
        chunkers: Fingerprint of the chunker settings, by domain.
    """

    schema: int
    model: str
    fingerprint: str
    dimension: int
    language: str
    chunkers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class KnownFile:
    """What the catalog remembers of a source: `reason` is set when it failed."""

    digest: str
    domain: str = ""
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One chunk that an index version holds."""

    id: str
    document_id: str
    start: int
    end: int
    encoded: str


@dataclass(frozen=True, slots=True)
class CommittedDocument:
    """A document whose chunks are all in the index, ready to replace its former version."""

    document: Document
    digest: str
    size: int
    domain: str
    rows: tuple[LedgerRow, ...]


@dataclass(frozen=True, slots=True)
class CatalogCounts:
    """How much the catalog holds."""

    documents: int
    characters: int
    bytes: int
    chunks: int
    failures: int
