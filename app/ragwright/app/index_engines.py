"""Where index versions lie: in folders of the workspace, or on a Qdrant server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ragwright.core.protocols import ChunkIndex
    from ragwright.ingest.catalog_values import Manifest
    from ragwright.retrieval.index_settings import Quantization


class IndexEngine(Protocol):
    """What makes, opens and deletes index versions by their names."""

    def open(self, version: str, manifest: Manifest) -> ChunkIndex:
        """An index version.

        Raises:
            IndexDamaged: It is gone or broken.
        """
        ...

    def create(self, version: str, manifest: Manifest) -> ChunkIndex:
        """Make an empty index version; there is none of this name."""
        ...

    def drop(self, version: str) -> None:
        """Delete an index version; one that is not there is no error."""
        ...

    def publish(self, version: str) -> None:
        """Let those who reach the engine without the catalog find this version."""
        ...

    def changed_files(self, version: str) -> Iterator[str]:
        """What differs from the files as they were written, a sentence each, as far as that can be seen."""
        ...


class EmbeddedEngine:
    """Index versions in folders of the workspace; the engine runs in this process."""

    def __init__(self, folder: Path, *, quantization: Quantization) -> None:
        """Nothing is made yet.

        Args:
            folder: Holds one folder for each version.
            quantization: Of the vectors.
        """
        self._folder = folder
        self._quantization = quantization

    def open(self, version: str, manifest: Manifest) -> ChunkIndex:
        """See `IndexEngine.open`."""
        from ragwright.retrieval.edge import EdgeIndex
        from ragwright.retrieval.terms import Terms

        terms = Terms(manifest.language)
        return EdgeIndex.open(self._folder / version, terms=terms, quantization=self._quantization)

    def create(self, version: str, manifest: Manifest) -> ChunkIndex:
        """See `IndexEngine.create`."""
        from ragwright.retrieval.edge import EdgeIndex
        from ragwright.retrieval.terms import Terms

        return EdgeIndex.create(
            self._folder / version,
            dimension=manifest.dimension,
            terms=Terms(manifest.language),
            quantization=self._quantization,
        )

    def drop(self, version: str) -> None:
        """See `IndexEngine.drop`."""
        from ragwright.retrieval.edge import checksums_path

        folder = self._folder / version
        shutil.rmtree(folder, ignore_errors=True)
        checksums_path(folder).unlink(missing_ok=True)

    def publish(self, version: str) -> None:
        """Nobody reaches a folder without its catalog."""

    def changed_files(self, version: str) -> Iterator[str]:
        """See `IndexEngine.changed_files`: compared with the checksums of the last clean close."""
        from ragwright.retrieval.checksums import compare_checksums
        from ragwright.retrieval.edge import checksums_path

        folder = self._folder / version
        for problem in compare_checksums(folder, checksums_path(folder)):
            yield f"{folder}: {problem}"


class ServerEngine:
    """Index versions as collections of a Qdrant server, and an alias for the one that answers."""

    def __init__(self, client: Any, *, alias: str, owner: str, quantization: Quantization) -> None:
        """Use a connected client.

        Args:
            client: See `ragwright.retrieval.server.connect`.
            alias: Names the version that answers; collections are called after it.
            owner: Names the catalog, since workspaces may share a server.
            quantization: Of the vectors.
        """
        self._client = client
        self._alias = alias
        self._owner = owner
        self._quantization = quantization

    def open(self, version: str, manifest: Manifest) -> ChunkIndex:
        """See `IndexEngine.open`.

        Raises:
            IndexDamaged: The collection is not there.
            ServiceError: The server does not answer.
        """
        from ragwright.retrieval.server import ServerIndex
        from ragwright.retrieval.terms import Terms

        terms = Terms(manifest.language)
        collection = self._collection(version)
        return ServerIndex.open(self._client, collection, terms=terms, quantization=self._quantization)

    def create(self, version: str, manifest: Manifest) -> ChunkIndex:
        """See `IndexEngine.create`."""
        from ragwright.retrieval.server import ServerIndex
        from ragwright.retrieval.terms import Terms

        return ServerIndex.create(
            self._client,
            self._collection(version),
            dimension=manifest.dimension,
            terms=Terms(manifest.language),
            quantization=self._quantization,
        )

    def drop(self, version: str) -> None:
        """See `IndexEngine.drop`."""
        from ragwright.retrieval.server import drop_collection

        drop_collection(self._client, self._collection(version))

    def publish(self, version: str) -> None:
        """Let the alias name this version."""
        from ragwright.retrieval.server import point_alias

        point_alias(self._client, self._alias, self._collection(version))

    def changed_files(self, version: str) -> Iterator[str]:
        """Nothing: the server's files are its own."""
        return iter(())

    def _collection(self, version: str) -> str:
        return f"{self._alias}-{self._owner}-{version}"
