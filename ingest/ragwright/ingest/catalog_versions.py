"""What the catalog knows of index versions: which one answers, what each lacks, and what was promoted when.

Documents are stored once and held by every version. A version is *behind* with a document from when another
one is given a newer form of it until it is given that form itself; a version that is made anew is behind
with all of them. What a document was is nobody's any more once it has changed or was forgotten: its chunks
are strays in every version.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

import sqlalchemy as sa

from ragwright.ingest.catalog_tables import (
    behind,
    chunks,
    committed_row,
    documents,
    facts,
    insert,
    parts,
    remove_strays,
    replace_strays,
    strays,
    switches,
    versions,
)
from ragwright.ingest.catalog_values import CommittedDocument, Manifest, Switch
from ragwright.ingest.database import Database

T = TypeVar("T")

# Of a document's row, what tells that it was changed: its text follows the file's digest.
_TELLING = ("digest", "title", "metadata", "tenant", "groups", "domain")


class VersionCatalog:
    """The index versions of a catalog; see `Catalog`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._remembered: dict[str, tuple[int, Any]] = {}  # what every query asks for, by its name

    def live_version(self) -> tuple[str, Manifest] | None:
        """The index version that answers, with its manifest; None before the first ingest."""

        def read() -> tuple[str, Manifest] | None:
            with self._database.reading() as connection:
                row = connection.execute(sa.select(versions).where(versions.c.live)).first()
            return None if row is None else (row.version, _manifest(row))

        return self._unless_changed("live version", read)

    def versions(self) -> list[str]:
        """Every index version, `v2` before `v10`."""
        return list(self.manifests())

    def manifests(self) -> dict[str, Manifest]:
        """The manifest of every index version, `v2` before `v10`."""
        with self._database.reading() as connection:
            found = {row.version: _manifest(row) for row in connection.execute(sa.select(versions))}
        return dict(sorted(found.items(), key=lambda pair: (len(pair[0]), pair[0])))

    def save_version(
        self, version: str, manifest: Manifest, *, live: bool, switch: Switch | None = None
    ) -> None:
        """Record an index version; one that is new here is behind with every document.

        Args:
            version: Its name.
            manifest: What it was made with.
            live: Whether it answers from now on, in place of the one that does.
            switch: The promotion or rollback that this is, recorded in the same transaction.
        """
        row = {"version": version, "manifest": json.dumps(asdict(manifest)), "live": live}
        with self._database.writing() as connection:
            if live:
                connection.execute(versions.update().values(live=False))
            if not connection.execute(versions.delete().where(versions.c.version == version)).rowcount:
                _set_all_behind(connection, version)
            insert(connection, versions, [row])
            if switch is not None:
                told = {**asdict(switch), "parts": json.dumps(dict(switch.parts))}
                insert(connection, switches, [{**told, "former": json.dumps(dict(switch.former))}])

    def drop_version(self, version: str) -> None:
        """Forget an index version with its ledger and strays."""
        with self._database.writing() as connection:
            for table in (versions, chunks, strays, behind):
                connection.execute(table.delete().where(table.c.version == version))
            connection.execute(facts.delete().where(facts.c.name == _unsettled(version)))

    def behind(self, version: str) -> list[str]:
        """Ids of the documents that a version does not hold as they are stored, ordered by source and id."""
        named = sa.select(behind.c.document_id).where(behind.c.version == version)
        query = sa.select(documents.c.id).where(documents.c.id.in_(named))
        with self._database.reading() as connection:
            return list(connection.execute(query.order_by(documents.c.source, documents.c.id)).scalars())

    def switches(self) -> list[Switch]:
        """Every promotion and rollback, in the order in which they were done."""
        columns = [column for column in switches.c if column is not switches.c.number]
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(*columns).order_by(switches.c.number)).all()
        return [
            Switch(**{**row._mapping, "parts": json.loads(row.parts), "former": json.loads(row.former)})
            for row in rows
        ]

    def is_settled(self, version: str) -> bool:
        """Whether an index version was optimised after the last write to it."""
        query = sa.select(facts.c.value).where(facts.c.name == _unsettled(version))
        with self._database.reading() as connection:
            return connection.execute(query).first() is None

    def set_settled(self, version: str, *, settled: bool) -> None:
        """Record that an index version is about to be written, or that it was optimised."""
        with self._database.writing() as connection:
            connection.execute(facts.delete().where(facts.c.name == _unsettled(version)))
            if not settled:
                insert(connection, facts, [{"name": _unsettled(version), "value": ""}])

    def _unless_changed(self, name: str, read: Callable[[], T]) -> T:
        """What was read the last time, or what is read now where anything was committed since."""
        state = self._database.state()  # before reading: a commit in between makes the next call read again
        former = self._remembered.get(name)
        if state is not None and former is not None and former[0] == state:
            value: T = former[1]
            return value
        value = read()
        if state is not None:
            self._remembered[name] = (state, value)
        return value


def set_behind(connection: sa.Connection, document_ids: Sequence[str], *, version: str | None) -> None:
    """Of documents that were changed: every version is behind with them but this one; None: every one."""
    others = _others(connection, version)
    for part in parts(document_ids):
        connection.execute(behind.delete().where(behind.c.document_id.in_(part)))
        rows = [{"version": each, "document_id": key} for each in others for key in part]
        insert(connection, behind, rows)


def retire_elsewhere(connection: sa.Connection, document_ids: Sequence[str], *, version: str) -> None:
    """Make strays of the chunks that all other versions hold of documents."""
    for each in _others(connection, version):
        replace_strays(connection, each, take_out(connection, each, document_ids))


def take_out(connection: sa.Connection, version: str, document_ids: Iterable[str]) -> dict[str, str]:
    """Take documents from the ledger of a version.

    Returns:
        What the chunks that it held of them were encoded from, by their ids.
    """
    held: dict[str, str] = {}
    for part in parts(document_ids):
        former = (chunks.c.version == version) & chunks.c.document_id.in_(part)
        rows = connection.execute(sa.select(chunks.c.id, chunks.c.encoded).where(former))
        held |= {row.id: row.encoded for row in rows}
        connection.execute(chunks.delete().where(former))
    return held


def _others(connection: sa.Connection, version: str | None) -> list[str]:
    every = connection.execute(sa.select(versions.c.version)).scalars().all()
    return [each for each in every if each != version]


def hold(connection: sa.Connection, version: str, held: Sequence[CommittedDocument]) -> list[str]:
    """Write documents' chunks into the ledger of a version, in place of those that it held of them.

    Returns:
        Ids of the chunks that are there no more: strays now.
    """
    current = {row.id: row for each in held for row in each.rows}
    former = take_out(connection, version, [each.document.id for each in held])
    gone = {key: encoded for key, encoded in former.items() if key not in current}
    insert(connection, chunks, [{"version": version, **asdict(row)} for row in current.values()])
    remove_strays(connection, version, current)
    replace_strays(connection, version, gone)
    return list(gone)


def catch_up(connection: sa.Connection, version: str, document_ids: Iterable[str]) -> None:
    """A version holds these documents as they are stored."""
    for part in parts(document_ids):
        held = (behind.c.version == version) & behind.c.document_id.in_(part)
        connection.execute(behind.delete().where(held))


def unchanged(connection: sa.Connection, read: Sequence[CommittedDocument]) -> list[CommittedDocument]:
    """Those of documents read from the catalog that are stored as they were then."""
    rows: dict[str, Any] = {}
    columns = [documents.c.id, *(documents.c[name] for name in _TELLING)]
    for part in parts(each.document.id for each in read):
        found = connection.execute(sa.select(*columns).where(documents.c.id.in_(part)))
        rows.update({row.id: row._mapping for row in found})
    return [each for each in read if _is_as_it_was(each, rows.get(each.document.id))]


def _is_as_it_was(read: CommittedDocument, row: Any) -> bool:
    former = committed_row(read)
    return row is not None and all(row[name] == former[name] for name in _TELLING)


def _set_all_behind(connection: sa.Connection, version: str) -> None:
    every = sa.select(sa.literal(version), documents.c.id)
    connection.execute(behind.insert().from_select(["version", "document_id"], every))


def _manifest(row: Any) -> Manifest:
    return Manifest(**json.loads(row.manifest))


def _unsettled(version: str) -> str:
    return f"unsettled {version}"
