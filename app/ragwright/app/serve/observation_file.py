"""The SQLite file of traces, feedback and uploads: its tables, its transactions, its errors in our words."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragwright.app.serve.trace_record import Record, stored
from ragwright.core.errors import IndexDamaged, ServiceError

if TYPE_CHECKING:
    from ragwright.app.serve.values import Caller

_SCHEMA_VERSION = 2
_OLDER_VERSIONS = (0, 1)  # a new file; one without jobs
_SCHEMA = """
CREATE TABLE IF NOT EXISTS traces (
    number INTEGER PRIMARY KEY,  -- in the order in which answers ended
    id TEXT NOT NULL UNIQUE,
    at REAL NOT NULL,
    caller TEXT NOT NULL,
    tenant TEXT NOT NULL,
    refused INTEGER,  -- NULL without an answer
    rated INTEGER NOT NULL DEFAULT 0,
    summary TEXT NOT NULL,  -- JSON
    body BLOB NOT NULL  -- zlib of JSON
);
CREATE INDEX IF NOT EXISTS traces_by_rated ON traces (rated, number);
CREATE INDEX IF NOT EXISTS traces_by_caller ON traces (tenant, caller, number);
CREATE TABLE IF NOT EXISTS mentions (
    document_id TEXT NOT NULL,
    number INTEGER NOT NULL REFERENCES traces (number) ON DELETE CASCADE,
    PRIMARY KEY (document_id, number)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS mentions_by_number ON mentions (number);
CREATE TABLE IF NOT EXISTS feedback (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    trace_id TEXT NOT NULL REFERENCES traces (id) ON DELETE CASCADE,
    marker INTEGER NOT NULL,  -- 0: the answer as a whole
    caller TEXT NOT NULL,
    rating INTEGER NOT NULL,
    said TEXT NOT NULL,  -- JSON
    UNIQUE (trace_id, marker, caller)
);
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY,  -- in the order in which files came
    id TEXT NOT NULL UNIQUE,
    collection TEXT NOT NULL,
    caller TEXT NOT NULL,
    tenant TEXT NOT NULL,
    document_id TEXT NOT NULL,
    ended INTEGER NOT NULL,
    record TEXT NOT NULL  -- JSON
);
CREATE INDEX IF NOT EXISTS jobs_by_caller ON jobs (collection, tenant, caller, number);
CREATE INDEX IF NOT EXISTS jobs_by_document ON jobs (document_id);
"""


class ObservationFile:
    """One connection, which threads take in turns; readable by the file's owner alone.

    Every method raises ServiceError when the file cannot be used, such as on a full disk, and IndexDamaged
    when it is damaged.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, made when absent; its folder exists.

        Raises:
            IndexDamaged: It was made by another version of Ragwright.
            ServiceError: It is another user's, or no file.
        """
        self._path = path
        self._lock = threading.Lock()
        self._closed = False
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            path.chmod(0o600)  # SQLite gives its other files the mode of this one
        except OSError as error:
            raise ServiceError(f"{path} cannot be opened ({error.strerror}); check its owner") from None
        with self._explained():
            self._connection = sqlite3.connect(
                path, timeout=10, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    def _prepare(self) -> None:
        connection = self._connection
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version in _OLDER_VERSIONS:
            made = f"{_SCHEMA} PRAGMA user_version={_SCHEMA_VERSION}"
            connection.executescript(f"BEGIN IMMEDIATE; {made}; COMMIT")
        elif version != _SCHEMA_VERSION:
            raise IndexDamaged(
                f"{self._path} has layout {version} and this version of ragwright reads {_SCHEMA_VERSION}; "
                "move the file away to begin a new one"
            )

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for this thread alone."""
        with self._lock, self._explained():
            if self._closed:  # what a thread does that outlives the server
                raise ServiceError(f"{self._path} is closed, since the server ends")
            yield self._connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it or nothing."""
        with self.reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def empty_log(self) -> None:
        """Take what was deleted out of the write-ahead log as well, unless another process reads just now."""
        with self.reading() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._closed = True
            self._connection.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what SQLite complains of into errors of ours; SQL that is wrong stays a bug."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise ServiceError(f"{self._path} cannot be used: {error}") from None
        except (sqlite3.DatabaseError, zlib.error) as error:
            if type(error) not in (sqlite3.DatabaseError, zlib.error):
                raise
            raise IndexDamaged(
                f"{self._path} is damaged ({error}); move the file away to begin a new one"
            ) from None


def packed(record: Record) -> bytes:
    """A trace's record as the file holds it."""
    return zlib.compress(stored(record), 1)


def opened(body: bytes) -> Record:
    """What `packed` was given; parts of it where it was too large.

    Raises:
        zlib.error: It is damaged.
    """
    record: Record = json.loads(zlib.decompress(body))
    return record


def storable(text: str) -> str:
    """The text with what SQLite's encoding lacks, lone surrogates, replaced."""
    return text.encode("utf-8", "replace").decode()


def of_caller(caller: Caller) -> str:
    """The condition that leaves a caller the traces and jobs it may see; every query for one ends in it."""
    return "" if caller.sees_all else " AND caller = :caller AND tenant = :tenant"


def caller_parameters(caller: Caller, **others: Any) -> Mapping[str, Any]:
    """What `of_caller` compares with, and other parameters of the query."""
    return {"caller": storable(caller.name), "tenant": storable(caller.access.tenant), **others}
