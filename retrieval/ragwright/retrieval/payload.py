"""What is stored beside a chunk's vector: the same in the embedded engine and on a server.

The vector names and the keys `text`, `doc_id` and `node_info` are those that LlamaIndex's `QdrantVectorStore`
reads. `node_info` is JSON in a string: LlamaIndex takes a node's offsets from it, and nothing of it goes into
the node's metadata, which its prompts would show. What a search reads as arrays is packed into it: the
engines return numbers one by one, and a string at once.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from itertools import repeat
from typing import Any

import numpy as np
import pybase64
from numpy.typing import NDArray

from ragwright.core.errors import IndexDamaged, InputError
from ragwright.core.protocols import PartTerms, StoredChunk
from ragwright.core.types import Chunk, IndexEntry, Span, Vectors

SCHEMA_VERSION = 2  # raise it when the layout below changes: indexes of another version are refused

DENSE = "text-dense"
SPARSE = "text-sparse-new"
PACKED = "node_info"

# Filters on these name a payload key; any other name is looked up in the document's metadata.
FILTER_KEYS = {"source": "source", "title": "title", "page": "page", "document": "doc_id"}
# Without an index of its own, a filter on a key makes the engine read every payload it passes.
INDEXED_KEYS = ("doc_id", "source", "title", 'metadata."type"')
PAGE = "page"  # the one key whose values are whole numbers
_PAGE_DIGITS = 9
_BEFORE_PACKED = '"packed": "'
_HEAD = struct.Struct("<3I")  # before the arrays: how many sentences, terms and dimensions

Packed = tuple[NDArray[np.uint32], PartTerms, Vectors]
"""Where sentences start and end, shape (2 * sentences,); the terms; the sentence vectors."""


def to_payload(entry: IndexEntry, terms: PartTerms) -> dict[str, Any]:
    """Everything needed to show an entry, to score its sentences and to check it against its document."""
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
        "metadata": dict(entry.metadata),
        PACKED: json.dumps({"start": chunk.span.start, "end": chunk.span.end, "packed": _pack(entry, terms)}),
    }


def from_payload(chunk_id: str, payload: Mapping[str, Any]) -> StoredChunk:
    """The stored chunk that `to_payload` describes.

    Raises:
        IndexDamaged: It is not whole.
    """
    edges, terms, vectors = unpack(chunk_id, payload)
    document_id, places = payload["doc_id"], edges.tolist()
    chunk = Chunk(
        chunk_id,
        Span(document_id, payload["start"], payload["end"]),
        payload["text"],
        payload["context"],
        tuple(payload["headings"]),
        payload["page"],
        tuple(map(Span, repeat(document_id), places[::2], places[1::2])),
        payload["tokens"],
    )
    return StoredChunk(chunk, payload["source"], payload["title"], payload["metadata"], vectors, terms)


def unpack(chunk_id: str, payload: Mapping[str, Any]) -> Packed:
    """The arrays that `to_payload` packed.

    Raises:
        IndexDamaged: They are not whole.
    """
    try:
        text: str = payload[PACKED]
        packed = pybase64.b64decode(
            text[text.index(_BEFORE_PACKED) + len(_BEFORE_PACKED) : -2], validate=True
        )
        sentences, terms, dimension = _HEAD.unpack_from(packed)
        numbers = np.frombuffer(packed, "<u4", 3 * sentences + 1 + terms, _HEAD.size)
        halves = np.frombuffer(packed, "<f2", offset=_HEAD.size + numbers.nbytes).reshape(-1, dimension)
    except (KeyError, ValueError, struct.error) as error:
        raise IndexDamaged(
            f"what the index holds of chunk {chunk_id} is damaged ({error}); run: ragwright ingest --rebuild"
        ) from error
    terms_of_parts = PartTerms(numbers[3 * sentences + 1 :], numbers[2 * sentences : 3 * sentences + 1])
    return numbers[: 2 * sentences], terms_of_parts, halves.astype(np.float32)


def _pack(entry: IndexEntry, terms: PartTerms) -> str:
    """Arrays as text: base64 of little-endian numbers, the vectors in half precision."""
    vectors = entry.encoding.sentences
    edges = [edge for span in entry.chunk.sentences for edge in (span.start, span.end)]
    numbers = (len(entry.chunk.sentences), len(terms.ids), vectors.shape[1], *edges)
    arrays = (np.array(numbers, "<u4"), terms.ends.astype("<u4"), terms.ids.astype("<u4"))
    parts = (*arrays, vectors.astype("<f2"))
    return pybase64.b64encode_as_string(b"".join(part.tobytes() for part in parts))


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
