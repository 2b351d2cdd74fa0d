"""What of a catalog a caller may see: `Scope.allows` decides, and SQL only finds what it allows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from ragwright.core.types import Access, Document, Scope
from ragwright.ingest.catalog_sources import read_access
from ragwright.ingest.catalog_tables import chunks, documents, row_document, storable
from ragwright.ingest.catalog_values import ListedDocument

if TYPE_CHECKING:
    from ragwright.ingest.catalog import Catalog


class ScopedDocuments:
    """The documents of a catalog that one caller may see: a `DocumentStore`."""

    def __init__(self, catalog: Catalog, scope: Scope) -> None:
        """Nothing is read yet."""
        self._catalog, self._scope = catalog, scope

    def document(self, document_id: str) -> Document | None:
        """The document as it was last committed; None where there is none, or the caller may not see it."""
        return self._catalog.visible(document_id, self._scope)


def read_visible(connection: sa.Connection, document_id: str, scope: Scope) -> Document | None:
    """A document that a caller may see; None as well where there is none."""
    c = documents.c
    rights = connection.execute(sa.select(c.tenant, c.groups).where(c.id == document_id)).first()
    # Before anything else of the row is read: what is wrong with it is not everyone's business, and how long
    # its text takes to read would tell that there is one.
    if rights is None or not scope.allows(read_access(*rights)):
        return None
    row = connection.execute(sa.select(documents).where(c.id == document_id)).first()
    if row is None or not scope.allows(read_access(row.tenant, row.groups)):  # it changed in between
        return None
    return row_document(row)


def read_kinds(connection: sa.Connection) -> list[Access]:
    """All the different rights that documents have: few, however many documents there are."""
    query = sa.select(documents.c.tenant, documents.c.groups).distinct()
    return [read_access(*row) for row in connection.execute(query)]


def list_documents(
    connection: sa.Connection,
    scope: Scope,
    *,
    kinds: Iterable[Access],
    version: str,
    limit: int,
    after: str,
) -> list[ListedDocument]:
    """A page of the documents that a caller may see, ordered by source and id.

    Args:
        connection: Reads.
        scope: Of the caller.
        kinds: All the rights that documents have.
        version: Index version whose chunks are counted.
        limit: At most this many.
        after: The cursor of the document before the page; "" begins.
    """
    c = documents.c
    source, _, identity = storable(after).rpartition(" ")
    held = sa.select(sa.func.count()).where(chunks.c.version == version, chunks.c.document_id == c.id)
    columns = (c.id, c.source, c.title, c.characters, c.size, c.domain, c.metadata, c.tenant, c.groups)
    query = (
        sa.select(*columns, held.scalar_subquery().label("chunks"))
        .where(_allowed(scope, kinds), (c.source > source) | ((c.source == source) & (c.id > identity)))
        .order_by(c.source, c.id)
        .limit(limit)
    )
    rows = [_listed(row) for row in connection.execute(query)]
    # Some databases compare texts less strictly than a scope does.
    return [row for row in rows if scope.allows(row.access)]


def _allowed(scope: Scope, kinds: Iterable[Access]) -> sa.ColumnElement[bool]:
    """The rows whose rights a scope allows, told by their very values."""
    # Of one tenant an index has the documents in order; of several, that of all documents, which is found
    # where no other can be used.
    several = scope.tenants is None or len(scope.tenants) > 1
    tenant = documents.c.tenant.concat("") if several else documents.c.tenant
    if scope.groups is None:
        return sa.true() if scope.tenants is None else tenant.in_(sorted(scope.tenants))
    allowed = sorted((kind.tenant, json.dumps(kind.groups)) for kind in kinds if scope.allows(kind))
    same_tenant = groupby(allowed, key=lambda pair: pair[0])
    held = {name: [groups for _, groups in pairs] for name, pairs in same_tenant}
    groups = documents.c.groups.concat("")
    return sa.or_(sa.false(), *((tenant == name) & groups.in_(stored) for name, stored in held.items()))


def _listed(row: Any) -> ListedDocument:
    return ListedDocument(
        id=row.id,
        source=row.source,
        title=row.title,
        characters=row.characters,
        bytes=row.size,
        chunks=row.chunks,
        domain=row.domain,
        access=read_access(row.tenant, row.groups),
        metadata=_facts(row),
    )


def _facts(row: Any) -> dict[str, str]:
    """The facts of a document; none where they are damaged, which whoever opens it is told."""
    try:
        facts: dict[str, str] = json.loads(row.metadata)
    except ValueError:
        return {}
    return facts
