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
from functools import lru_cache
from itertools import repeat
from typing import Any

import numpy as np
import pybase64
from numpy.typing import NDArray

from ragwright.core.errors import IndexDamaged, InputError
from ragwright.core.protocols import PartTerms, StoredChunk
from ragwright.core.types import EVERYONE, Access, Chunk, IndexEntry, Scope, Span, Vectors

SCHEMA_VERSION = 3  # raise it when the layout below changes: indexes of another version are refused

DENSE = "text-dense"
SPARSE = "text-sparse-new"
PACKED = "node_info"

TENANT = "tenant"
GROUPS = "groups"  # a list; of a document that is open to everyone of its tenant it holds `EVERYONE`

# Filters on these name a payload key; any other name is looked up in the document's metadata. None of them
# may name `TENANT` or `GROUPS`: what a caller may see is said by a scope alone.
FILTER_KEYS = {"source": "source", "title": "title", "page": "page", "document": "doc_id"}
# Without an index of its own, a filter on a key makes the engine read every payload it passes.
INDEXED_KEYS = ("doc_id", "source", "title", 'metadata."type"', TENANT, GROUPS)
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
        **access_payload(entry.access),
        PACKED: json.dumps({"start": chunk.span.start, "end": chunk.span.end, "packed": _pack(entry, terms)}),
    }


def access_payload(access: Access) -> dict[str, Any]:
    """What is stored of who may see a chunk."""
    return {TENANT: access.tenant, GROUPS: list(access.groups) or [EVERYONE]}


def from_payload(chunk_id: str, payload: Mapping[str, Any]) -> StoredChunk:
    """The stored chunk that `to_payload` describes.

    Raises:
        IndexDamaged: It is not whole.
    """
    edges, terms, vectors = unpack(chunk_id, payload)
    access = _access(chunk_id, payload)
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
    return StoredChunk(
        chunk, payload["source"], payload["title"], payload["metadata"], vectors, terms, access
    )


def _access(chunk_id: str, payload: Mapping[str, Any]) -> Access:
    """Who may see a stored chunk.

    Raises:
        IndexDamaged: It does not say so: that is not the same as everyone.
    """
    try:
        return _known_access(payload[TENANT], tuple(payload[GROUPS]))
    except (KeyError, TypeError, InputError) as error:
        raise IndexDamaged(
            f"the index does not say who may see chunk {chunk_id} ({error}); run: ragwright ingest --rebuild"
        ) from error


@lru_cache(maxsize=1024)
def _known_access(tenant: str, groups: tuple[str, ...]) -> Access:
    if not groups:
        raise InputError("there are no groups")
    return Access(tenant, () if EVERYONE in groups else groups)


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


def scope_conditions(scope: Scope) -> list[tuple[str, list[str]]]:
    """Payload keys, and of each the values of which every result must have one; none for the owner.

    Raises:
        ValueError: The scope is empty. An engine takes a condition without values for none at all, so that
            such a query must not reach it.
    """
    if scope.is_empty:
        raise ValueError("an empty scope has no condition; nothing is to be asked")
    conditions = []
    if scope.tenants is not None:
        conditions.append((TENANT, sorted(scope.tenants)))
    if scope.groups is not None:
        conditions.append((GROUPS, [EVERYONE, *sorted(scope.groups)]))
    return conditions


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
