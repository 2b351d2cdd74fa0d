"""One uploaded file on its way into the index."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ragwright.app.serve.values import Caller
    from ragwright.core.types import Access
    from ragwright.ingest.discover import SourceFile

Stage = Literal["waiting", "reading", "indexing", "finishing", "ended"]
Outcome = Literal["added", "updated", "unchanged", "failed"]


@dataclass(slots=True)
class Job:
    """One uploaded file on its way; what changes is changed by the thread that ingests.

    Attributes:
        file: Where it lies, its source, and the name that is shown.
        access: Who may see it.
        caller: Name and id of the key that sent it.
        document_id: Of the document that it becomes.
        size: In bytes.
        id: 32 hex digits.
        state: Where it stands.
        stage: What is being done.
        chunks: How many are in the index.
        outcome: What became of it; None until it ends.
        reason: Why it failed.
        graph_is_due: Whether the index waits for the next `ragwright ingest` to build its graph.
        created: When it came, seconds since 1970.
        ended: When it ended; None until then.
    """

    file: SourceFile
    access: Access
    caller: str
    document_id: str
    size: int
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    state: Literal["queued", "running", "done", "failed"] = "queued"
    stage: Stage = "waiting"
    chunks: int = 0
    outcome: Outcome | None = None
    reason: str | None = None
    graph_is_due: bool = False
    created: float = field(default_factory=time.time)
    ended: float | None = None

    def is_of(self, caller: Caller) -> bool:
        """Whether a caller may know of it."""
        own = (caller.name, caller.access.tenant)
        return caller.sees_all or own == (self.caller, self.access.tenant)

    # As an `Observer` of the ingest

    def start(self, total_files: int) -> None:
        """See `Observer.start`."""
        self.stage = "reading"

    def chunks_done(self, count: int, tokens: int) -> None:
        """See `Observer.chunks_done`."""
        self.chunks += count
        self.stage = "indexing"

    def file_done(self, source: str, outcome: str) -> None:
        """See `Observer.file_done`."""
        self.stage = "finishing"
