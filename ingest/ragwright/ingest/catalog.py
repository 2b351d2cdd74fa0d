"""The catalog: documents, the chunk ledger, failures and index versions.

The ledger says which chunks each index version holds. Between writing a chunk to the index and committing
its document, the chunk is a *stray*: named beforehand, so that a crash leaves nothing in the index that
nobody knows of. Old chunks of an updated document become strays in the same commit, and stop being so when
they are deleted. Whatever is a stray at the next start is deleted, or used again.

A chunk that keeps its id while its document is updated is overwritten in place. Until the commit its
document counts as changed, whatever its file says, and nobody takes vectors from the chunk.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import sqlalchemy as sa

from ragwright.core.errors import InputError
from ragwright.core.types import Access, Document, Scope
from ragwright.ingest.catalog_layout import identity_of, prepare
from ragwright.ingest.catalog_scope import list_documents, read_kinds, read_visible
from ragwright.ingest.catalog_sources import read_counts, read_known_files, read_names, read_tenants
from ragwright.ingest.catalog_tables import (
    behind,
    chunks,
    clear_failures,
    committed_row,
    documents,
    encoded_by_id,
    failures,
    insert,
    of_tenant,
    parts,
    remove_strays,
    replace_strays,
    row_document,
    storable,
    strays,
)
from ragwright.ingest.catalog_values import (
    CatalogCounts,
    CommittedDocument,
    KnownFile,
    LedgerRow,
    ListedDocument,
)
from ragwright.ingest.catalog_versions import (
    VersionCatalog,
    catch_up,
    hold,
    retire_elsewhere,
    set_behind,
    take_out,
    unchanged,
)
from ragwright.ingest.database import Database
from ragwright.ingest.recent_documents import RecentDocuments

# No file has this digest, so that a document which has it is updated by the next ingest.
_BEING_REPLACED = "being replaced"


class Catalog(VersionCatalog):
    """The catalog of one workspace, in SQLite or in any database SQLAlchemy reaches.

    Every method raises ServiceError when the database does not answer or has no room, and IndexDamaged when
    its file is damaged.
    """

    def __init__(self, url: str | sa.URL) -> None:
        super().__init__(Database(url))
        self._recent = RecentDocuments()
        prepare(self._database)

    @classmethod
    def in_folder(cls, workspace: Path) -> Catalog:
        """The SQLite catalog of a workspace folder, made when absent."""
        workspace.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(sa.URL.create("sqlite", database=str(workspace / "catalog.sqlite3")))

    # Documents

    def document(self, document_id: str) -> Document | None:
        """The document as it was last committed, or None."""

        def read() -> Document | None:
            with self._database.reading() as connection:
                row = connection.execute(sa.select(documents).where(documents.c.id == document_id)).first()
            return None if row is None else row_document(row)

        return self._recent.get(document_id, self._database.state(), read)

    def visible(self, document_id: str, scope: Scope) -> Document | None:
        """The document as it was last committed; None where there is none, or the scope does not allow it."""
        if scope.is_empty:
            return None
        with self._database.reading() as connection:
            return read_visible(connection, storable(document_id), scope)

    def digest(self, document_id: str) -> str:
        """SHA-256 of a document's file when it was ingested, in hex; "" where there is no such document."""
        query = sa.select(documents.c.digest).where(documents.c.id == document_id)
        with self._database.reading() as connection:
            return str(connection.execute(query).scalar() or "")

    def listing(self, scope: Scope, *, limit: int, after: str = "") -> list[ListedDocument]:
        """Documents that a scope allows, ordered by source and id, a page at a time.

        Args:
            scope: What the caller may see.
            limit: At most this many, at least 1.
            after: The `cursor` of the last one of the page before; "" begins.
        """
        if limit < 1:
            raise InputError(f"the limit is {limit}; ask for at least one document")
        if scope.is_empty:
            return []
        version, _ = self.live_version() or ("", None)
        with self._database.reading() as connection:
            kinds = self._unless_changed("rights", lambda: read_kinds(connection))
            return list_documents(connection, scope, kinds=kinds, version=version, limit=limit, after=after)

    def set_access(self, document_ids: Iterable[str], access: Access, *, version: str | None = None) -> None:
        """Record who may see documents of the tenant that `access` names; those of another are ignored.

        Args:
            document_ids: The documents.
            access: Who may see them.
            version: The index version that says so already.
        """
        with self._database.writing() as connection:
            for part in parts(document_ids):
                own = documents.c.id.in_(part) & of_tenant(documents, access.tenant)
                connection.execute(documents.update().where(own).values(groups=json.dumps(access.groups)))
                set_behind(connection, part, version=version)

    def documents(self, document_ids: Iterable[str] | None = None) -> Iterator[CommittedDocument]:
        """Documents without ledger rows, in the order of their ids; None: every one, ordered by source.

        Those that are not there, or not any more, are left out.
        """
        wanted = self.names() if document_ids is None else document_ids
        with self._database.reading() as connection:
            for document_id in wanted:
                row = connection.execute(sa.select(documents).where(documents.c.id == document_id)).first()
                if row is not None:
                    yield CommittedDocument(row_document(row), row.digest, row.size, row.domain, ())

    def known_files(self, tenant: str) -> dict[str, KnownFile]:
        """What is remembered of every source of a tenant: committed documents and failures."""
        with self._database.reading() as connection:
            return read_known_files(connection, tenant)

    def tenants(self) -> list[str]:
        """Every tenant that has documents or failures, in order."""
        with self._database.reading() as connection:
            return read_tenants(connection)

    def names(self) -> dict[str, str]:
        """Source by document id, of every tenant's documents, ordered by source and id."""
        with self._database.reading() as connection:
            return read_names(connection)

    def sources(self, tenant: str | None = None) -> dict[str, str]:
        """Document id by source, ordered by source.

        Args:
            tenant: Whose; None: everyone's, and where several tenants have a source, one of them.
        """
        with self._database.reading() as connection:
            return {source: key for key, source in read_names(connection, tenant).items()}

    def being_replaced(self) -> set[str]:
        """Ids of documents whose update was stopped: some of their chunks may be newer than they are."""
        query = sa.select(documents.c.id).where(documents.c.digest == _BEING_REPLACED)
        with self._database.reading() as connection:
            return set(connection.execute(query).scalars())

    # The ledger

    def ledger(self, version: str, document_ids: Sequence[str] | None = None) -> list[LedgerRow]:
        """Chunks that an index version holds, ordered by document and position."""
        c = chunks.c
        query = sa.select(c.id, c.document_id, c.start, c.end, c.encoded).where(c.version == version)
        if document_ids is None:
            queries = [query]
        else:
            queries = [query.where(c.document_id.in_(part)) for part in parts(document_ids)]
        with self._database.reading() as connection:
            rows = [LedgerRow(*row) for each in queries for row in connection.execute(each)]
        return sorted(rows, key=lambda row: (row.document_id, row.start, row.id))

    def declare(self, version: str, rows: Sequence[LedgerRow], *, stored: bool = False) -> None:
        """Name the chunks of documents that are about to be written.

        New ones become strays. Of those that the ledger holds already, the documents count as changed until
        they are committed, and what the chunks were encoded from as unknown where it differs.

        Args:
            version: Index version that they are written to.
            rows: The chunks.
            stored: Whether the documents are written as they are stored: the version is behind with them, and
                nothing else is true of them than before.
        """
        with self._database.writing() as connection:
            ids = [row.id for row in rows]
            owned, stray = (
                encoded_by_id(connection, chunks, version, ids),
                encoded_by_id(connection, strays, version, ids),
            )
            new = {
                row.id: row.encoded if stray.get(row.id, row.encoded) == row.encoded else ""
                for row in rows
                if row.id not in owned
            }
            replace_strays(connection, version, new)
            overwritten = [row.id for row in rows if owned.get(row.id, row.encoded) != row.encoded]
            for part in parts(overwritten):
                doubtful = (chunks.c.version == version) & chunks.c.id.in_(part)
                connection.execute(chunks.update().where(doubtful).values(encoded=""))
            for part in parts({row.document_id for row in rows if row.id in owned and not stored}):
                replaced = documents.update().where(documents.c.id.in_(part))
                connection.execute(replaced.values(digest=_BEING_REPLACED))

    def commit(self, version: str, committed: Sequence[CommittedDocument]) -> list[str]:
        """Make documents the current ones, in one transaction; other versions are behind with them.

        Args:
            version: Index version that holds their chunks.
            committed: Documents with all their chunks.

        Returns:
            Ids of chunks that the former versions held and the new ones do not: strays now, to be deleted.
        """
        ids = [each.document.id for each in committed]
        with self._database.writing() as connection:
            gone = hold(connection, version, committed)
            retire_elsewhere(connection, ids, version=version)
            for part in parts(ids):
                connection.execute(documents.delete().where(documents.c.id.in_(part)))
            insert(connection, documents, [committed_row(each) for each in committed])
            set_behind(connection, ids, version=version)
            for tenant in {each.document.access.tenant for each in committed}:
                own = [each.document for each in committed if each.document.access.tenant == tenant]
                clear_failures(connection, [document.source for document in own], tenant=tenant)
        return gone

    def hold(self, version: str, read: Sequence[CommittedDocument]) -> list[str]:
        """Record that an index version holds documents as they are stored, in one transaction.

        With those that were changed since they were read it stays behind, and their new chunks stay strays.

        Args:
            version: Index version that holds their chunks.
            read: Documents of this catalog, with all their chunks.

        Returns:
            Ids of chunks that it held of them and holds no more: strays now, to be deleted.
        """
        with self._database.writing() as connection:
            held = unchanged(connection, read)
            gone = hold(connection, version, held)
            catch_up(connection, version, [each.document.id for each in held])
        return gone

    def forget(self, version: str, document_ids: Sequence[str]) -> list[str]:
        """Remove documents.

        Returns:
            Ids of the chunks that an index version held of them: strays now, to be deleted from the index.
            What other versions held are strays, too.
        """
        with self._database.writing() as connection:
            for part in parts(document_ids):
                same = (documents.c.source == failures.c.source) & (documents.c.tenant == failures.c.tenant)
                named = sa.exists().where(documents.c.id.in_(part), same)
                connection.execute(failures.delete().where(named))
                connection.execute(documents.delete().where(documents.c.id.in_(part)))
            gone = take_out(connection, version, document_ids)
            replace_strays(connection, version, gone)
            retire_elsewhere(connection, document_ids, version=version)
            for part in parts(document_ids):
                connection.execute(behind.delete().where(behind.c.document_id.in_(part)))
        return list(gone)

    def strays(self, version: str) -> list[str]:
        """Chunks that may be in the index and belong to no document."""

        def read() -> list[str]:
            query = sa.select(strays.c.id).where(strays.c.version == version).order_by(strays.c.id)
            with self._database.reading() as connection:
                return list(connection.execute(query).scalars())

        return list(self._unless_changed(f"strays {version}", read))

    def drop_strays(self, version: str, chunk_ids: Iterable[str]) -> None:
        """Forget strays that are no longer in the index."""
        with self._database.writing() as connection:
            remove_strays(connection, version, chunk_ids)

    def chunks_encoding(self, version: str, encoded: Iterable[str]) -> dict[str, str]:
        """A chunk of the index for each of these digests that one exists for, strays included.

        A stray may never have reached the index.
        """
        found: dict[str, str] = {}
        wanted = list(parts(digest for digest in encoded if digest))
        with self._database.reading() as connection:
            for table in (strays, chunks):  # chunks of the ledger are certain to be there
                for part in wanted:
                    query = sa.select(table.c.encoded, table.c.id).where(
                        table.c.version == version, table.c.encoded.in_(part)
                    )
                    found.update({row.encoded: row.id for row in connection.execute(query)})
        return found

    # Failures

    def record_failure(self, source: str, reason: str, digest: str, *, tenant: str = "") -> None:
        """Remember that a tenant's file could not be ingested."""
        row = {"source": source, "reason": storable(reason), "digest": digest, "tenant": tenant}
        with self._database.writing() as connection:
            clear_failures(connection, [source], tenant=tenant)
            insert(connection, failures, [row])

    def failures(self, tenant: str | None = None) -> dict[str, str]:
        """Reason by source, ordered by source, of a tenant; None: of every one."""
        c = failures.c
        query = sa.select(c.source, c.reason).where(of_tenant(failures, tenant)).order_by(c.source)
        with self._database.reading() as connection:
            return {row.source: row.reason for row in connection.execute(query)}

    def clear_failures(self, sources: Sequence[str], *, tenant: str | None = None) -> None:
        """Forget failures of a tenant; None: of every one."""
        with self._database.writing() as connection:
            clear_failures(connection, sources, tenant=tenant)

    # Looking after it

    def identity(self) -> str:
        """Names this catalog among those that share a server: eight hex digits, made once."""
        with self._database.writing() as connection:
            return identity_of(connection)

    def held(self) -> AbstractContextManager[None]:
        """Be the only writer where several machines reach the catalog; the folder's lock guards SQLite.

        Raises:
            WorkspaceBusy: Another process writes to it.
        """
        return self._database.held()

    def counts(self, version: str | None) -> CatalogCounts:
        """How many documents, characters, bytes, chunks and failures there are."""
        with self._database.reading() as connection:
            return read_counts(connection, version)

    def empty_log(self) -> None:
        """Take what was forgotten out of SQLite's files as well; other databases do so by themselves."""
        self._database.empty_log()

    def damage(self) -> list[str]:
        """What the database finds wrong with itself; empty when sound."""
        return self._database.damage()

    def close(self) -> None:
        """Release the database."""
        self._recent.clear()
        self._remembered.clear()  # another connection counts its changes from the start
        self._database.close()
