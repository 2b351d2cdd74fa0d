"""Texts that are already canonical, such as the documents of a data set, put into an index as they are."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterable, Iterator, Mapping

from ragwright.core.protocols import Chunker
from ragwright.core.types import Document, Parsed
from ragwright.ingest.discover import document_id
from ragwright.ingest.hidden import INVISIBLE
from ragwright.ingest.markdown import parse_markdown
from ragwright.ingest.pipeline import write_all
from ragwright.ingest.plain import parse_plain
from ragwright.ingest.prepare import PreparedDocument, cut, encodable, shown_title
from ragwright.ingest.report import IngestReport
from ragwright.ingest.writer import IndexWriter, Observer, Target, check_free_space

_MARKDOWN = (".md", ".markdown")
# What parsers take for binary data, remove, or count as one line end where there are two characters.
_UNUSUAL = re.compile(f"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\r{INVISIBLE}]")


def as_document(
    source: str, text: str, *, title: str = "", metadata: Mapping[str, str] | None = None
) -> Document:
    """A document whose canonical text is the given one, so that spans made elsewhere fit.

    Args:
        source: Its name; Markdown when it ends in `.md`, else plain text.
        text: Kept character by character; lone surrogates, which UTF-8 lacks, are replaced one by one.
        title: Shown in citations; "" takes the text's own, or the source's name.
        metadata: Flat facts, usable as search filters.
    """
    markdown = source.lower().endswith(_MARKDOWN)
    text = encodable(text)
    # One sign for one sign: the blocks that are found keep the offsets of the text.
    seen = _UNUSUAL.sub(" ", text).encode()
    parsed: Parsed = parse_markdown(seen, source) if markdown else parse_plain(seen, source)
    shown = shown_title(title or parsed.title, source)
    kind = "md" if markdown else "txt"
    return Document(
        document_id(source), source, shown, text, parsed.blocks, {**(metadata or {}), "type": kind}
    )


def ingest_texts(
    documents: Iterable[Document],
    target: Target,
    *,
    total: int,
    chunker: Chunker,
    domain: str,
    observer: Observer,
) -> IngestReport:
    """Write documents that need no parsing to an index.

    Args:
        documents: Each with a source of its own; taken one by one.
        total: How many they are.
        target: Where to write.
        chunker: Cuts them.
        domain: Recorded with every document.
        observer: Told what happens.

    Raises:
        InputError: The disk has too little room; everything committed so far stays.
    """
    started = time.perf_counter()
    check_free_space(target.folder, target.free_bytes)
    report = IngestReport()
    observer.start(total)
    writer = IndexWriter(target, former=target.catalog.sources(), report=report, observer=observer)

    def prepare() -> Iterator[PreparedDocument]:
        for document in documents:
            data = document.text.encode()
            digest = hashlib.sha256(data).hexdigest()
            with writer.stopwatch.timed("chunk"):
                prepared = cut(document, chunker, digest=digest, size=len(data), domain=domain)
            yield prepared

    write_all(prepare, writer)
    report.seconds["total"] = time.perf_counter() - started
    return report
