"""Slices: the chunks that are encoded in one call, several calls at a time, each text only once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from ragwright.core.protocols import Encoder
from ragwright.core.types import Chunk, Encoding, Passage
from ragwright.ingest.catalog_values import LedgerRow
from ragwright.ingest.prepare import PreparedDocument
from ragwright.ingest.stopwatch import Stopwatch

# While one slice is computed the other is tokenised or pooled.
_AT_A_TIME = 2


@dataclass(frozen=True, slots=True)
class PendingChunk:
    """A chunk that is to be written."""

    prepared: PreparedDocument
    chunk: Chunk
    row: LedgerRow

    @property
    def encoding(self) -> Encoding | None:
        """The vectors that cutting made; None when there are none yet."""
        encoded = self.prepared.encoded
        return None if encoded is None else encoded.encodings[self.chunk.id]


@dataclass(slots=True)
class Slice:
    """Chunks that are encoded and written together.

    Attributes:
        chunks: In the order in which they are written.
        new: Of these, one for each text that has to be encoded.
        reused: How many take their vectors from the index or from an equal text.
        known: Vectors by encoded digest; all of them once `encodings` was called.
        borrowed: By digest, the earlier slice in flight that brings these vectors.
        made: The vectors of `new`, in order; None when there is nothing to encode.
    """

    chunks: Sequence[PendingChunk]
    new: Sequence[PendingChunk]
    reused: int
    known: dict[str, Encoding]
    borrowed: dict[str, Slice]
    made: Future[list[Encoding]] | None

    @property
    def ready(self) -> bool:
        """Whether nobody would wait for its vectors."""
        return self.made is None or self.made.done()

    def encodings(self) -> Mapping[str, Encoding]:
        """The vectors of every chunk by encoded digest; waits for them.

        Raises what the encoder raised. Slices that were begun earlier have to be asked before.
        """
        made = self.made.result() if self.made is not None else []
        self.known.update((each.row.encoded, vectors) for each, vectors in zip(self.new, made, strict=True))
        self.known.update((digest, lender.known[digest]) for digest, lender in self.borrowed.items())
        self.made, self.borrowed = None, {}  # the slices it borrowed from can go
        return self.known


class SliceEncoder:
    """Begins slices, and remembers which texts are being encoded."""

    def __init__(
        self,
        encoder: Encoder,
        *,
        stored: Callable[[Collection[str]], Mapping[str, Encoding]],
        stopwatch: Stopwatch,
    ) -> None:
        """Make one; it has threads until it is closed.

        Args:
            encoder: May be called from several threads.
            stored: Finds vectors in the index by encoded digest.
            stopwatch: Told when the encoder works.
        """
        self._encoder, self._stored, self._stopwatch = encoder, stored, stopwatch
        self._threads = ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="encode")
        self._in_flight: dict[str, Slice] = {}  # by encoded digest

    def warm_up(self) -> None:
        """Load the encoder in a thread; what goes wrong is told when something is encoded."""
        self._threads.submit(self._encoder.load)

    def begin(self, chunks: Sequence[PendingChunk]) -> Slice:
        """A slice whose encoding has begun, or will when an earlier one has ended.

        Vectors that cutting made are taken, then those of a slice in flight, then those of the index.
        """
        known = {each.row.encoded: each.encoding for each in chunks if each.encoding is not None}
        given = sum(each.encoding is not None for each in chunks)
        wanted = {each.row.encoded: each for each in chunks if each.encoding is None}
        borrowed = {digest: self._in_flight[digest] for digest in wanted if digest in self._in_flight}
        known |= self._stored(wanted.keys() - borrowed.keys())
        new = [each for digest, each in wanted.items() if digest not in borrowed and digest not in known]
        made = self._threads.submit(self._encode, [Passage.of(each.chunk) for each in new]) if new else None
        begun = Slice(chunks, new, len(chunks) - given - len(new), known, borrowed, made)
        self._in_flight.update((each.row.encoded, begun) for each in new)
        return begun

    def end(self, ended: Slice) -> None:
        """The chunks of a slice are in the index, where their vectors are found from now on."""
        for each in ended.new:
            del self._in_flight[each.row.encoded]

    def close(self) -> None:
        """Give up the slices that wait, and wait for those that are being encoded."""
        self._threads.shutdown(cancel_futures=True)

    def _encode(self, passages: Sequence[Passage]) -> list[Encoding]:
        with self._stopwatch.encoding():
            return self._encoder.encode_passages(passages)
