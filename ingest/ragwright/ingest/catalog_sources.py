"""What the catalog knows of sources, and how many: several tenants may have the same, a document each."""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa

from ragwright.core.errors import IndexDamaged
from ragwright.core.types import Access
from ragwright.ingest.catalog_tables import access_of, chunks, documents, failures, of_tenant
from ragwright.ingest.catalog_values import CatalogCounts, KnownFile


def read_known_files(connection: sa.Connection, tenant: str) -> dict[str, KnownFile]:
    """What is remembered of every source of a tenant: committed documents and failures.

    Raises:
        IndexDamaged: Some rights cannot be read.
    """
    c = documents.c
    query = sa.select(c.source, c.digest, c.domain, c.tenant, c.groups).where(c.tenant == tenant)
    known = {
        row.source: KnownFile(row.digest, row.domain, access=read_access(row.tenant, row.groups))
        for row in connection.execute(query)
    }
    for row in connection.execute(sa.select(failures).where(of_tenant(failures, tenant))):
        former = known.get(row.source, KnownFile("", access=Access(tenant)))
        known[row.source] = replace(former, digest=row.digest, reason=row.reason)
    return known


def read_tenants(connection: sa.Connection) -> list[str]:
    """Every tenant that has documents or failures, in order."""
    found = sa.union(sa.select(documents.c.tenant), sa.select(failures.c.tenant))
    return sorted(connection.execute(found).scalars())


def read_names(connection: sa.Connection, tenant: str | None = None) -> dict[str, str]:
    """Source by document id, ordered by source and id, of a tenant's documents; None: of all."""
    c = documents.c
    query = sa.select(c.id, c.source).where(of_tenant(documents, tenant)).order_by(c.source, c.id)
    return {row.id: row.source for row in connection.execute(query)}


def read_counts(connection: sa.Connection, version: str | None) -> CatalogCounts:
    """How many documents, characters, bytes, chunks of a version and failures there are."""
    c, count = documents.c, sa.func.count()
    sums = [sa.func.coalesce(sa.func.sum(column), 0) for column in (c.characters, c.size)]
    held = sa.select(count).select_from(chunks).where(chunks.c.version == (version or ""))
    total, characters, size = connection.execute(sa.select(count, *sums).select_from(documents)).one()
    chunk_count = connection.execute(held).scalar_one()
    failed = connection.execute(sa.select(count).select_from(failures)).scalar_one()
    return CatalogCounts(total, int(characters), int(size), chunk_count, failed)


def read_access(tenant: str, groups: str) -> Access:
    """The rights that a row states.

    Raises:
        IndexDamaged: They cannot be read.
    """
    try:
        return access_of(tenant, groups)
    except ValueError as error:
        raise IndexDamaged(
            f"the catalog does not say who may see some documents ({error}); restore it from a backup, or "
            "ingest into a new workspace"
        ) from None
