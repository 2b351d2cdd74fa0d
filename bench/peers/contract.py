"""What every system of the ingest comparison can be asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

CHUNK_TOKENS = 254
"""Longest chunk: with the two special tokens it fills the 256 that the model reads."""

COLLECTION = "chunks"

Stored = tuple[str, str]
"""File name and text of one stored chunk."""


class System(Protocol):
    """A pipeline from files to a store on disk, opened in a folder of its own."""

    def ingest(self, corpus: Path, changed: Sequence[str]) -> int:
        """Bring the store up to date with the files of a folder; durable on return.

        Args:
            corpus: Folder of text files.
            changed: Names of the files that differ from the last run, for systems that cannot tell.

        Returns:
            How many chunks were written.
        """
        ...

    def stored(self) -> list[Stored]:
        """Every stored chunk, in any order."""
        ...

    def nearest(self, question: str) -> Stored:
        """The chunk whose vector is nearest to a question's."""
        ...


def texts(corpus: Path) -> dict[str, str]:
    """Text by file name, in name order."""
    return {path.name: path.read_bytes().decode() for path in sorted(corpus.iterdir())}
