"""Changing the live index while it answers: nothing is closed under a query, and no graph is built."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ragwright.app.indexing import index_for

if TYPE_CHECKING:
    from ragwright.app.workspace import Workspace
    from ragwright.core.protocols import ChunkIndex, Encoder
    from ragwright.core.types import Access, Encoding, Passage, Vectors
    from ragwright.ingest.discover import SourceFile
    from ragwright.ingest.report import IngestReport
    from ragwright.ingest.writer import Observer

# Tokens of passages in one call: a query that comes meanwhile waits for its last batches, not for a slice's.
_CALL_TOKENS = 4_096
_CHARACTERS_OF_A_TOKEN = 3  # at the least, in any language that is written in letters


@dataclass(frozen=True, slots=True)
class AddedFile:
    """What became of a file.

    Attributes:
        report: Of its ingest.
        graph_is_due: Whether the index waits for the next `ragwright ingest` to build its graph.
    """

    report: IngestReport
    graph_is_due: bool


def add_file(workspace: Workspace, file: SourceFile, observer: Observer, *, access: Access) -> AddedFile:
    """Bring one file into the live index; no other document is looked at.

    Args:
        workspace: Its index is made when absent.
        file: Where it lies, and what it is called.
        observer: Told what happens.
        access: Who may see it.

    Raises:
        IndexDamaged: See `ragwright.app.indexing.ingest_files`.
        InputError: The disk has too little room.
    """
    from ragwright.ingest.discover import Discovery
    from ragwright.ingest.pipeline import ingest

    version, index = index_for(workspace)
    target = workspace.target(version, index)
    report = ingest(
        Discovery((file,)),
        replace(target, encoder=PatientEncoder(target.encoder)),
        chunker=workspace.chunker(workspace.config.domain),
        settings=workspace.ingest_settings(access=access, defer_graph=True),
        observer=observer,
    )
    return AddedFile(report, index.graph_is_due())


def hide_document(workspace: Workspace, document_id: str) -> None:
    """Forget a document: from now on nobody finds it. Its chunks stay in the index until `delete_hidden`."""
    version, _ = workspace.live()
    workspace.catalog.forget(version, [document_id])


def delete_hidden(workspace: Workspace) -> int:
    """Delete from the index whatever belongs to no document; no ingest may run.

    The engine finds it no more, and gives its space to what comes; until then, or until the index is made
    anew, its bytes may stay in the engine's files.

    Returns:
        How many chunks were deleted.
    """
    version, manifest = workspace.live()
    index = workspace.open_index(version, manifest)
    strays = workspace.catalog.strays(version)
    if strays:
        workspace.catalog.set_settled(version, settled=False)
        index.delete(strays)
        workspace.catalog.drop_strays(version, strays)
        workspace.catalog.empty_log()
    _compact(workspace, version, index)
    return len(strays)


def _compact(workspace: Workspace, version: str, index: ChunkIndex) -> None:
    """Give up the space of what was deleted, where that does not take long."""
    if not workspace.catalog.is_settled(version) and not index.graph_is_due():
        index.optimize()
        workspace.catalog.set_settled(version, settled=True)


class PatientEncoder:
    """An encoder that lets others in between: what it is given at once, it encodes in several short calls."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.fingerprint = encoder.fingerprint
        self.dimension = encoder.dimension
        self.call_tokens = encoder.call_tokens

    def load(self) -> None:
        """See `Encoder.load`."""
        self._encoder.load()

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """See `Encoder.encode_queries`."""
        return self._encoder.encode_queries(texts)

    def encode_passages(self, passages: Sequence[Passage]) -> list[Encoding]:
        """See `Encoder.encode_passages`."""
        return [each for part in _short_calls(passages) for each in self._encoder.encode_passages(part)]


def _short_calls(passages: Sequence[Passage]) -> Iterator[Sequence[Passage]]:
    """Neighbouring passages of about `_CALL_TOKENS`, at least one at a time."""
    start = size = 0
    for place, passage in enumerate(passages):
        size += len(passage.text)
        if size >= _CALL_TOKENS * _CHARACTERS_OF_A_TOKEN:
            yield passages[start : place + 1]
            start, size = place + 1, 0
    if start < len(passages):
        yield passages[start:]
