"""Uploaded files on their way into the index: one at a time, in a thread of their own."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from ragwright.app.live_index import AddedFile, add_file, delete_hidden
from ragwright.app.serve.errors import HttpError, without_paths
from ragwright.app.serve.job_records import job_record
from ragwright.app.serve.upload_files import UploadFiles
from ragwright.app.serve.values import LOCAL
from ragwright.core.errors import InputError, RagwrightError
from ragwright.core.lock import workspace_lock

if TYPE_CHECKING:
    from ragwright.app.serve.job_records import JobRecords
    from ragwright.app.serve.trace_record import Record
    from ragwright.app.serve.upload_job import Job, Outcome
    from ragwright.app.serve.values import Caller
    from ragwright.app.workspace import Workspace

_LOGGER = logging.getLogger("ragwright.serve")
MOST_OPEN_OF_KEY = 32  # half of what one collection takes
_PRESENT = 1000  # jobs that have ended and are still known without their records
_WAITS_SECONDS = 600.0  # for another process that writes to the same server
_SHARED_SECONDS = 86_400.0  # after which a job of another server on the same folder has ended


class UploadJobs:
    """The files that were uploaded to one workspace, in the order in which they came."""

    def __init__(
        self,
        workspace: Workspace,
        files: UploadFiles,
        *,
        collection: str,
        kept: JobRecords,
        told: Callable[[Mapping[str, int]], None],
    ) -> None:
        """Nothing runs until something is added.

        Args:
            workspace: Where to.
            files: Where the files lie.
            collection: What the workspace is called.
            kept: Knows the jobs when this server has ended, and those of the servers before it.
            told: Called with the number of documents by what became of them.
        """
        self._workspace = workspace
        self._files = files
        self._collection = collection
        self._kept = kept
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
            ServiceError, IndexDamaged: The job cannot be kept; its file is removed, too.
        """
        try:
            if job.caller != LOCAL.name and self._open_of(job) >= MOST_OPEN_OF_KEY:
                told = f"{MOST_OPEN_OF_KEY} files of this key wait to be ingested; send this one later"
                raise HttpError(429, told, code="too_many_uploads", retry_after=10)
            self._kept.add(job, collection=self._collection)
        except (HttpError, RagwrightError):
            with suppress(RagwrightError, OSError):
                self._drop(job)
            raise
        with self._lock:
            self._jobs[job.id] = job
            ended = [each.id for each in self._jobs.values() if each.ended is not None]
            for key in ended[: len(ended) - _PRESENT]:
                del self._jobs[key]
        self._put(job)

    def settle(self) -> None:
        """Say of jobs that a server before this one left open what became of them.

        Raises:
            ServiceError: The catalog does not answer, or the jobs cannot be read.
        """
        now = time.time()
        shared = self._workspace.config.index.url is not None  # other servers may use the folder as well
        before = now - _SHARED_SECONDS if shared else now
        self._kept.settle(self._collection, is_there=self._is_there, before=before, now=now)

    def _is_there(self, document_id: str) -> bool:
        """Whether a document is whole in the catalog: what is uploaded has an id of its bytes."""
        if not self._workspace.exists():
            return False
        catalog = self._workspace.catalog
        return bool(catalog.digest(document_id)) and document_id not in catalog.being_replaced()

    def sweep(self) -> None:
        """Delete what was hidden from the index, as soon as no file is being ingested."""
        self._put(None)

    def get(self, job_id: str, caller: Caller) -> Job | None:
        """The job; None where there is none, or it is somebody else's."""
        with self._lock:
            job = self._jobs.get(job_id)
        return job if job is not None and job.is_of(caller) else None

    def record(self, job_id: str, caller: Caller) -> Record | None:
        """The job as JSON, also of a server before this one; None where there is none for this caller."""
        job = self.get(job_id, caller)
        if job is not None:
            return job_record(job, collection=self._collection)
        return self._kept.get(job_id, caller, collection=self._collection)

    def records(self, caller: Caller, *, limit: int) -> list[Record]:
        """A caller's jobs as JSON, the newest first, also those of servers before this one."""
        with self._lock:
            present = dict(self._jobs)
        kept = self._kept.of(caller, collection=self._collection, limit=limit)
        return [
            job_record(present[each["id"]], collection=self._collection) if each["id"] in present else each
            for each in kept
        ]

    def graph_is_due(self, caller: Caller) -> bool:
        """What the last job of a caller that ended here says of the index's graph."""
        with self._lock:
            ended = [job for job in self._jobs.values() if job.ended is not None and job.is_of(caller)]
        return bool(ended) and ended[-1].graph_is_due

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
        with ExitStack() as held:
            held.enter_context(self._workspace.writes)  # a promotion waits, or is waited for
            if self._workspace.config.index.url is not None:
                folder = self._workspace.folder
                lock = workspace_lock(folder, purpose="an upload", wait_seconds=_WAITS_SECONDS)
                held.enter_context(lock)
                held.enter_context(self._workspace.catalog.held())
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
        try:
            self._kept.end(job_record(job, collection=self._collection))
        except RagwrightError as error:  # the file is ingested all the same
            _LOGGER.warning("upload %s: how it ended is not kept: %s", job.id, _said(error))
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
