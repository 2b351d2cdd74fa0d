"""What the catalog takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ragwright.core.types import OPEN, Access, Document


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an index version was made with.

    Attributes:
        schema: Layout of its payload.
        model: The encoder's configured name; of a promoted one its folder in the workspace.
        fingerprint: The encoder's fingerprint.
        dimension: Length of a vector.
        language: Of the BM25 terms.
        chunkers: Fingerprint of the chunker settings, by domain.
        parts: Name of the tuned model that was promoted, by the part that it plays; what the settings name
            plays the others.
    """

    schema: int
    model: str
    fingerprint: str
    dimension: int
    language: str
    chunkers: Mapping[str, str]
    parts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Switch:
    """A promotion, or a rollback.

    Attributes:
        at: When, as ISO 8601 in UTC.
        action: What was done.
        name: Of the tuned model that was promoted, or whose promotion was taken back.
        version: The index version that answered from then on.
        parts: What was promoted then, as in `Manifest`.
        former: What had been promoted until then.
    """

    at: str
    action: Literal["promote", "rollback"]
    name: str
    version: str
    parts: Mapping[str, str]
    former: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class KnownFile:
    """What the catalog remembers of a source.

    Attributes:
        digest: Of the file when it was last read.
        domain: Of its document; "" when it has none.
        reason: Why it failed; None when it did not.
        access: Who may see its document.
    """

    digest: str
    domain: str = ""
    reason: str | None = None
    access: Access = OPEN


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
class ListedDocument:
    """A document as a list shows it.

    Attributes:
        id: Its id.
        source: Where it came from.
        title: Its title.
        characters: Length of its text.
        bytes: Size of its file.
        chunks: How many the index that answers holds of it.
        domain: The profile that it was cut by.
        access: Who may see it.
        metadata: Flat facts.
    """

    id: str
    source: str
    title: str
    characters: int
    bytes: int
    chunks: int
    domain: str
    access: Access
    metadata: Mapping[str, str]

    @property
    def cursor(self) -> str:
        """Where the list goes on behind it, for `Catalog.listing`."""
        return f"{self.source} {self.id}"


@dataclass(frozen=True, slots=True)
class CatalogCounts:
    """How much the catalog holds."""

    documents: int
    characters: int
    bytes: int
    chunks: int
    failures: int
