"""What a catalog is made with: its tables, brought up to date in an older database, and its identity."""

from __future__ import annotations

import secrets

import sqlalchemy as sa

from ragwright.core.errors import IndexDamaged
from ragwright.ingest.catalog_tables import (
    SCHEMA_VERSION,
    documents,
    facts,
    failures,
    insert,
    tables,
)
from ragwright.ingest.database import Database

_BEFORE_RIGHTS = 1  # nobody was told apart: every document is open to everyone


def prepare(database: Database) -> None:
    """Make the tables, or let those of an earlier layout have what this one has.

    Raises:
        IndexDamaged: They are of a layout that this program does not know.
    """
    with database.writing() as connection:
        facts.create(connection, checkfirst=True)
        found = connection.execute(sa.select(facts.c.value).where(facts.c.name == "schema")).scalar()
        if found is None:
            insert(connection, facts, [{"name": "schema", "value": str(SCHEMA_VERSION)}])
    if found == str(_BEFORE_RIGHTS):
        with database.writing() as connection:
            _add_rights(connection)
    elif found not in (None, str(SCHEMA_VERSION)):
        raise IndexDamaged(
            f"the catalog has layout {found} and this version of ragwright reads {SCHEMA_VERSION}; "
            "ingest the documents into a new workspace"
        )
    with database.writing() as connection:
        tables.create_all(connection)


def identity_of(connection: sa.Connection) -> str:
    """What names a catalog: eight hex digits, made when it is first asked for."""
    found = connection.execute(sa.select(facts.c.value).where(facts.c.name == "identity")).scalar()
    if found is None:
        found = secrets.token_hex(4)
        insert(connection, facts, [{"name": "identity", "value": found}])
    return str(found)


def _add_rights(connection: sa.Connection) -> None:
    """Add the columns of layout 2, unless another process has done so in the meantime."""
    former = (facts.c.name == "schema") & (facts.c.value == str(_BEFORE_RIGHTS))
    # First of all: it makes the transaction the only one that writes, tables included.
    if not connection.execute(facts.update().where(former).values(value=str(SCHEMA_VERSION))).rowcount:
        return
    for column in (documents.c.tenant, documents.c.groups, failures.c.tenant):
        written = sa.schema.CreateColumn(column).compile(dialect=connection.dialect)
        connection.execute(sa.text(f"ALTER TABLE {column.table.name} ADD COLUMN {written}"))
    for index in documents.indexes:
        if connection.dialect.name == "sqlite":
            index.create(connection)
