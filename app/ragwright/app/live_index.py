"""Changing the live index while it answers: nothing is closed under a query, and no graph is built."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ragwright.app.index_building import delete_strays, delete_strays_elsewhere
from ragwright.app.indexing import index_for

if TYPE_CHECKING:
    from ragwright.app.workspace import Workspace
    from ragwright.core.protocols import Encoder
    from ragwright.core.types import Access, Encoding, Passage, Vectors
    from ragwright.ingest.discover import SourceFile
    from ragwright.ingest.report import IngestReport
    from ragwright.ingest.writer import Observer

# How many slices, and how many calls, are made of what would keep the encoder busy: a server that ends waits
# for a slice, and a query for a call. That is a passage alone on a processor, where it costs no more time
# than many at once, and some thousand tokens on a card.
_SLICES, _CALLS = 8, 256
_CHARACTERS_OF_A_TOKEN = 3  # at the least, in any language that is written in letters
_PAUSE_SECONDS = 0.002  # after each call, in which a query takes its place
# Longest time that a thread keeps the interpreter when another one wants it. By default it is ten times as
# long, and a query, which gives the interpreter up at every call of the engine, waits for it each time.
_TURN_SECONDS = 0.0005


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

    From then on the threads of this process take shorter turns: see `sys.setswitchinterval`.

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

    sys.setswitchinterval(min(_TURN_SECONDS, sys.getswitchinterval()))
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
    deleted = delete_strays(workspace, version, workspace.open_index(version, manifest))
    delete_strays_elsewhere(workspace)
    return deleted


class PatientEncoder:
    """An encoder that lets others in between: what it is given at once, it encodes in several short calls."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.fingerprint = encoder.fingerprint
        self.dimension = encoder.dimension
        self.call_tokens = max(1, encoder.call_tokens // _SLICES)
        self._characters = encoder.call_tokens // _CALLS * _CHARACTERS_OF_A_TOKEN

    def load(self) -> None:
        """See `Encoder.load`."""
        self._encoder.load()

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """See `Encoder.encode_queries`."""
        return self._encoder.encode_queries(texts)

    def encode_passages(self, passages: Sequence[Passage]) -> list[Encoding]:
        """See `Encoder.encode_passages`."""
        encodings: list[Encoding] = []
        for part in _parts(passages, characters=self._characters):
            encodings += self._encoder.encode_passages(part)
            time.sleep(_PAUSE_SECONDS)
        return encodings


def _parts(passages: Sequence[Passage], *, characters: int) -> Iterator[Sequence[Passage]]:
    """Neighbouring passages of at most so many characters; a longer one goes alone."""
    start = size = 0
    for place, passage in enumerate(passages):
        size += len(passage.text)
        if size > characters and place > start:
            yield passages[start:place]
            start, size = place, len(passage.text)
    if start < len(passages):
        yield passages[start:]
