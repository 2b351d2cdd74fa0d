"""What became of uploaded files, kept beyond the end of the server that took them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from ragwright.app.serve.observation_file import caller_parameters, of_caller, storable

if TYPE_CHECKING:
    from ragwright.app.serve.observation_file import ObservationFile
    from ragwright.app.serve.trace_record import Record
    from ragwright.app.serve.upload_job import Job
    from ragwright.app.serve.values import Caller

_KEPT = 1000  # of one key in one collection
_INTERRUPTED = "the server ended before the file was ingested; upload it again"


class JobRecords:
    """Jobs as JSON, of every collection, in the file of the observations.

    Every method raises ServiceError when the file is unusable, IndexDamaged when it is damaged.
    """

    def __init__(self, file: ObservationFile) -> None:
        """Nothing is read yet."""
        self._file = file

    def add(self, job: Job, *, collection: str) -> None:
        """Keep a job that begins; the oldest of its key beyond a thousand are let go."""
        row = {
            "id": job.id,
            "collection": collection,
            "caller": storable(job.caller),
            "tenant": storable(job.access.tenant),
            "document_id": job.document_id,
            "record": json.dumps(job_record(job, collection=collection)),
            "most": _KEPT,
        }
        with self._file.writing() as connection:
            connection.execute(
                "INSERT INTO jobs (id, collection, caller, tenant, document_id, ended, record)"
                " VALUES (:id, :collection, :caller, :tenant, :document_id, 0, :record)",
                row,
            )
            own = "collection = :collection AND caller = :caller AND tenant = :tenant"
            connection.execute(
                f"DELETE FROM jobs WHERE {own} AND number <= (SELECT number FROM jobs"
                f" WHERE {own} ORDER BY number DESC LIMIT 1 OFFSET :most)",
                row,
            )

    def end(self, record: Record) -> None:
        """Keep how a job ended; one whose document was forgotten meanwhile is not kept again."""
        with self._file.writing() as connection:
            connection.execute(
                "UPDATE jobs SET ended = 1, record = ? WHERE id = ?", (json.dumps(record), record["id"])
            )

    def get(self, job_id: str, caller: Caller, *, collection: str) -> Record | None:
        """A job as it was kept; None where there is none, or it is somebody else's."""
        with self._file.reading() as connection:
            row = connection.execute(
                "SELECT record FROM jobs WHERE id = :id AND collection = :collection" + of_caller(caller),
                caller_parameters(caller, id=job_id, collection=collection),
            ).fetchone()
        return json.loads(row[0]) if row is not None else None

    def of(self, caller: Caller, *, collection: str, limit: int) -> list[Record]:
        """A caller's jobs as they were kept, the newest first."""
        with self._file.reading() as connection:
            rows = connection.execute(
                "SELECT record FROM jobs WHERE collection = :collection"
                + of_caller(caller)
                + " ORDER BY number DESC LIMIT :limit",
                caller_parameters(caller, collection=collection, limit=limit),
            ).fetchall()
        return [json.loads(row[0]) for row in rows]

    def settle(self, collection: str, *, is_there: Callable[[str], bool], before: float, now: float) -> None:
        """End the jobs of servers that ended before them: the document is there, or was never made.

        Args:
            collection: Whose.
            is_there: Whether a document is in the catalog.
            before: Jobs that came later may be of a server that still runs; seconds since 1970.
            now: When they had ended at the latest.
        """
        with self._file.reading() as connection:
            query = "SELECT record FROM jobs WHERE collection = ? AND NOT ended"
            rows = connection.execute(query, (collection,)).fetchall()
        for record in [json.loads(row[0]) for row in rows]:
            if record["created"] < before:
                self.end(_settled(record, ended=now, is_there=is_there(record["document_id"])))


def remove_jobs(connection: sqlite3.Connection, document_ids: Collection[str]) -> None:
    """Forget the jobs that documents came by: they tell their names."""
    connection.executemany("DELETE FROM jobs WHERE document_id = ?", [(each,) for each in document_ids])


def job_record(job: Job, *, collection: str) -> dict[str, Any]:
    """A job as JSON."""
    return {
        "object": "ingest.job",
        "id": job.id,
        "collection": collection,
        "state": job.state,
        "stage": job.stage,
        "name": job.file.name,
        "bytes": job.size,
        "chunks": job.chunks,
        "document_id": job.document_id,
        "documents": _documents(job.document_id, job.file.name, job.outcome, job.reason),
        "graph_is_due": job.graph_is_due,
        "created": job.created,
        "ended": job.ended,
    }


def _documents(document_id: str, name: str, outcome: str | None, reason: str | None) -> Record:
    """What became of a job's document, by kind."""
    kinds = {kind: [document_id] if outcome == kind else [] for kind in ("added", "updated", "unchanged")}
    return {**kinds, "failed": [{"name": name, "reason": reason}] if outcome == "failed" else []}


def _settled(record: Record, *, ended: float, is_there: bool) -> Record:
    """The record of a job whose server ended first."""
    outcome, reason = ("added", None) if is_there else ("failed", _INTERRUPTED)
    return {
        **record,
        "state": "done" if is_there else "failed",
        "stage": "ended",
        "documents": _documents(record["document_id"], record["name"], outcome, reason),
        "ended": ended,
    }
