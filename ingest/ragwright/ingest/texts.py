"""Texts that are already canonical, such as the documents of a data set, put into an index as they are."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping

from ragwright.core.errors import InputError
from ragwright.core.protocols import Chunker
from ragwright.core.types import OPEN, Access, Document, Parsed
from ragwright.ingest.catalog import Catalog
from ragwright.ingest.catalog_values import KnownFile
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
    source: str,
    text: str,
    *,
    title: str = "",
    metadata: Mapping[str, str] | None = None,
    access: Access = OPEN,
    markdown: bool | None = None,
) -> Document:
    """A document whose canonical text is the given one, so that spans made elsewhere fit.

    Args:
        source: Its name.
        text: Kept character by character; lone surrogates, which UTF-8 lacks, are replaced one by one.
        title: Shown in citations; "" takes the text's own, or the source's name.
        metadata: Flat facts, usable as search filters.
        access: Who may see it.
        markdown: Whether it is Markdown, else plain text; None: it is when the source ends in `.md`.
    """
    markdown = source.lower().endswith(_MARKDOWN) if markdown is None else markdown
    text = encodable(text)
    # One sign for one sign: the blocks that are found keep the offsets of the text.
    seen = _UNUSUAL.sub(" ", text).encode()
    parsed: Parsed = parse_markdown(seen, source) if markdown else parse_plain(seen, source)
    shown = shown_title(title or parsed.title, source)
    facts = {**(metadata or {}), "type": "md" if markdown else "txt"}
    return Document(document_id(source, access.tenant), source, shown, text, parsed.blocks, facts, access)


def digest_of(document: Document) -> str:
    """Names everything of a document that a later version may have otherwise, but for its rights."""
    facts = json.dumps([document.title, sorted(document.metadata.items())])
    digest = hashlib.sha256(document.text.encode())
    digest.update(b"\x00" + facts.encode())
    return digest.hexdigest()


class FormerTexts:
    """What the catalog holds of documents, asked once for each tenant.

    Attributes:
        replaced: Sources that were asked about, and are there in another form.
    """

    def __init__(self, catalog: Catalog, *, domain: str) -> None:
        """Compare with a catalog.

        Args:
            catalog: Of the workspace.
            domain: That documents are cut by now.
        """
        self._catalog = catalog
        self._domain = domain
        self._known: dict[str, dict[str, KnownFile]] = {}
        self._seen: set[str] = set()
        self.replaced: set[str] = set()

    def holds(self, document: Document, digest: str) -> bool:
        """Whether a document is there just as it is.

        Raises:
            InputError: Another one with its source and tenant was asked about.
        """
        if document.id in self._seen:
            raise InputError(f"two documents are called {document.source}; give each an id of its own")
        self._seen.add(document.id)
        tenant = document.access.tenant
        if tenant not in self._known:
            self._known[tenant] = self._catalog.known_files(tenant)
        former = self._known[tenant].get(document.source)
        if former == KnownFile(digest, self._domain, None, document.access):
            return True
        if former is not None and former.domain:  # else it failed, and there is no document
            self.replaced.add(document.source)
        return False


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

    Those that have not changed since an earlier call are skipped, those whose text, title, facts or rights
    have are replaced, and none is ever deleted.

    Args:
        documents: Each with a source of its own; taken one by one.
        total: How many they are.
        target: Where to write.
        chunker: Cuts them.
        domain: Recorded with every document.
        observer: Told what happens.

    Raises:
        InputError: The disk has too little room, or two documents have one source and tenant; everything
            committed so far stays.
    """
    started = time.perf_counter()
    check_free_space(target.folder, target.free_bytes)
    report = IngestReport()
    observer.start(total)
    former = FormerTexts(target.catalog, domain=domain)
    writer = IndexWriter(target, former=former.replaced, report=report, observer=observer)

    skipped: list[str] = []

    def prepare() -> Iterator[PreparedDocument]:
        for document in documents:
            digest = digest_of(document)
            if former.holds(document, digest):
                skipped.append(document.source)
                continue
            with writer.stopwatch.timed("chunk"):
                size = len(document.text.encode())
                prepared = cut(document, chunker, digest=digest, size=size, domain=domain)
            yield prepared

    write_all(prepare, writer)
    report.skipped += len(skipped)
    for source in skipped:
        observer.file_done(source, "skipped")
    report.seconds["total"] = time.perf_counter() - started
    return report
