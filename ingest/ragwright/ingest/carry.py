"""Bringing an index version up to date with what is stored: no file is read, and nothing is parsed.

So a new version is made beside the one that answers, and a former one is made to answer again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from ragwright.core.protocols import Chunker
from ragwright.ingest.pipeline import write_all
from ragwright.ingest.prepare import PreparedDocument, cut
from ragwright.ingest.report import IngestReport
from ragwright.ingest.writer import IndexWriter, Observer, Target, check_free_space


def carry_over(
    target: Target,
    *,
    chunker_for: Callable[[str], Chunker],
    observer: Observer,
    defer_graph: bool = False,
) -> IngestReport:
    """Write the documents that an index version is behind with, and delete what it should hold no more.

    Another version may be written to meanwhile: a document that is changed while it is carried over stays
    behind. A run that dies can be repeated.

    Args:
        target: The version, recorded in the catalog.
        chunker_for: The chunker of a domain.
        observer: Told what happens.
        defer_graph: See `ragwright.ingest.pipeline.IngestSettings`.

    Raises:
        InputError: The disk has too little room.
        IndexDamaged: A stored document cannot be read.
    """
    started = time.perf_counter()
    check_free_space(target.folder, target.free_bytes)
    report = IngestReport()
    wanted = target.catalog.behind(target.version)
    names = target.catalog.names() if wanted else {}
    observer.start(len(wanted))
    writer = IndexWriter(target, former={*names.values()}, report=report, observer=observer, stored=True)

    def prepare() -> Iterator[PreparedDocument]:
        for each in target.catalog.documents(wanted):
            chunker = chunker_for(each.domain)
            with writer.stopwatch.timed("chunk"):
                made = cut(each.document, chunker, digest=each.digest, size=each.size, domain=each.domain)
            yield made

    write_all(prepare, writer, defer_graph=defer_graph)
    report.seconds["total"] = time.perf_counter() - started
    return report
