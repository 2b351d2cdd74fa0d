"""Uploaded files on their way into the index: one at a time, in a thread of their own."""

from __future__ import annotations

import logging
import queue
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ragwright.app.live_index import AddedFile, add_file, delete_hidden
from ragwright.app.serve.errors import HttpError, without_paths
from ragwright.app.serve.upload_files import UploadFiles
from ragwright.app.serve.values import LOCAL
from ragwright.core.errors import InputError, RagwrightError
from ragwright.core.lock import workspace_lock

if TYPE_CHECKING:
    from ragwright.app.serve.values import Caller
    from ragwright.app.workspace import Workspace
    from ragwright.core.types import Access
    from ragwright.ingest.discover import SourceFile

Stage = Literal["waiting", "reading", "indexing", "finishing", "ended"]
Outcome = Literal["added", "updated", "unchanged", "failed"]

_LOGGER = logging.getLogger("ragwright.serve")
MOST_OPEN_OF_KEY = 32  # half of what one collection takes
_KEPT = 1000  # jobs that have ended
_WAITS_SECONDS = 600.0  # for another process that writes to the same server


@dataclass(slots=True)
class Job:
    """One uploaded file on its way; what changes is changed by the thread that ingests.

    Attributes:
        file: Where it lies, its source, and the name that is shown.
        access: Who may see it.
        caller: Name of the key that sent it.
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


class UploadJobs:
    """The files that were uploaded to one workspace, in the order in which they came."""

    def __init__(
        self, workspace: Workspace, files: UploadFiles, *, told: Callable[[Mapping[str, int]], None]
    ) -> None:
        """Nothing runs until something is added.

        Args:
            workspace: Where to.
            files: Where the files lie.
            told: Called with the number of documents by what became of them.
        """
        self._workspace = workspace
        self._files = files
        self._told = told
        self._lock = threading.Lock()
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._waiting: queue.SimpleQueue[Job | None] = queue.SimpleQueue()  # None: delete what was hidden
        self._thread: threading.Thread | None = None
        self._closed = False

    def add(self, job: Job) -> None:
        """Take a job over; its file lies where it says.

        Raises:
            HttpError: 429 where too many jobs of its sender have not ended; its file is removed then.
        """
        if job.caller != LOCAL.name and self._open_of(job) >= MOST_OPEN_OF_KEY:
            with suppress(RagwrightError, OSError):
                self._drop(job)
            told = f"{MOST_OPEN_OF_KEY} files of this key wait to be ingested; send this one later"
            raise HttpError(429, told, code="too_many_uploads", retry_after=10)
        with self._lock:
            self._jobs[job.id] = job
            ended = [each.id for each in self._jobs.values() if each.ended is not None]
            for key in ended[: len(ended) - _KEPT]:
                del self._jobs[key]
        self._put(job)

    def sweep(self) -> None:
        """Delete what was hidden from the index, as soon as no file is being ingested."""
        self._put(None)

    def get(self, job_id: str, caller: Caller) -> Job | None:
        """The job; None where there is none, or it is somebody else's."""
        with self._lock:
            job = self._jobs.get(job_id)
        return job if job is not None and job.is_of(caller) else None

    def of(self, caller: Caller, *, limit: int) -> list[Job]:
        """A caller's jobs, the newest first."""
        with self._lock:
            return [job for job in reversed(self._jobs.values()) if job.is_of(caller)][:limit]

    def open(self) -> int:
        """How many jobs have not ended."""
        with self._lock:
            return sum(job.ended is None for job in self._jobs.values())

    def _open_of(self, job: Job) -> int:
        """How many jobs of a job's sender have not ended."""
        with self._lock:
            return sum(each.ended is None and each.caller == job.caller for each in self._jobs.values())

    def is_open(self, source: str) -> bool:
        """Whether a job that has not ended brings this source."""
        with self._lock:
            return any(job.ended is None and job.file.source == source for job in self._jobs.values())

    def close(self, *, seconds: float) -> None:
        """Begin no further job, and wait for the one that runs; a crash there loses nothing but itself."""
        with self._lock:
            self._closed, thread = True, self._thread
        self._waiting.put(None)
        if thread is not None:
            thread.join(seconds)

    def _put(self, job: Job | None) -> None:
        with self._lock:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._work, name="uploads", daemon=True)
                self._thread.start()
        self._waiting.put(job)

    def _work(self) -> None:
        while True:
            job = self._waiting.get()
            if self._closed:
                return
            try:
                with self._writing():
                    self._sweep() if job is None else self._run(job)
            except Exception as error:  # noqa: BLE001 - the door of this thread: the next job has its turn
                _LOGGER.error("upload %s: %s", job.id if job else "-", _said(error))
                if job is not None:
                    self._end(job, "failed", reason=_told(error))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Be the only writer: beside a Qdrant server the workspace is not held all the time."""
        if self._workspace.config.index.url is None:
            yield
            return
        lock = workspace_lock(self._workspace.folder, purpose="an upload", wait_seconds=_WAITS_SECONDS)
        with lock, self._workspace.catalog.held():
            yield

    def _sweep(self) -> None:
        if self._workspace.existing_live() is not None:
            delete_hidden(self._workspace)

    def _run(self, job: Job) -> None:
        job.state = "running"
        added = add_file(self._workspace, job.file, job, access=job.access)
        reason = added.report.failures.get(job.file.source)
        job.graph_is_due = added.graph_is_due
        if reason is None:
            self._end(job, _outcome(added))
        else:
            self._end(job, "failed", reason=without_paths(reason))

    def _end(self, job: Job, outcome: Outcome, *, reason: str | None = None) -> None:
        if outcome == "failed":
            with suppress(RagwrightError, OSError):  # what stays behind goes at the next start
                self._drop(job)
        with self._lock:
            job.outcome, job.reason, job.stage = outcome, reason, "ended"
            job.state = "failed" if outcome == "failed" else "done"
            job.ended = time.time()
        self._told({outcome: 1})

    def _drop(self, job: Job) -> None:
        """Forget a file that became no document, unless another job is to try it."""
        with self._lock:
            others = [each for each in self._jobs.values() if each.ended is None and each is not job]
            if any(each.file.source == job.file.source for each in others):
                return
        catalog = self._workspace.catalog
        if not catalog.digest(job.document_id):
            self._files.remove(job.file.path)
        catalog.clear_failures([job.file.source], tenant=job.access.tenant)


def _outcome(added: AddedFile) -> Outcome:
    report = added.report
    if report.added:
        return "added"
    return "updated" if report.updated else "unchanged"


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _told(error: Exception) -> str:
    """What the sender is told: only what the sender can mend is told in full."""
    if isinstance(error, InputError):
        return without_paths(str(error))
    if isinstance(error, RagwrightError):
        return "the collection cannot be written just now; its operator finds the reason in the server's log"
    return "an error of the server; its log says more"


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
        "documents": {
            "added": [job.document_id] if job.outcome == "added" else [],
            "updated": [job.document_id] if job.outcome == "updated" else [],
            "unchanged": [job.document_id] if job.outcome == "unchanged" else [],
            "failed": [{"name": job.file.name, "reason": job.reason}] if job.outcome == "failed" else [],
        },
        "graph_is_due": job.graph_is_due,
        "created": job.created,
        "ended": job.ended,
    }
