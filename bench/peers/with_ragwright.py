"""Ragwright's workspace, read after the command has filled it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from peers.contract import Stored

from ragwright.app.workspace import Workspace
from ragwright.core.config import load_config
from ragwright.core.types import OWNER


class Ragwright:
    """A workspace; `ragwright ingest` writes it, so that only reading is left here."""

    def __init__(self, store: Path) -> None:
        flags = {"workspace": store / ".ragwright"}
        self._workspace = Workspace(load_config(flags=flags, file=None, environ=os.environ).config)

    def ingest(self, corpus: Path, changed: Sequence[str]) -> int:
        """Not here: the command is what is measured.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError("run: ragwright ingest")

    def stored(self) -> list[Stored]:
        """Every stored chunk, as the catalog's ledger places it."""
        catalog, (version, _) = self._workspace.catalog, self._workspace.live()
        documents = {each.document.id: each.document for each in catalog.documents()}
        return [
            (
                Path(documents[row.document_id].source).name,
                documents[row.document_id].text[row.start : row.end],
            )
            for row in catalog.ledger(version)
        ]

    def nearest(self, question: str) -> Stored:
        """The nearest chunk."""
        index = self._workspace.open_index(*self._workspace.live())
        vector = self._workspace.encoder.encode_queries([question])[0]
        dense, _ = index.search(vector, None, limit=1, scope=OWNER, filters={})
        stored = index.fetch([dense[0].id])[dense[0].id]
        return Path(stored.source).name, stored.chunk.text
