"""Chunks of sentences that mean alike, found by the vectors that a document is encoded to anyway.

The document is encoded once, in *windows*: the chunks that `structure` would make of about the encoder's
limit. Each gives one late-pooled vector per sentence. Then neighbouring sentences are grouped so that their
vectors agree, and the vector of a group is pooled from those of its sentences (Günther et al. 2024, "Late
Chunking", arXiv:2409.04701): nothing is encoded a second time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ragwright.core.protocols import EncodedChunks, Encoder
from ragwright.core.types import Chunk, Encoding, Passage, Vector, Vectors
from ragwright.ingest.outline import Unit
from ragwright.ingest.packing import Budget
from ragwright.ingest.ruler import TokenRuler
from ragwright.ingest.sentences import Range

WINDOW_TOKENS = 512
"""Longest window, whatever the encoder reads: the memory of attention grows with the square of the length."""

# What a cut costs, as a share of the budget: chosen on the five corpora of the token-IoU report.
_CUT = 0.05
# Parts of that cost where a heading begins, and behind one.
_BEFORE_HEADING, _BEHIND_HEADING = 0.25, 4.0
# Borders of windows after which their effect on the vectors is half believed.
_BORDERS = 8


class WindowedSentences:
    """The sentences of a document with their vectors; each window is encoded once, all in one call.

    Args:
        pieces: Sentences, in text order; those beyond the budget of a chunk divided.
        windows: What was encoded, in text order; together they hold all pieces.
        ruler: Of the document's text.
        encoder: Reads the windows.
    """

    def __init__(
        self, pieces: Sequence[Range], windows: Sequence[Chunk], *, ruler: TokenRuler, encoder: Encoder
    ) -> None:
        self.starts = np.array([start for start, _ in pieces], np.int64)  # (n,)
        self.ends = np.array([end for _, end in pieces], np.int64)  # (n,)
        borders = [window.span.start for window in windows]
        self.owners = np.searchsorted(borders, self.starts, side="right") - 1  # (n,) position of the window
        self.before = np.array(ruler.indices(self.starts), np.int64)  # (n,) tokens before each piece
        self.after = np.array(ruler.indices(self.ends), np.int64)
        self.tokens = np.maximum(self.after - self.before, 1)  # (n,)
        passages = [
            self._passage(window, *np.searchsorted(self.owners, (number, number + 1)).tolist())
            for number, window in enumerate(windows)
        ]
        encodings = encoder.encode_passages(passages)
        self.vectors: Vectors = np.concatenate([encoding.sentences for encoding in encodings])  # (n, dim)
        self._borders = borders
        self._digests = [_digest(passage) for passage in passages]
        self._read = sum(window.tokens for window in windows)

    def _passage(self, window: Chunk, first: int, last: int) -> Passage:
        shift = len(window.context) - window.span.start
        edges = zip(self.starts[first:last].tolist(), self.ends[first:last].tolist(), strict=True)
        return Passage(window.context + window.text, tuple((a + shift, b + shift) for a, b in edges))

    def encoded(self, chunks: Sequence[Chunk]) -> EncodedChunks:
        """Chunks of the document with their vectors."""
        return EncodedChunks(
            tuple(chunks),
            {chunk.id: self._encoding(chunk) for chunk in chunks},
            {chunk.id: self._origin(chunk) for chunk in chunks},
            self._read,
        )

    def _encoding(self, chunk: Chunk) -> Encoding:
        """The vectors of a chunk and of its sentences, from those of the pieces inside it."""
        sentences = [self._pooled(sentence.start, sentence.end) for sentence in chunk.sentences]
        return Encoding(self._pooled(chunk.span.start, chunk.span.end), np.stack(sentences))

    def _origin(self, chunk: Chunk) -> str:
        """Names the passages that a chunk's vectors come from, and where in them it stands."""
        touched = self.owners[self._inside(chunk.span.start, chunk.span.end)]
        first, last = int(touched[0]), int(touched[-1])
        parts = (str(chunk.span.start - self._borders[first]), *self._digests[first : last + 1])
        return hashlib.sha256("|".join(parts).encode()).hexdigest()[:32]

    def _inside(self, start: int, end: int) -> slice:
        """The pieces that share characters with a range; the next one for signs outside of all."""
        first = min(int(self.ends.searchsorted(start, side="right")), len(self.ends) - 1)
        return slice(first, max(int(self.starts.searchsorted(end)), first + 1))

    def _pooled(self, start: int, end: int) -> Vector:
        """Mean vector of the pieces in a range by their tokens; of a piece cut there, by its part."""
        part = self._inside(start, end)
        length = self.ends[part] - self.starts[part]
        shared = np.minimum(self.ends[part], end) - np.maximum(self.starts[part], start)
        weights = self.tokens[part] * np.maximum(shared, 1) / length
        pooled = (self.vectors[part] * weights[:, None]).sum(axis=0)
        return np.asarray(pooled / max(float(np.linalg.norm(pooled)), 1e-12), np.float32)


class Grouper:
    """Divides neighbouring sentences into the groups that are worth most together.

    A group is worth the length of the sum of its sentences' vectors, each weighed by its tokens: all its
    tokens when the sentences mean the same, fewer the more they differ. That is what spherical k-means
    maximises (Dhillon and Modha 2001), here over groups of neighbours, where dynamic programming finds the
    best. Each cut has a cost, or single sentences would be worth most.

    Args:
        sentences: With their vectors.
        units: Of the document; a cut is cheap before a heading, and dear behind one.
        budget: For each group.
    """

    def __init__(self, sentences: WindowedSentences, units: Sequence[Unit], budget: Budget) -> None:
        self._sentences = sentences
        self._budget = budget
        self._costs = _costs(sentences.starts, units, _CUT * budget.tokens)
        self._kinship = _kinship(sentences.vectors, sentences.owners)
        self._sums = np.concatenate([[0], np.cumsum(sentences.tokens)])  # (n + 1,)
        firsts = np.flatnonzero(np.diff(sentences.owners, prepend=-1))
        self._opens = self._sums[firsts]  # (windows,) tokens before each window
        self._closes = np.append(self._opens[1:], self._sums[-1])
        self._squares = np.concatenate([[0], np.cumsum((self._closes - self._opens) ** 2)])

    def __call__(self, start: int, end: int) -> list[Range]:
        """Groups of the sentences between two characters, as ranges in text order, each within the budget."""
        starts, ends = self._sentences.starts, self._sentences.ends
        first, last = int(starts.searchsorted(start)), int(starts.searchsorted(end))
        best, back = [0.0], []
        for stop in range(first + 1, last + 1):
            opening = self._earliest(stop, first)
            gains = self._worths(opening, stop) - self._costs[opening:stop]
            gains += best[opening - first :]
            choice = int(np.argmax(gains))
            best.append(float(gains[choice]))
            back.append(opening + choice)
        groups: list[Range] = []
        while last > first:
            opening = back[last - first - 1]
            groups.append((int(starts[opening]), int(ends[last - 1])))
            last = opening
        return groups[::-1]

    def _earliest(self, stop: int, first: int) -> int:
        """The first sentence that a group ending before `stop` has room for."""
        sentences = self._sentences
        by_tokens = sentences.before.searchsorted(sentences.after[stop - 1] - self._budget.tokens)
        by_length = sentences.starts.searchsorted(sentences.ends[stop - 1] - self._budget.characters)
        return min(max(first, int(by_tokens), int(by_length)), stop - 1)

    def _worths(self, opening: int, stop: int) -> NDArray[np.float64]:
        """What the groups that end before `stop` are worth, shape (stop - opening,), longest first."""
        sentences = self._sentences
        weighed = sentences.vectors[opening:stop] * sentences.tokens[opening:stop, None].astype(np.float64)
        sums = weighed[::-1].cumsum(axis=0)[::-1]
        tokens = (self._sums[stop] - self._sums[opening:stop]) ** 2
        apart = tokens - self._together(opening, stop)
        return np.asarray(np.sqrt(np.maximum((sums * sums).sum(axis=1) + self._kinship * apart, 0.0)))

    def _together(self, opening: int, stop: int) -> NDArray[np.int64]:
        """For each of these groups, the sum over windows of the squared tokens it has of each."""
        owners, last = self._sentences.owners[opening:stop], int(self._sentences.owners[stop - 1])
        begin = self._sums[opening:stop]
        head, tail = self._closes[owners] - begin, self._sums[stop] - self._opens[last]
        between = self._squares[last] - self._squares[np.minimum(owners + 1, last)]
        alone = (self._sums[stop] - begin) ** 2
        return np.asarray(np.where(owners == last, alone, head**2 + between + tail**2))


def _kinship(vectors: Vectors, owners: NDArray[np.int64]) -> float:
    """How much more alike neighbours are, as a cosine, only because they were encoded in one window.

    Where windows meet, the cosine of neighbours drops by a fifth and more, though the text goes on. Without
    this being made up for, most cuts would fall there.
    """
    cosines = (vectors[:-1] * vectors[1:]).sum(axis=1)
    parted = owners[:-1] != owners[1:]
    borders = int(parted.sum())
    if borders in (0, len(parted)):
        return 0.0
    gap = float(cosines[~parted].mean() - cosines[parted].mean())
    return max(0.0, gap) * borders / (borders + _BORDERS)


def _costs(starts: NDArray[np.int64], units: Sequence[Unit], cut: float) -> NDArray[np.float64]:
    """What it costs to begin a group at each sentence, shape (n,)."""
    costs = np.full(len(starts), cut)
    places = starts.searchsorted([unit.start for unit in units])
    for place, unit, before in zip(places, units, (None, *units), strict=False):
        if before is not None and before.kind == "heading":
            costs[place : place + 1] = cut * _BEHIND_HEADING
        elif unit.kind == "heading":
            costs[place : place + 1] = cut * _BEFORE_HEADING
    return costs


def _digest(passage: Passage) -> str:
    cuts = ",".join(f"{start}-{end}" for start, end in passage.sentences)
    return hashlib.sha256(f"{cuts}|{passage.text}".encode("utf-8", "surrogatepass")).hexdigest()
