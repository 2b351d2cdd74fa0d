"""The retrievers over index versions: each has its version's index and models, and nothing of another's."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ragwright.app.version_models import Models, VersionModels
    from ragwright.core.protocols import ChunkIndex
    from ragwright.ingest.catalog import Catalog
    from ragwright.ingest.catalog_values import Manifest
    from ragwright.retrieval.search import HybridRetriever

_KEPT = 2  # the one that answers, and the one that is to answer next or did before


@dataclass(frozen=True, slots=True)
class _Made:
    index: ChunkIndex
    manifest: Manifest
    models: VersionModels  # held, so that they stay open
    retriever: HybridRetriever


class Retrievers:
    """Makes a retriever for a version once; for any number of threads."""

    def __init__(self, catalog: Catalog, registry: Models) -> None:
        """Nothing is made yet.

        Args:
            catalog: Of the workspace.
            registry: The models of every version.
        """
        self._catalog = catalog
        self._registry = registry
        self._made: dict[tuple[str, frozenset[tuple[str, str]]], _Made] = {}
        self._lock = threading.RLock()

    def of(self, version: str, manifest: Manifest, index: ChunkIndex) -> HybridRetriever:
        """The retriever over a version, for who may see everything.

        Args:
            version: The index version.
            manifest: What it was made with, and what was promoted.
            index: The version, open.

        Raises:
            ModelError: A model cannot be opened.
        """
        key = version, frozenset(manifest.parts.items())
        found = self._made.get(key)
        if found is None or found.index is not index or found.manifest != manifest:
            with self._lock:
                found = self._made.get(key)
                if found is None or found.index is not index or found.manifest != manifest:
                    self._made.pop(key, None)
                    found = self._made[key] = self._make(version, manifest, index)
                    for oldest in list(self._made)[:-_KEPT]:
                        del self._made[oldest]
        return found.retriever

    def keep_only(self, version: str, manifest: Manifest) -> None:
        """Let go of the retrievers over other versions, and of their models unless somebody uses them."""
        kept = version, frozenset(manifest.parts.items())
        with self._lock:
            for key in [each for each in self._made if each != kept]:
                del self._made[key]

    def _make(self, version: str, manifest: Manifest, index: ChunkIndex) -> _Made:
        from ragwright.app.glossaries import expander
        from ragwright.core.types import OWNER
        from ragwright.retrieval.search import HybridRetriever
        from ragwright.retrieval.terms import Terms

        models = self._registry.of(manifest.parts)
        retriever = HybridRetriever(
            models.queries,
            index,
            Terms(manifest.language),
            scope=OWNER,
            options=models.search_options(),
            expand=expander(manifest.chunkers),
            hidden=lambda: set(self._catalog.strays(version)),
            reranker=lambda method: models.rerankers.open(method),
            reader=lambda: models.reader,
        )
        return _Made(index, manifest, models, retriever)
