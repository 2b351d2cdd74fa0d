"""The ingest: discover, parse, chunk, encode, index, commit.

Parsing runs in child processes, chunking in a thread, and encoding in two, each ahead of the next by a
bounded amount; indexing and committing run in the calling thread. A chunker that cuts by vectors encodes in
its own thread.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ragwright.core.errors import RagwrightError
from ragwright.core.protocols import Chunker
from ragwright.core.types import OPEN, Access, Document
from ragwright.ingest.ahead import ahead
from ragwright.ingest.catalog_values import KnownFile
from ragwright.ingest.discover import Discovery, SourceFile
from ragwright.ingest.parse import HEAVY_SUFFIXES
from ragwright.ingest.prepare import PreparedDocument, cut, document_of
from ragwright.ingest.report import IngestPlan, IngestReport
from ragwright.ingest.rights import give_rights_of_run
from ragwright.ingest.sandbox import ParseLimits, ParseOutcome, parse_files
from ragwright.ingest.stopwatch import Stopwatch
from ragwright.ingest.writer import IndexWriter, Observer, Target, check_free_space

# Characters of the documents that may wait between chunking and encoding: with their blocks and chunks some
# tens of megabytes. Besides, each parsing child holds a document, and so do the threads at both ends.
_AHEAD = 4_000_000
_FORGET_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """How to ingest.

    Attributes:
        domain: Recorded with every document; an unchanged file of another domain is cut again.
        jobs: Parsing children at a time.
        prune: Delete documents below the given paths whose file is gone.
        retry_failed: Try files again that failed before and have not changed.
        limits: Of a parsing child.
        access: Who may see the documents, and the former versions of files that are ingested again: whoever
            ingests for others sees to it that their files have sources of their own. What other tenants
            have is neither looked at nor touched.
        defer_graph: Leave the index as it is where optimising it would build a graph, which takes long; the
            next ingest without this does it.
    """

    domain: str
    jobs: int
    limits: ParseLimits
    prune: bool = True
    retry_failed: bool = False
    access: Access = OPEN
    defer_graph: bool = False


def plan_ingest(
    discovery: Discovery, known: Mapping[str, KnownFile], *, settings: IngestSettings
) -> IngestPlan:
    """Tell new, changed, unchanged and deleted files apart by their content.

    Args:
        discovery: The files.
        known: What is remembered of the tenant that the settings name.
        settings: How they are to be ingested.
    """
    fates = [(file.source, _fate(file, known.get(file.source), settings)) for file in discovery.files]

    def of(*wanted: str) -> tuple[str, ...]:
        return tuple(source for source, fate in fates if fate in wanted)

    found = {file.source for file in discovery.files} | discovery.problems.keys()
    gone = [
        source
        for source in sorted(known)
        if settings.prune and source not in found and discovery.deletes(source)
    ]
    return IngestPlan(
        add=of("add"),
        update=of("update", "rights"),
        skip=of("skip"),
        delete=tuple(gone),
        failed_before={source: known[source].reason or "" for source in of("failed")},
        problems=discovery.problems,
        unsupported=discovery.unsupported,
        rights=of("rights"),
    )


def _fate(file: SourceFile, former: KnownFile | None, settings: IngestSettings) -> str:
    """What becomes of a file: `add`, `update`, `skip`, `rights` or, failed before and unchanged, `failed`."""
    if former is None:
        return "add"
    same = _file_digest(file.path) == former.digest
    if former.reason is not None and same and not settings.retry_failed:
        return "failed"
    if former.reason is not None or not same or former.domain != settings.domain:
        return "update" if former.domain else "add"
    return "skip" if former.access == settings.access else "rights"


def ingest(
    discovery: Discovery,
    target: Target,
    *,
    chunker: Chunker,
    settings: IngestSettings,
    observer: Observer,
) -> IngestReport:
    """Bring the index up to date with the files that were found.

    Every file ends in exactly one count of the report. A file that fails keeps its former version in the
    index, with the rights of this run: they are given first of all, before any file is read. A run that dies
    can be repeated: what it had committed is skipped, what it had written is used.

    Raises:
        InputError: The disk has too little room; everything committed so far stays.
    """
    started = time.perf_counter()
    check_free_space(target.folder, target.free_bytes)
    known = target.catalog.known_files(settings.access.tenant)
    plan = plan_ingest(discovery, known, settings=settings)
    report = _first_counts(plan)
    _announce(plan, len(discovery.files), observer)
    give_rights_of_run(discovery, known, target, access=settings.access)
    _count_rights(plan, report, observer)
    wanted = {*plan.add, *plan.update} - {*plan.rights}
    files = {file.path: file for file in discovery.files if file.source in wanted}
    with IndexWriter(target, former=set(plan.update), report=report, observer=observer) as writer:
        if files:
            _write_files(files, chunker, settings, writer=writer)
        writer.finish()
        # Last, so that a renamed file takes over its vectors.
        report.deleted = _prune(plan.delete, target, tenant=settings.access.tenant)
        if not (settings.defer_graph and target.index.graph_is_due()):
            writer.optimize()
    report.seconds["total"] = time.perf_counter() - started
    return report


def _count_rights(plan: IngestPlan, report: IngestReport, observer: Observer) -> None:
    report.updated += len(plan.rights)
    for source in plan.rights:
        observer.file_done(source, "updated")


def _write_files(
    files: Mapping[Path, SourceFile], chunker: Chunker, settings: IngestSettings, *, writer: IndexWriter
) -> None:
    writer.warm_up()
    stopped = threading.Event()

    def prepare() -> Iterator[PreparedDocument | _Failed]:
        return _prepare(files, chunker, settings, stopwatch=writer.stopwatch, stopped=stopped.is_set)

    with ahead(prepare, weigh=_weight, room=_AHEAD, stopped=stopped) as results:
        for result in results:
            if isinstance(result, PreparedDocument):
                writer.add(result)
            else:
                writer.fail(result.source, result.reason, digest=result.digest, tenant=settings.access.tenant)


def write_all(
    prepare: Callable[[], Iterable[PreparedDocument]], writer: IndexWriter, *, defer_graph: bool = False
) -> None:
    """Write what is prepared in a thread, a bounded amount ahead, and finish the index.

    Args:
        prepare: Gives the documents.
        writer: Not yet entered.
        defer_graph: See `IngestSettings`.
    """
    with writer:
        with ahead(prepare, weigh=_weight, room=_AHEAD) as results:
            for prepared in results:
                writer.add(prepared)
        writer.finish()
        if not (defer_graph and writer.graph_is_due()):
            writer.optimize()


def _weight(result: PreparedDocument | _Failed) -> int:
    """Characters that a result keeps in memory; a document without any counts as one."""
    return 1 if isinstance(result, _Failed) else max(1, len(result.document.text))


def forget(document_ids: Sequence[str], target: Target) -> int:
    """Remove documents from the catalog and their chunks from the index.

    Returns:
        How many chunks were removed.
    """
    removed = 0
    for start in range(0, len(document_ids), _FORGET_AT_ONCE):
        gone = target.catalog.forget(target.version, document_ids[start : start + _FORGET_AT_ONCE])
        target.catalog.set_settled(target.version, settled=False)
        target.index.delete(gone)
        target.catalog.drop_strays(target.version, gone)
        removed += len(gone)
    return removed


@dataclass(frozen=True, slots=True)
class _Failed:
    source: str
    reason: str
    digest: str


def _first_counts(plan: IngestPlan) -> IngestReport:
    """A report of everything that is known before the first file is parsed."""
    return IngestReport(
        skipped=len(plan.skip),
        failures={**plan.problems, **plan.failed_before},
        unsupported=list(plan.unsupported),
    )


def _announce(plan: IngestPlan, files: int, observer: Observer) -> None:
    observer.start(files)
    for source in plan.skip:
        observer.file_done(source, "skipped")
    for source in plan.failed_before:
        observer.file_done(source, "failed")


def _prepare(
    files: Mapping[Path, SourceFile],
    chunker: Chunker,
    settings: IngestSettings,
    *,
    stopwatch: Stopwatch,
    stopped: Callable[[], bool],
) -> Iterator[PreparedDocument | _Failed]:
    """Parse and chunk files, in the order in which parsing ends."""
    heavy = any(path.suffix.lower() in HEAVY_SUFFIXES for path in files)
    limits, jobs = settings.limits, settings.jobs
    for outcome in parse_files(list(files), jobs=jobs, limits=limits, heavy=heavy, stopped=stopped):
        file = files[outcome.path]
        stopwatch.add("parse", outcome.seconds)
        if outcome.parsed is None:
            yield _Failed(file.source, outcome.failure or "failed without a reason", outcome.digest)
            continue
        with stopwatch.timed("chunk"):
            document = document_of(file, outcome.parsed, access=settings.access)
            result = _cut_parsed(document, outcome, chunker=chunker, domain=settings.domain)
        if isinstance(result, PreparedDocument):
            result = replace(result, hidden_characters=outcome.parsed.hidden_characters)
        yield result


def _cut_parsed(
    document: Document, outcome: ParseOutcome, *, chunker: Chunker, domain: str
) -> PreparedDocument | _Failed:
    try:
        return cut(document, chunker, digest=outcome.digest, size=outcome.size, domain=domain)
    except RagwrightError as error:
        return _Failed(document.source, str(error), outcome.digest)


def _file_digest(path: Path) -> str:
    """SHA-256 of a file; empty when it cannot be read, which parsing will then explain."""
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _prune(sources: Sequence[str], target: Target, *, tenant: str) -> int:
    """Remove a tenant's documents, and failures, whose files are gone; count the documents."""
    by_source = target.catalog.sources(tenant)
    ids = [by_source[source] for source in sources if source in by_source]
    target.catalog.clear_failures(sources, tenant=tenant)
    forget(ids, target)
    return len(ids)
