"""The index versions of a workspace: one answers, and a rebuild makes the next one beside it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ragwright.core.errors import IndexDamaged, RagwrightError

if TYPE_CHECKING:
    from ragwright.app.index_engines import IndexEngine
    from ragwright.core.protocols import ChunkIndex
    from ragwright.ingest.catalog import Catalog
    from ragwright.ingest.catalog_values import Manifest, Switch


class IndexVersions:
    """Opens each version once, and keeps it open; for any number of threads."""

    def __init__(self, catalog: Catalog, engine: IndexEngine) -> None:
        """Nothing is opened yet.

        Args:
            catalog: Says what each version holds, and which one answers.
            engine: Where they lie.
        """
        self.engine = engine
        self._catalog = catalog
        self._open: dict[str, ChunkIndex] = {}  # by version
        self._lock = threading.RLock()
        self._users: Counter[str] = Counter()  # by version
        self._unused = threading.Condition(self._lock)

    def open(self, version: str, manifest: Manifest, *, incomplete: bool = False) -> ChunkIndex:
        """A version, opened if it is not; one that has lost chunks only when `incomplete` allows it.

        Raises:
            IndexDamaged: It is gone or broken, or holds less than the catalog says.
        """
        with self._lock:
            if version not in self._open:
                opened = self.engine.open(version, manifest)
                try:
                    if not incomplete:
                        self._check_complete(version, opened)
                except RagwrightError:
                    opened.close()
                    raise
                self._open[version] = opened
            return self._open[version]

    @contextmanager
    def held(self, version: str, manifest: Manifest) -> Iterator[ChunkIndex]:
        """A version that is not closed before the block ends; see `open`."""
        with self._lock:
            index = self.open(version, manifest)
            self._users[version] += 1
        try:
            yield index
        finally:
            with self._unused:
                self._users[version] -= 1
                self._unused.notify_all()

    def _check_complete(self, version: str, index: ChunkIndex) -> None:
        """Refuse an index that lacks chunks: the engine opens a folder that lost files as an empty one."""
        before, stored = self._catalog.counts(version).chunks, index.count()
        # Counted again, since beside a server another process may write between the two counts.
        known = min(before, self._catalog.counts(version).chunks)
        if stored < known:
            raise IndexDamaged(
                f"index {version} holds {stored} of its {known} chunks; run: ragwright ingest --rebuild"
            )

    def create(self, version: str, manifest: Manifest) -> ChunkIndex:
        """Make an empty version, in place of whatever a stopped run left under its name."""
        with self._lock:
            self.drop(version)
            self._open[version] = self.engine.create(version, manifest)
            return self._open[version]

    def make_live(self, version: str, manifest: Manifest, *, switch: Switch | None = None) -> None:
        """Let a version answer from now on; `switch` records that it was promoted, or came back."""
        self.engine.publish(version)
        self._catalog.save_version(version, manifest, live=True, switch=switch)

    def release(self, version: str) -> None:
        """Close a version, if it is open, as soon as nobody uses it; whoever needs it next opens it again."""
        with self._unused:
            self._unused.wait_for(lambda: not self._users[version])
            if version in self._open:
                self._open.pop(version).close()

    def drop(self, version: str) -> None:
        """Delete a version's data and its ledger, as soon as nobody uses it; it need not be there."""
        with self._lock:
            self.release(version)
            self.engine.drop(version)
            self._catalog.drop_version(version)

    def close(self) -> None:
        """Release every version."""
        with self._lock:
            for version in reversed(list(self._open)):
                self.release(version)
