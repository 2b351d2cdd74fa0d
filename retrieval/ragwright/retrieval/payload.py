"""What is stored beside a chunk's vectors: the same in the embedded engine and on a server.

The vector names and the keys `text` and `doc_id` are those that LlamaIndex's `QdrantVectorStore` reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragwright.core.errors import InputError
from ragwright.core.protocols import StoredChunk
from ragwright.core.types import Chunk, IndexEntry, Span

SCHEMA_VERSION = 1  # raise it when the layout below changes: indexes of another version are refused

DENSE = "text-dense"
SPARSE = "text-sparse-new"
SENTENCES = "sentences"

# Filters on these name a payload key; any other name is looked up in the document's metadata.
FILTER_KEYS = {"source": "source", "title": "title", "page": "page", "document": "doc_id"}
INDEXED_KEYS = ("doc_id", "source")
_PAGE_DIGITS = 9


def to_payload(entry: IndexEntry) -> dict[str, Any]:
    """Everything needed to show an entry and to check it against its document."""
    chunk = entry.chunk
    return {
        "text": chunk.text,
        "doc_id": chunk.span.document_id,
        "source": entry.source,
        "title": entry.title,
        "start": chunk.span.start,
        "end": chunk.span.end,
        "page": chunk.page,
        "headings": list(chunk.headings),
        "context": chunk.context,
        "tokens": chunk.tokens,
        "sentences": [edge for s in chunk.sentences for edge in (s.start, s.end)],
        "metadata": dict(entry.metadata),
    }


def from_payload(
    chunk_id: str, payload: Mapping[str, Any], sentences: Sequence[Sequence[float]]
) -> StoredChunk:
    """The stored chunk that `to_payload` and the sentence vectors describe."""
    document_id, edges = payload["doc_id"], payload["sentences"]
    chunk = Chunk(
        id=chunk_id,
        span=Span(document_id, payload["start"], payload["end"]),
        text=payload["text"],
        context=payload["context"],
        headings=tuple(payload["headings"]),
        page=payload["page"],
        sentences=tuple(Span(document_id, a, b) for a, b in zip(edges[::2], edges[1::2], strict=True)),
        tokens=payload["tokens"],
    )
    vectors = np.asarray(sentences, np.float32)[: len(chunk.sentences)]
    return StoredChunk(chunk, payload["source"], payload["title"], payload["metadata"], vectors)


def filter_conditions(filters: Mapping[str, str]) -> list[tuple[str, str | int]]:
    """Payload keys and values that every result must have.

    Raises:
        InputError: A field's name holds a quotation mark or a backslash, or a page is no number.
    """
    conditions: list[tuple[str, str | int]] = []
    for name, value in filters.items():
        if '"' in name or "\\" in name:
            raise InputError(f"the filter {name!r} names no field; field names hold no quotes or backslashes")
        # Quoted: without, a dot would mean a field within a field, and a space would be no path at all.
        key = FILTER_KEYS.get(name, f'metadata."{name}"')
        conditions.append((key, _page(value) if name == "page" else value))
    return conditions


def _page(value: str) -> int:
    # isdigit alone lets in signs that int refuses, and the engines take no number of any length.
    if not (value.isascii() and value.isdigit() and len(value) <= _PAGE_DIGITS):
        raise InputError(
            f"the filter page is {value!r}; wanted a whole number of at most {_PAGE_DIGITS} digits, such"
            " as 12"
        )
    return int(value)


def sentence_rows(vectors: NDArray[np.float32]) -> list[list[float]]:
    """Sentence vectors as the engines take them: one row of zeros when there are none, which they refuse."""
    rows: list[list[float]] = (vectors if len(vectors) else np.zeros((1, vectors.shape[1]))).tolist()
    return rows
