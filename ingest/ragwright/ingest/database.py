"""The database under the catalog: connections, its errors in our words, and its one writer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from ragwright.core.errors import IndexDamaged, ServiceError, WorkspaceBusy

_WRITER_KEY = 0x7261677772697465  # "ragwrite", the name of our lock among the database's advisory ones


class Database:
    """SQLite in a file, or any database that SQLAlchemy reaches.

    Every method raises ServiceError when the database does not answer or has no room, and IndexDamaged when
    its file is damaged.
    """

    def __init__(self, url: str | sa.URL) -> None:
        self._watcher: sa.Connection | None = None
        self._watching = threading.Lock()
        embedded = sa.make_url(url).get_backend_name() == "sqlite"
        self._engine = sa.create_engine(url, poolclass=NullPool if embedded else None)
        if embedded:
            sa.event.listen(self._engine, "connect", _prepare_sqlite)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection for queries."""
        with self._explained(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction: all of it or nothing."""
        with self._explained(), self._engine.begin() as connection:
            yield connection

    def state(self) -> int | None:
        """A number that is another one after every commit, whoever made it; None where none is to be had.

        SQLite's `data_version` tells one connection of the commits of all the others, in this process and
        elsewhere; it costs some microseconds, a query on a connection of its own half a millisecond.
        """
        if self._engine.dialect.name != "sqlite":
            return None
        with self._explained(), self._watching:
            if self._watcher is None:
                self._watcher = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            return int(self._watcher.exec_driver_sql("PRAGMA data_version").scalar_one())

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be the only writer, among all machines; SQLite leaves this to the lock of the workspace folder.

        Raises:
            WorkspaceBusy: Another process is.
        """
        if self._engine.dialect.name != "postgresql":
            yield
            return
        with self.reading() as connection:  # the lock belongs to the connection
            if not connection.execute(sa.select(sa.func.pg_try_advisory_lock(_WRITER_KEY))).scalar():
                raise WorkspaceBusy("another process writes to this catalog; wait until it ends")
            connection.commit()
            try:
                yield
            finally:
                connection.execute(sa.select(sa.func.pg_advisory_unlock(_WRITER_KEY)))
                connection.commit()

    def empty_log(self) -> None:
        """Take what was deleted out of SQLite's write-ahead log as well, unless somebody reads just now."""
        if self._engine.dialect.name == "sqlite":
            with self.reading() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def damage(self) -> list[str]:
        """What the database finds wrong with itself; empty when sound."""
        if self._engine.dialect.name != "sqlite":
            return []
        try:
            with self.reading() as connection:
                rows = connection.execute(sa.text("PRAGMA integrity_check")).scalars().all()
        except IndexDamaged as error:
            return [str(error)]
        return [row for row in rows if row != "ok"]

    def close(self) -> None:
        """Release every connection."""
        with self._watching:
            if self._watcher is not None:
                self._watcher.close()
                self._watcher = None
        self._engine.dispose()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what the database complains of into errors of ours; SQL that is wrong stays a bug."""
        try:
            yield
        except sa.exc.OperationalError as error:
            raise ServiceError(f"the catalog {self._engine.url!r} cannot be used: {error.orig}") from None
        except sa.exc.DatabaseError as error:
            if type(error) is not sa.exc.DatabaseError:
                raise
            raise IndexDamaged(
                f"the catalog {self._engine.url!r} is damaged ({error.orig}); restore it from a backup, or "
                "ingest into a new workspace"
            ) from None


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA busy_timeout=10000")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA secure_delete=ON")  # what is forgotten does not stay in the file
    connection.execute("PRAGMA synchronous=FULL")  # a committed document survives a power cut as well
