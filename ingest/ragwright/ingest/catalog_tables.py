"""The catalog's tables, what is stored in them, and statements that several of its methods share.

With `catalog.py` the only importer of SQLAlchemy.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from ragwright.core.errors import IndexDamaged, InputError
from ragwright.core.types import Access, Block, Document
from ragwright.ingest.catalog_values import CommittedDocument

SCHEMA_VERSION = 2

tables = sa.MetaData()
facts = sa.Table(
    "facts",
    tables,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("value", sa.String, nullable=False),
)
documents = sa.Table(
    "documents",
    tables,
    sa.Column("id", sa.String, primary_key=True),  # a digest of tenant and source, unique together as well
    sa.Column("source", sa.String, nullable=False),
    sa.Column("title", sa.String, nullable=False),
    sa.Column("tenant", sa.String, nullable=False, server_default=""),
    sa.Column("groups", sa.String, nullable=False, server_default="[]"),  # JSON
    sa.Column("text", sa.LargeBinary, nullable=False),  # zlib of UTF-8
    sa.Column("blocks", sa.LargeBinary, nullable=False),  # zlib of JSON rows
    sa.Column("metadata", sa.String, nullable=False),  # JSON
    sa.Column("digest", sa.String, nullable=False),  # SHA-256 of the file
    sa.Column("size", sa.BigInteger, nullable=False),  # bytes of the file
    sa.Column("characters", sa.BigInteger, nullable=False),
    sa.Column("domain", sa.String, nullable=False),
    *(
        # A source can be longer than PostgreSQL takes into a tree; it sorts as quickly without one.
        sa.Index(f"documents_by_{name}", *columns).ddl_if(dialect="sqlite")
        for name, *columns in (
            ("source", "source", "id"),
            ("tenant", "tenant", "source", "id"),
            ("rights", "tenant", "groups"),
        )
    ),
)
chunks = sa.Table(
    "chunks",
    tables,
    sa.Column("version", sa.String, primary_key=True),
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("document_id", sa.String, nullable=False),
    sa.Column("start", sa.Integer, nullable=False),
    sa.Column("end", sa.Integer, nullable=False),
    sa.Column("encoded", sa.String, nullable=False),  # digest of what the encoder read; "" when in doubt
    sa.Index("chunks_by_document", "version", "document_id"),
    sa.Index("chunks_by_encoded", "version", "encoded"),
)
strays = sa.Table(
    "strays",
    tables,
    sa.Column("version", sa.String, primary_key=True),
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("encoded", sa.String, nullable=False),  # as above
)
failures = sa.Table(
    "failures",
    tables,
    sa.Column("source", sa.String, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("digest", sa.String, nullable=False),
    sa.Column("tenant", sa.String, nullable=False, server_default=""),
    # A source can be longer than PostgreSQL takes into a tree.
    sa.Index("failures_by_source", "source", postgresql_using="hash"),
)
versions = sa.Table(
    "index_versions",
    tables,
    sa.Column("version", sa.String, primary_key=True),
    sa.Column("manifest", sa.String, nullable=False),  # JSON
    sa.Column("live", sa.Boolean, nullable=False),
)
behind = sa.Table(  # documents that a version does not hold as they are stored
    "behind",
    tables,
    sa.Column("version", sa.String, primary_key=True),
    sa.Column("document_id", sa.String, primary_key=True),
)
switches = sa.Table(
    "switches",
    tables,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("at", sa.String, nullable=False),
    sa.Column("action", sa.String, nullable=False),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("version", sa.String, nullable=False),
    sa.Column("parts", sa.String, nullable=False),  # JSON
    sa.Column("former", sa.String, nullable=False),  # JSON
)

_PART = 500


def parts(values: Iterable[str]) -> Iterator[list[str]]:
    """Cut values so that each part can be the parameters of one statement, whose number SQLite bounds."""
    items = list(values)
    for start in range(0, len(items), _PART):
        yield items[start : start + _PART]


def storable(text: str) -> str:
    r"""The text with what a database refuses, lone surrogates and NUL, as backslash escapes.

    >>> print(storable("no such file: a\udcff\0"))
    no such file: a\udcff\x00
    """
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def committed_row(committed: CommittedDocument) -> dict[str, Any]:
    """A row of `documents`."""
    document = committed.document
    blocks = [[b.kind, b.start, b.end, b.page, b.level, b.box] for b in document.blocks]
    return {
        "id": document.id,
        "source": document.source,
        "title": storable(document.title),
        "text": zlib.compress(document.text.encode("utf-8", "surrogatepass"), 1),
        "blocks": zlib.compress(json.dumps(blocks).encode(), 1),
        "metadata": json.dumps(dict(document.metadata)),
        "tenant": document.access.tenant,
        "groups": json.dumps(document.access.groups),
        "digest": committed.digest,
        "size": committed.size,
        "characters": len(document.text),
        "domain": committed.domain,
    }


def row_document(row: Any) -> Document:
    """The document of a row of `documents`.

    Raises:
        IndexDamaged: Its text, blocks, metadata or groups cannot be read.
    """
    try:
        text = zlib.decompress(row.text).decode("utf-8", "surrogatepass")
        blocks = tuple(
            Block(kind, start, end, page, level, tuple(box) if box else None)
            for kind, start, end, page, level, box in json.loads(zlib.decompress(row.blocks))
        )
        metadata, access = json.loads(row.metadata), access_of(row.tenant, row.groups)
    except (zlib.error, ValueError, TypeError) as error:
        raise IndexDamaged(
            f"the catalog's copy of {row.source} is damaged ({error}); forget it and ingest it again"
        ) from None
    return Document(row.id, row.source, row.title, text, blocks, metadata, access)


@lru_cache(maxsize=1024)
def access_of(tenant: str, groups: str) -> Access:
    """The rights that a row states: groups as a JSON list.

    Raises:
        ValueError: They cannot be read, which is not the same as open to everyone.
    """
    names = json.loads(groups)
    if not isinstance(names, list):
        raise ValueError("the groups are no list")
    try:
        return Access(tenant, tuple(names))
    except (InputError, TypeError) as error:
        raise ValueError(str(error)) from None


def insert(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, if there are any."""
    if rows:  # without rows SQLAlchemy would insert one of defaults
        connection.execute(table.insert(), rows)


def encoded_by_id(
    connection: sa.Connection, table: sa.Table, version: str, chunk_ids: Iterable[str]
) -> dict[str, str]:
    """What those of these chunks that a table holds were encoded from, by id."""
    found: dict[str, str] = {}
    for part in parts(chunk_ids):
        query = sa.select(table.c.id, table.c.encoded).where(table.c.version == version, table.c.id.in_(part))
        found.update({row.id: row.encoded for row in connection.execute(query)})
    return found


def clear_failures(connection: sa.Connection, sources: Iterable[str], *, tenant: str | None) -> None:
    """Forget the failures of a tenant's sources; None: of every tenant's."""
    for part in parts(sources):
        named = failures.c.source.in_(part)
        connection.execute(failures.delete().where(named & of_tenant(failures, tenant)))


def of_tenant(table: sa.Table, tenant: str | None) -> sa.ColumnElement[bool]:
    """The rows of a tenant; None: of every one."""
    return sa.true() if tenant is None else table.c.tenant == tenant


def remove_strays(connection: sa.Connection, version: str, chunk_ids: Iterable[str]) -> None:
    """Take chunks from the strays."""
    for part in parts(chunk_ids):
        connection.execute(strays.delete().where(strays.c.version == version, strays.c.id.in_(part)))


def replace_strays(connection: sa.Connection, version: str, encoded: Mapping[str, str]) -> None:
    """Make chunks strays, with what they were encoded from."""
    remove_strays(connection, version, encoded)
    rows = [{"version": version, "id": key, "encoded": value} for key, value in encoded.items()]
    insert(connection, strays, rows)
