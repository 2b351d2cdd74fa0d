"""Documents that were read last: answers quote the same few again, and a long one takes long to read."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from ragwright.core.types import Document

CHARACTERS = 16_000_000
"""Of text in all that are remembered: about 50 MB, blocks included."""


class RecentDocuments:
    """Remembers documents for as long as nothing is committed; any number of threads may ask."""

    def __init__(self, *, characters: int = CHARACTERS) -> None:
        """Nothing is remembered yet.

        Args:
            characters: Of text in all; what was asked for longest ago is forgotten first.
        """
        self._characters = characters
        self._lock = threading.Lock()
        self._state: int | None = None
        self._known: OrderedDict[str, Document] = OrderedDict()
        self._held = 0

    def get(self, key: str, state: int | None, read: Callable[[], Document | None]) -> Document | None:
        """A document as it was read in this state, or as it is read now.

        Args:
            key: The document's id.
            state: Of the database, taken before this call; None: it cannot be told; nothing is remembered.
            read: Reads the document.
        """
        with self._lock:
            if state != self._state or state is None:
                self._known.clear()
                self._state, self._held = state, 0
            elif key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        document = read()
        if document is not None and state is not None:
            self._keep(document, state)
        return document

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._known.clear()
            self._state, self._held = None, 0

    def _keep(self, document: Document, state: int) -> None:
        with self._lock:
            if state != self._state or document.id in self._known:
                return
            self._known[document.id] = document
            self._held += len(document.text)
            while self._held > self._characters:
                _, oldest = self._known.popitem(last=False)
                self._held -= len(oldest.text)
