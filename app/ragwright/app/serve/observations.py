"""What was asked and answered, and what people said of it, kept in the workspace.

One SQLite file beside the catalog, readable by its owner alone. The newest traces are kept: as many without
a rating as the settings say, and as many with one, since those are what training learns from.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, Literal

from ragwright.app.serve.job_records import JobRecords, remove_jobs
from ragwright.app.serve.mentions import insert_mentions, mentioned, remove_text, without_gone
from ragwright.app.serve.observation_file import (
    ObservationFile,
    caller_parameters,
    of_caller,
    opened,
    packed,
    storable,
)
from ragwright.app.serve.trace_record import (
    Record,
    exported,
    shown,
    shown_summary,
    summary_of,
    trace_record,
)
from ragwright.app.serve.values import Caller, Feedback, Trace
from ragwright.core.errors import IndexDamaged, InputError, ServiceError

Rated = Literal["up", "down", "any"]

FILE_NAME = "observations.sqlite3"
_PRUNED_EVERY = 100
_LONGEST_ANSWER_SECONDS = 3600.0  # no answer that began earlier is still being made
_LOGGER = logging.getLogger("ragwright")


class Observations:
    """Traces and feedback of one workspace, for any number of threads.

    A process that dies loses nothing that was kept; a power cut may lose the last seconds.

    Every method but `keep` raises ServiceError when its file is unusable, IndexDamaged when it is damaged.
    """

    def __init__(self, file: Path, *, traces: int) -> None:
        """Open the file, made when absent.

        Args:
            file: Its folder exists.
            traces: How many traces without a rating are kept, and how many with one; 0 keeps none.

        Raises:
            IndexDamaged: It is damaged, or was made by another version of Ragwright.
        """
        self._file = ObservationFile(file)
        self._most = traces
        self._since_pruned = 0
        self._forgotten: dict[str, float] = {}  # seconds since 1970, by document
        self.jobs = JobRecords(self._file)

    @classmethod
    def in_folder(cls, workspace: Path, *, traces: int) -> Observations:
        """The observations of a workspace folder, which is made for its owner alone when absent."""
        workspace.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(workspace / FILE_NAME, traces=traces)

    # Traces

    def keep(self, trace: Trace) -> None:
        """Keep a trace; where that fails the log says so, since an answer is worth more than its trace."""
        if not self._most:
            return
        record = trace_record(trace)
        try:
            with self._file.writing() as connection:
                gone = [each for each, at in self._forgotten.items() if at >= trace.at]
                _insert_trace(connection, without_gone(record, gone))
                self._prune(connection)
        except (ServiceError, IndexDamaged) as error:
            _LOGGER.warning("trace %s is not kept: %s", trace.id, error)

    def trace(self, trace_id: str, caller: Caller) -> Record | None:
        """What a caller is shown of a trace, with its `ratings`; None where there is none for this caller.

        Callers see the traces of their own key; those that see everything, all of them.
        """
        with self._file.reading() as connection:
            query = "SELECT body FROM traces WHERE id = :id" + of_caller(caller)
            row = connection.execute(query, caller_parameters(caller, id=trace_id)).fetchone()
            if row is None:
                return None
            ratings = _ratings(connection, trace_id)
        mine = [each for each in ratings if caller.sees_all or each["caller"] == caller.name]
        return {**shown(opened(row[0]), caller), "ratings": mine}

    def traces(
        self,
        caller: Caller,
        *,
        limit: int,
        before: str | None = None,
        refused: bool | None = None,
        rated: Rated | None = None,
    ) -> list[Record]:
        """Summaries of the traces that a caller sees, the newest first.

        Args:
            caller: See `trace`.
            limit: At most this many.
            before: Id of a trace that the caller sees: only those that ended before it.
            refused: Only refusals, or only answers.
            rated: Only what somebody rated so; `any` is either.

        Returns:
            `id`, `at`, `caller`, `collection`, `generator`, `question`, `query` (empty where it may quote an
            earlier answer), `refused` (None: no answer), `error`, `seconds`, `citations` (their number), `up`
            and `down` (of ratings).
        """
        wanted = "SELECT id, summary FROM traces WHERE 1" + of_caller(caller)
        if before is not None:
            wanted += " AND number < (SELECT number FROM traces WHERE id = :before" + of_caller(caller) + ")"
        if refused is not None:
            wanted += " AND refused = :refused"
        if rated is not None:
            wanted += (
                " AND rated AND EXISTS (SELECT 1 FROM feedback WHERE trace_id = traces.id"
                " AND (:rating = 0 OR rating = :rating))"
            )
        rating = {"up": 1, "down": -1}.get(rated or "", 0)
        given = caller_parameters(caller, before=before, refused=refused, rating=rating, limit=limit)
        with self._file.reading() as connection:
            rows = connection.execute(wanted + " ORDER BY number DESC LIMIT :limit", given).fetchall()
            told = [(key, shown_summary(json.loads(summary), caller)) for key, summary in rows]
            return [{**summary, **_counts(connection, key)} for key, summary in told]

    def mentioned(self, collection: str) -> set[str]:
        """Ids of the documents that the traces of a collection mention."""
        with self._file.reading() as connection:
            return mentioned(connection, collection)

    def forget(self, document_ids: Collection[str]) -> None:
        """Remove the text of documents from every trace, and from the file; and the uploads that they were.

        Answers that are being made meanwhile are kept without it.
        """
        if not document_ids:
            return
        with self._file.writing() as connection:
            now = time.time()
            recent = {k: at for k, at in self._forgotten.items() if at > now - _LONGEST_ANSWER_SECONDS}
            self._forgotten = {**recent, **dict.fromkeys(document_ids, now)}
            remove_text(connection, document_ids)
            remove_jobs(connection, document_ids)
        self._file.empty_log()

    # Feedback

    def add_feedback(self, feedback: Feedback) -> None:
        """Keep a rating; it takes the place of what its caller said of the same answer or citation before.

        Raises:
            InputError: There is no such trace.
        """
        said = {"at": feedback.at, "reasons": list(feedback.reasons), "text": feedback.text}
        row = {
            "id": feedback.id,
            "trace_id": feedback.trace_id,
            "marker": feedback.marker or 0,
            "caller": storable(feedback.caller),
            "rating": feedback.rating,
            "said": json.dumps({**said, "extra": dict(feedback.extra)}),
        }
        with self._file.writing() as connection:
            changed = connection.execute("UPDATE traces SET rated = 1 WHERE id = :trace_id", row)
            if not changed.rowcount:
                raise InputError(f"there is no trace {feedback.trace_id}")
            connection.execute(
                "INSERT INTO feedback (id, trace_id, marker, caller, rating, said)"
                " VALUES (:id, :trace_id, :marker, :caller, :rating, :said)"
                " ON CONFLICT (trace_id, marker, caller)"
                " DO UPDATE SET id = excluded.id, rating = excluded.rating, said = excluded.said",
                row,
            )

    def feedback(self, *, limit: int, before: str | None = None) -> list[Record]:
        """What was said, of every caller, the newest first; for callers that see everything.

        Args:
            limit: At most this many.
            before: Id of a rating: only those that were first given before it.

        Returns:
            `id`, `trace_id`, `rating`, `marker`, `reasons`, `text`, `at`, `caller`, `extra`.
        """
        wanted = "SELECT id, trace_id, marker, caller, rating, said FROM feedback"
        if before is not None:
            wanted += " WHERE number < (SELECT number FROM feedback WHERE id = :before)"
        with self._file.reading() as connection:
            rows = connection.execute(
                wanted + " ORDER BY number DESC LIMIT :limit", {"before": before, "limit": limit}
            )
            return [{"trace_id": row[1], **_rating(row)} for row in rows]

    def export(self, visible: Callable[[Record], Record]) -> Iterator[Record]:
        """Every rated answer, oldest first, as training may take it once a person has reviewed it.

        Args:
            visible: Leaves of a trace what may be told of it; see `forgetting.visible_part`.

        Returns:
            `trace_id`, `at`, `tenant`, `collection`, `generator`, `question`, `history`, `query`, `hits`,
            `answer`, `refused`, `citations`, `ratings`, `redacted`, which is true where a document is gone
            and its text with it, and `reviewed`, which is false: whoever reviews a row sets it.
        """
        number = 0
        while True:
            with self._file.reading() as connection:
                row = connection.execute(
                    "SELECT number, id, body FROM traces WHERE rated AND number > ? ORDER BY number LIMIT 1",
                    (number,),
                ).fetchone()
                if row is None:
                    return
                number, trace_id, body = row
                ratings = _ratings(connection, trace_id)
            yield exported(visible(opened(body)), ratings)

    def close(self) -> None:
        """Release the file."""
        self._file.close()

    def _prune(self, connection: sqlite3.Connection) -> None:
        """Now and then delete the oldest traces beyond what is kept."""
        self._since_pruned += 1
        if self._since_pruned < min(_PRUNED_EVERY, max(1, self._most // 10)):
            return
        self._since_pruned = 0
        for rated in (0, 1):
            connection.execute(
                "DELETE FROM traces WHERE rated = :rated AND number <= (SELECT number FROM traces"
                " WHERE rated = :rated ORDER BY number DESC LIMIT 1 OFFSET :most)",
                {"rated": rated, "most": self._most},
            )


def _insert_trace(connection: sqlite3.Connection, record: Record) -> None:
    answer = record["answer"]
    row = {
        "id": record["id"],
        "at": record["at"],
        "caller": storable(record["caller"]),
        "tenant": storable(record["tenant"]),
        "refused": None if answer is None else answer["refused"],
        "summary": json.dumps(summary_of(record)),
        "body": packed(record),
    }
    connection.execute(
        "INSERT INTO traces (id, at, caller, tenant, refused, summary, body)"
        " VALUES (:id, :at, :caller, :tenant, :refused, :summary, :body)",
        row,
    )
    number = connection.execute("SELECT last_insert_rowid()").fetchone()[0]
    insert_mentions(connection, number, record)


def _ratings(connection: sqlite3.Connection, trace_id: str) -> list[Record]:
    """What was said of an answer and its citations, oldest first."""
    rows = connection.execute(
        "SELECT id, trace_id, marker, caller, rating, said FROM feedback WHERE trace_id = ? ORDER BY number",
        (trace_id,),
    )
    return [_rating(row) for row in rows]


def _rating(row: tuple[Any, ...]) -> Record:
    key, _, marker, caller, rating, said = row
    return {"id": key, "rating": rating, "marker": marker or None, "caller": caller, **json.loads(said)}


def _counts(connection: sqlite3.Connection, trace_id: str) -> Record:
    up, down = connection.execute(
        "SELECT coalesce(sum(rating = 1), 0), coalesce(sum(rating = -1), 0) FROM feedback WHERE trace_id = ?",
        (trace_id,),
    ).fetchone()
    return {"up": up, "down": down}
