"""A document made ready to be written: with characters every stage takes, an identity, chunks and digests."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from ragwright.core.protocols import Chunker, EncodedChunks, EncodingChunker
from ragwright.core.types import Access, Chunk, Document, Parsed, Passage
from ragwright.ingest.catalog_values import LedgerRow
from ragwright.ingest.discover import SourceFile, document_id
from ragwright.ingest.sniff import SUPPORTED

ORIGIN = "-"
"""In the ledger, parts what is encoded of a chunk from whose it is, and from what else the encoder read."""

_SURROGATES = re.compile("[\ud800-\udfff]")
_TYPE_NAMES = {media_type: suffix.lstrip(".") for suffix, media_type in reversed(SUPPORTED.items())}


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


def document_of(file: SourceFile, parsed: Parsed, *, access: Access) -> Document:
    """What a parser made of a file, with its identity and in characters that every later stage takes."""
    source = file.source
    metadata = {**parsed.metadata, "type": _TYPE_NAMES.get(parsed.media_type, parsed.media_type)}
    if file.name:
        metadata["name"] = file.name
    clean = {encodable(key): encodable(value) for key, value in metadata.items()}
    title = shown_title(parsed.title, file.name or source)
    identity = document_id(source, access.tenant)
    return Document(identity, source, title, encodable(parsed.text), parsed.blocks, clean, access)


def shown_title(title: str, source: str) -> str:
    """A title on one line, never empty: the name of the source where the text states none."""
    # A stem of nothing but signs leaves no word; the source always says something.
    name = PurePosixPath(source).stem.replace("_", " ").replace("-", " ")
    return " ".join(encodable(title or name).split()) or source


def encodable(text: str) -> str:
    """The text with lone surrogates, which UTF-8 lacks, replaced one by one: every offset stays."""
    return _SURROGATES.sub("\ufffd", text)


def cut(document: Document, chunker: Chunker, *, digest: str, size: int, domain: str) -> PreparedDocument:
    """A document with its chunks, and with their vectors where the chunker made them."""
    if isinstance(chunker, EncodingChunker):
        encoded = chunker.encode(document)
        return PreparedDocument(document, encoded.chunks, digest, size, domain, encoded=encoded)
    return PreparedDocument(document, tuple(chunker(document)), digest, size, domain)


def ledger_row(prepared: PreparedDocument, chunk: Chunk) -> LedgerRow:
    """What the ledger will say of a chunk.

    Chunks of equal digest share their vectors. A tenant's share them with one another only: else how long an
    ingest takes would tell whether another one has the same text.
    """
    digest = encoded_digest(chunk)
    if tenant := prepared.document.access.tenant:
        digest += ORIGIN + hashlib.sha256(tenant.encode()).hexdigest()[:16]
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
