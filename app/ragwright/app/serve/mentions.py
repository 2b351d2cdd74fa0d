"""Which documents the kept traces mention, and how the text of one that is gone leaves them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection

from ragwright.app.serve.observation_file import opened, packed
from ragwright.app.serve.trace_record import (
    Record,
    documents_of,
    may_quote_any,
    summary_of,
    without_documents,
    without_history,
)

_ANY_DOCUMENT = ""  # mentioned where the text of documents that are not named may stand


def insert_mentions(connection: sqlite3.Connection, number: int, record: Record) -> None:
    """Keep what a trace mentions, by the trace's number."""
    names = documents_of(record) | ({_ANY_DOCUMENT} if may_quote_any(record) else set())
    mentioned = [(each, number) for each in sorted(names)]
    connection.executemany("INSERT INTO mentions (document_id, number) VALUES (?, ?)", mentioned)


def mentioned(connection: sqlite3.Connection, collection: str) -> set[str]:
    """Ids of the documents that the traces of a collection mention."""
    rows = connection.execute(
        "SELECT DISTINCT document_id FROM mentions NATURAL JOIN traces"
        " WHERE document_id != ? AND json_extract(summary, '$.collection') = ?",
        (_ANY_DOCUMENT, collection),
    )
    return {row[0] for row in rows}


def remove_text(connection: sqlite3.Connection, document_ids: Collection[str]) -> None:
    """Take the text of documents out of every trace; at least one document is named."""
    for document_id in (_ANY_DOCUMENT, *document_ids):
        rows = connection.execute(
            "SELECT number, summary, body FROM traces NATURAL JOIN mentions WHERE document_id = ?",
            (document_id,),
        ).fetchall()
        for number, summary, body in rows:
            left = _redacted(opened(body), document_id)
            told = {**json.loads(summary), "query": summary_of(left)["query"]}
            connection.execute(
                "UPDATE traces SET body = ?, summary = ? WHERE number = ?",
                (packed(left), json.dumps(told), number),
            )
        connection.execute("DELETE FROM mentions WHERE document_id = ?", (document_id,))


def _redacted(record: Record, document_id: str) -> Record:
    """A kept record that mentions a document, without what that left in it."""
    if document_id == _ANY_DOCUMENT:
        return without_history(record)
    # A shortened record does not name every document that its texts quote.
    return without_documents(record, documents_of(record) if "shortened" in record else {document_id})


def without_gone(record: Record, document_ids: Collection[str]) -> Record:
    """A whole record without what documents left in it that went while it came about; itself without any."""
    if not document_ids:
        return record
    left = without_history(record) if may_quote_any(record) else record
    return without_documents(left, document_ids)
