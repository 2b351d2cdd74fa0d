"""The index on a Qdrant server: the only importer of `qdrant_client`.

Each index version is a collection of its own, and an alias names the one that answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragwright.core.errors import IndexDamaged, MissingExtra, ServiceError
from ragwright.core.protocols import IndexQuery, Scored, StoredChunk
from ragwright.core.types import Access, Encoding, IndexEntry, Scope
from ragwright.retrieval.answers import best_of, results
from ragwright.retrieval.index_settings import (
    GRAPH_FROM_KILOBYTES,
    MetadataFields,
    Quantization,
    scoped_filter,
    search_params,
    server_graph,
    server_int8,
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

# A server refuses bodies above 32 MB by default; as JSON a float takes about 22 bytes.
_FLOATS_IN_A_REQUEST = 400_000


def connect(url: str, *, api_key: str | None, timeout_seconds: float) -> Any:
    """A client of a server; `:memory:` gives the client's own engine, for tests.

    Raises:
        MissingExtra: qdrant-client is not installed.
    """
    try:
        from qdrant_client import QdrantClient
    except ImportError:
        raise MissingExtra("qdrant-client", "server") from None
    if url == ":memory:":
        return QdrantClient(":memory:")
    return QdrantClient(
        url=url,
        api_key=api_key,
        timeout=max(1, round(timeout_seconds)),
        check_compatibility=False,  # it asks in a thread of its own, and warns where nobody can listen
    )


class ServerIndex:
    """One collection of a Qdrant server."""

    def __init__(
        self, client: Any, collection: str, terms: Terms, *, quantization: Quantization = "none"
    ) -> None:
        from qdrant_client import models

        self._m = models
        self._client = client
        self._collection = collection
        self._terms = terms
        self._rarities = Rarities(self._best, self.count)
        self._quantization = quantization
        self._fields: MetadataFields | None = None  # unknown until something is written
        known = _is_remote(client)  # the client's own engine knows no parameters, and warns of them
        self._parameters = {
            filtered: search_params(models, filtered=filtered) if known else None
            for filtered in (False, True)
        }

    @classmethod
    def create(
        cls,
        client: Any,
        collection: str,
        *,
        dimension: int,
        terms: Terms,
        quantization: Quantization = "none",
    ) -> ServerIndex:
        """Make an empty collection."""
        from qdrant_client import models as m

        int8 = server_int8(m) if quantization == "int8" else None
        vectors = m.VectorParams(size=dimension, distance=m.Distance.DOT, quantization_config=int8)
        _call(
            client.create_collection,
            collection,
            vectors_config={DENSE: vectors},
            hnsw_config=server_graph(m),
            optimizers_config=m.OptimizersConfigDiff(indexing_threshold=GRAPH_FROM_KILOBYTES),
            sparse_vectors_config={SPARSE: m.SparseVectorParams(modifier=m.Modifier.IDF)},
        )
        if _is_remote(client):
            for key in INDEXED_KEYS:
                _call(client.create_payload_index, collection, key, m.PayloadSchemaType.KEYWORD)
            _call(client.create_payload_index, collection, PAGE, m.PayloadSchemaType.INTEGER)
        return cls(client, collection, terms, quantization=quantization)

    @classmethod
    def open(
        cls, client: Any, collection: str, *, terms: Terms, quantization: Quantization = "none"
    ) -> ServerIndex:
        """Open an existing collection; one quantised in another way is changed by the next `optimize`.

        Raises:
            IndexDamaged: It is not there.
            ServiceError: The server does not answer.
        """
        if not _call(client.collection_exists, collection):
            raise IndexDamaged(f"the server has no collection {collection}; run: ragwright ingest --rebuild")
        return cls(client, collection, terms, quantization=quantization)

    def upsert(self, entries: Sequence[IndexEntry]) -> None:
        """Write entries; on return the server has them in its write-ahead log."""
        self._index_fields(entries)
        for part in _requests(entries):
            points = [self._point(entry) for entry in part]
            _call(self._client.upsert, self._collection, points=points, wait=True)
        self._rarities.clear()

    def _index_fields(self, entries: Sequence[IndexEntry]) -> None:
        """Give metadata fields that are seen for the first time a payload index, so that filters are fast."""
        if not _is_remote(self._client):
            return
        if self._fields is None:
            schema = _call(self._client.get_collection, self._collection).payload_schema
            self._fields = MetadataFields(schema)
        for path in self._fields.unseen(entries):
            keyword = self._m.PayloadSchemaType.KEYWORD
            _call(self._client.create_payload_index, self._collection, path, keyword)

    def delete(self, chunk_ids: Sequence[str]) -> None:
        """Remove chunks; unknown ids are ignored."""
        if chunk_ids:
            selector = self._m.PointIdsList(points=list(chunk_ids))
            _call(self._client.delete, self._collection, points_selector=selector, wait=True)
            self._rarities.clear()

    def set_access(self, chunk_ids: Sequence[str], access: Access) -> None:
        """Let chunks be seen by others than before; see `ChunkIndex.set_access`."""
        if chunk_ids:
            payload, points = access_payload(access), list(chunk_ids)
            _call(self._client.set_payload, self._collection, payload=payload, points=points, wait=True)

    def search(
        self,
        dense: NDArray[np.float32] | None,
        terms: Mapping[int, float] | None,
        *,
        limit: int,
        scope: Scope,
        filters: Mapping[str, str],
    ) -> tuple[list[Scored], list[Scored]]:
        """Find the nearest chunks by vector and by words in one request; see `ChunkIndex.search`."""
        return self.search_many([IndexQuery(dense, terms, scope, filters)], limit=limit)[0]

    def search_many(
        self, queries: Sequence[IndexQuery], *, limit: int
    ) -> list[tuple[list[Scored], list[Scored]]]:
        """What `search` finds for each query, in one request; see `ChunkIndex.search_many`."""
        answers = iter(self._batch([each for query in queries for each in self._halves(query, limit)]))
        return [results(query, answers) for query in queries]

    def _halves(self, query: IndexQuery, limit: int) -> Iterator[Any]:
        """The dense half and the lexical one, as far as they are asked for; none for who may see nothing."""
        if query.scope.is_empty:
            return
        condition = scoped_filter(self._m, query.scope, query.filters)
        if query.dense is not None:
            params = self._parameters[condition is not None]
            yield self._request(query.dense.tolist(), DENSE, limit, condition, params=params)
        if query.terms:
            sparse = self._m.SparseVector(indices=list(query.terms), values=list(query.terms.values()))
            yield self._request(sparse, SPARSE, limit, condition)

    def fetch(self, chunk_ids: Sequence[str]) -> dict[str, StoredChunk]:
        """The chunks of these ids with their sentence vectors; unknown ids are left out."""
        records = self._retrieve(chunk_ids, payload=True, vectors=False)
        return {(key := str(record.id)): from_payload(key, record.payload) for record in records}

    def encodings(self, chunk_ids: Sequence[str]) -> dict[str, Encoding]:
        """The stored vectors of these ids; unknown ids are left out."""
        records = self._retrieve(chunk_ids, payload=[PACKED], vectors=[DENSE])
        return {
            (key := str(r.id)): Encoding(np.asarray(r.vector[DENSE], np.float32), unpack(key, r.payload)[-1])
            for r in records
        }

    def rarities(self, terms: Iterable[int]) -> dict[int, float]:
        """Inverse document frequency of terms in the whole collection; see `ChunkIndex.rarities`."""
        return self._rarities.of(terms)

    def _best(self, terms: Sequence[int]) -> list[Best | None]:
        vectors = [self._m.SparseVector(indices=[term], values=[1.0]) for term in terms]
        answers = self._batch([self._request(each, SPARSE, 1, None, vectors=[SPARSE]) for each in vectors])
        return [best_of(answer) for answer in answers]

    def scan(self, batch: int = 256) -> Iterator[list[StoredChunk]]:
        """Every stored chunk, in batches."""
        offset = None
        while True:
            records, offset = _call(
                self._client.scroll,
                self._collection,
                limit=batch,
                offset=offset,
                with_payload=True,
                with_vectors=False,
            )
            if records:
                yield [from_payload(str(r.id), r.payload) for r in records]
            if offset is None:
                return

    def count(self) -> int:
        """How many chunks are stored."""
        return int(_call(self._client.count, self._collection, exact=True).count)

    def optimize(self) -> None:
        """Let the collection take over the present quantisation; all else a server does by itself."""
        if _is_remote(self._client):
            m = self._m
            quantized = server_int8(m) if self._quantization == "int8" else m.Disabled.DISABLED
            changed = {DENSE: m.VectorParamsDiff(quantization_config=quantized)}
            _call(self._client.update_collection, self._collection, vectors_config=changed)

    def graph_is_due(self) -> bool:
        """False: a server builds its graphs by itself, in the background."""
        return False

    def close(self) -> None:
        """Nothing: the client belongs to whoever connected it, and serves other collections as well."""

    def _request(
        self,
        query: Any,
        using: str,
        limit: int,
        condition: Any,
        *,
        vectors: list[str] | None = None,
        params: Any = None,
    ) -> Any:
        return self._m.QueryRequest(
            query=query,
            using=using,
            limit=limit,
            filter=condition,
            params=params,
            with_payload=False,
            with_vector=vectors,
        )

    def _batch(self, requests: Sequence[Any]) -> list[list[Any]]:
        if not requests:
            return []
        answers = _call(self._client.query_batch_points, self._collection, requests=list(requests))
        return [answer.points for answer in answers]

    def _retrieve(
        self, chunk_ids: Sequence[str], *, payload: bool | list[str], vectors: bool | list[str]
    ) -> list[Any]:
        if not chunk_ids:
            return []
        records: list[Any] = _call(
            self._client.retrieve,
            self._collection,
            list(chunk_ids),
            with_payload=payload,
            with_vectors=vectors,
        )
        return records

    def _point(self, entry: IndexEntry) -> Any:
        sparse = self._terms.of_text(entry.chunk.context + entry.chunk.text)
        vectors = {
            DENSE: entry.encoding.vector.tolist(),
            SPARSE: self._m.SparseVector(indices=list(sparse), values=list(sparse.values())),
        }
        payload = to_payload(entry, self._terms.of_parts(entry.chunk))
        return self._m.PointStruct(id=entry.chunk.id, vector=vectors, payload=payload)


def _requests(entries: Sequence[IndexEntry]) -> Iterator[Sequence[IndexEntry]]:
    """Entries in parts that stay below the size a server takes in one request."""
    start, floats = 0, 0
    for place, entry in enumerate(entries):
        # a number in half precision takes an eighth of what a float takes as JSON
        size = entry.encoding.vector.size + entry.encoding.sentences.size // 8
        if place > start and floats + size > _FLOATS_IN_A_REQUEST:
            yield entries[start:place]
            start, floats = place, 0
        floats += size
    if entries:
        yield entries[start:]


def point_alias(client: Any, alias: str, collection: str) -> None:
    """Make an alias name a collection, in one step, so that no query falls between two versions.

    Raises:
        ServiceError: The alias names a collection of another workspace.
    """
    from qdrant_client import models as m

    known = {each.alias_name: each.collection_name for each in _call(client.get_aliases).aliases}
    operations: list[Any] = []
    owner = collection.rpartition("-")[0]
    if alias in known and known[alias].rpartition("-")[0] != owner:
        raise ServiceError(
            f"on the Qdrant server the alias {alias} belongs to {known[alias]}, which another workspace "
            "made; set index.collection to a name of its own"
        )
    if alias in known:
        operations.append(m.DeleteAliasOperation(delete_alias=m.DeleteAlias(alias_name=alias)))
    create = m.CreateAlias(collection_name=collection, alias_name=alias)
    operations.append(m.CreateAliasOperation(create_alias=create))
    _call(client.update_collection_aliases, change_aliases_operations=operations)


def drop_collection(client: Any, collection: str) -> None:
    """Delete a collection; one that is not there is no error."""
    _call(client.delete_collection, collection)


def _is_remote(client: Any) -> bool:
    return type(client._client).__name__ == "QdrantRemote"


def _call(method: Any, *arguments: Any, **named: Any) -> Any:
    """Call the client, and say in one sentence what a failing server answered."""
    from httpx import HTTPError
    from qdrant_client.http.exceptions import ApiException

    try:
        return method(*arguments, **named)
    except (ApiException, HTTPError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ServiceError(
            f"the Qdrant server did not do {method.__name__}: {reason}; check index.url"
        ) from error
