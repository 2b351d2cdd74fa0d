"""What callers send to a collection, and delete from it."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ragwright.app.live_index import hide_document
from ragwright.app.serve.errors import HttpError
from ragwright.app.serve.upload_files import FOLDER_NAME, Incoming, UploadFiles
from ragwright.app.serve.upload_job import Job
from ragwright.app.serve.upload_jobs import UploadJobs
from ragwright.app.serve.upload_names import shown_name
from ragwright.core.errors import ServiceError
from ragwright.core.types import Access, Document

if TYPE_CHECKING:
    from ragwright.app.serve.collections import Collection, Collections
    from ragwright.app.serve.job_records import JobRecords
    from ragwright.app.serve.metrics import Metrics
    from ragwright.app.serve.multipart import Form
    from ragwright.app.serve.values import Caller

_LOGGER = logging.getLogger("ragwright.serve")
_MOST_KEYS = 10_000
_SHARED_SECONDS = 86_400.0


class Uploads:
    """What callers send to one collection, and delete from it; for any number of threads."""

    def __init__(
        self, collection: Collection, *, kept: JobRecords, told: Callable[[Mapping[str, int]], None]
    ) -> None:
        """Look after what a killed server left; nothing runs until something is uploaded.

        Args:
            collection: Where to.
            kept: Knows the jobs of servers that have ended.
            told: Called with the number of documents by what became of them.
        """
        self.collection = collection
        self._workspace = collection.workspace
        self.files = UploadFiles(self._workspace.folder / FOLDER_NAME)
        self.jobs = UploadJobs(self._workspace, self.files, collection=collection.name, kept=kept, told=told)
        self._keys: OrderedDict[str, tuple[str, str]] = OrderedDict()  # job and what it was, by key
        self._lock = threading.Lock()
        try:
            self.jobs.settle()
            self._clean()
        except ServiceError as error:  # a catalog that is not up yet may come up later
            _LOGGER.warning("uploads of %s are not looked through: %s", collection.name, error)

    def _clean(self) -> None:
        """Delete files that no document was made of."""
        from ragwright.ingest.discover import path_of

        if not self.files.folder.is_dir():
            return
        workspace = self._workspace
        sources = workspace.catalog.names().values() if workspace.exists() else ()
        shared = workspace.config.index.url is not None  # other servers may use the folder as well
        known = {path_of(source, workspace.project) for source in sources}
        self.files.clean(known, older_than=_SHARED_SECONDS if shared else 0.0)

    def accept(self, incoming: Incoming, form: Form, who: Caller, *, key: str | None = None) -> Job:
        """Make a job of a received file; the same key again gives the same job.

        Args:
            incoming: Where its bytes were written.
            form: What came with it.
            who: Sent it.
            key: Names the request, so that it can be sent again.

        Raises:
            HttpError: 403 where the groups are not the caller's, 422 where the key was used for another file.
        """
        from ragwright.ingest.discover import SourceFile, document_id, source_of

        access = narrowed(who, form.fields.get("groups", ()))
        facts = [self.collection.name, form.digest, shown_name(form.name), access.groups]
        named = hashlib.sha256(json.dumps([access.tenant, who.name, key]).encode()).hexdigest()
        with self._lock:  # one at a time, so that of two with one key the second finds the first
            former = self._keys.get(named) if key is not None else None
            if former is not None:
                if former[1] != json.dumps(facts):
                    told = "this Idempotency-Key came with another file; use a new one"
                    raise HttpError(422, told, code="idempotency_key_reused", param="Idempotency-Key")
                if (job := self.jobs.get(former[0], who)) is not None:
                    return job
            path = self.files.keep(incoming, access=access, digest=form.digest, name=form.name)
            source = source_of(path, self._workspace.project)
            file = SourceFile(path, source, shown_name(form.name))
            job = Job(file, access, who.name, document_id(source, access.tenant), form.size)
            if key is not None:
                self._remember(named, job.id, json.dumps(facts))
            self.jobs.add(job)
        return job

    def _remember(self, named: str, job_id: str, facts: str) -> None:
        self._keys[named] = (job_id, facts)
        while len(self._keys) > _MOST_KEYS:
            self._keys.popitem(last=False)

    def delete(self, document: Document) -> bool:
        """Forget a document: it is found no more at once, and is deleted from the index soon after.

        Returns:
            Whether its file was an uploaded one, which is deleted too.

        Raises:
            HttpError: 409 while its file is being ingested.
        """
        from ragwright.ingest.discover import path_of

        with self._lock:
            if self.jobs.is_open(document.source):
                raise HttpError(409, "the document is being ingested; delete it then", code="being_ingested")
            hide_document(self._workspace, document.id)
            removed = self.files.remove(path_of(document.source, self._workspace.project))
        self.jobs.sweep()
        return removed


def uploads_of(collections: Collections, metrics: Metrics, *, kept: JobRecords) -> dict[str, Uploads]:
    """What receives uploads, by the name of the collection; `kept` knows the jobs of earlier servers."""

    def told(name: str) -> Callable[[Mapping[str, int]], None]:
        return lambda counts: metrics.ingested(name, counts)

    return {each.name: Uploads(each, kept=kept, told=told(each.name)) for each in collections}


def narrowed(who: Caller, groups: Sequence[str]) -> Access:
    """Who may see what a caller uploads, given the groups that the upload names.

    Raises:
        HttpError: 403 for a group that is not the caller's.
        InputError: A group has no possible name.
    """
    named = tuple(sorted({each for each in groups if each}))
    if not named:
        return who.access
    own = frozenset(who.access.groups) or who.scope.groups
    if own is not None and not own.issuperset(named):
        raise HttpError(403, "an upload can be given only to groups of its key", param="groups")
    return replace(who.access, groups=named)
