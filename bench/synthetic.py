"""Made-up chunks in any number, the same for the same seed: vectors in clusters, texts of Zipf words.

What real chunks look like was measured on the five corpora of `bench/retrieval.py` with the default model,
and is copied here: components of the vectors vary less and less, in about the proportion that their principal
components have there; a chunk has five sentences and 700 characters; of a question's eight or nine words the
commonest is in one chunk of eight.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ragwright.core.types import Chunk, Encoding, IndexEntry, Span, Vector, Vectors

DIMENSION = 384
CLUSTERS = 2000
WORDS = 200_000
WORDS_IN_A_CHUNK = 75
WORDS_IN_A_QUERY = 9
SENTENCES = 5
RARE_ONE_IN = 100
BATCH = 384
_BLOCK = 10_000

FILTERS: Mapping[str, Mapping[str, str]] = {
    "that keeps 1 %": {"rare": "yes"},
    "that keeps 50 %": {"half": "0"},
}


@dataclass(frozen=True)
class AskedQuery:
    """A query near one chunk, with words of it."""

    vector: Vector
    text: str


class World:
    """Chunks by number, from 0."""

    def __init__(self, seed: int = 7) -> None:
        self._seed = seed
        random = np.random.default_rng(seed)
        scale = (np.arange(1, DIMENSION + 1) ** -0.4).astype(np.float32)
        self._scale = scale / np.linalg.norm(scale)
        self._centres = random.standard_normal((CLUSTERS, DIMENSION), np.float32) * self._scale
        shares = 1 / (np.arange(1, WORDS + 1) + 30.0)  # Zipf, without the stop words that lead the ranks
        self._shares = np.cumsum(shares / shares.sum())
        self._words = np.array([f"term{np.base_repr(36**3 + number, 36).lower()}" for number in range(WORDS)])

    def vectors(self, start: int, stop: int) -> Vectors:
        """Vectors of the chunks of these numbers, shape (stop - start, DIMENSION), unit rows."""
        blocks = range(start // _BLOCK, -(-stop // _BLOCK))
        made = np.concatenate([self._block(block) for block in blocks])
        return made[start - blocks.start * _BLOCK : stop - blocks.start * _BLOCK]

    def text(self, number: int) -> str:
        """The text of a chunk."""
        random = np.random.default_rng((self._seed, 1, number))
        ids = np.searchsorted(self._shares, random.random(WORDS_IN_A_CHUNK))
        return " ".join(self._words[ids])

    def batches(self, start: int, stop: int) -> Iterator[list[IndexEntry]]:
        """Entries of the chunks of these numbers, as ingest would write them."""
        for block in range(start, stop, _BLOCK):
            vectors = self.vectors(block, min(block + _BLOCK, stop))
            for at in range(0, len(vectors), BATCH):
                part = vectors[at : at + BATCH]
                yield [self._entry(block + at + place, vector) for place, vector in enumerate(part)]

    def queries(self, vectors: Vectors, count: int) -> list[AskedQuery]:
        """Queries about some of the first chunks: cosine 0.72 to the one meant, and nine of its words.

        Real questions have 0.68 to the nearest vector of the five corpora and Cranfield, at the median.

        Args:
            vectors: Of the chunks from number 0 on.
            count: How many queries.
        """
        random = np.random.default_rng((self._seed, 2, len(vectors)))
        asked = []
        for number in random.choice(len(vectors), count, replace=False).tolist():
            vector = vectors[number] + random.standard_normal(DIMENSION, np.float32) * self._scale
            words = random.choice(self.text(number).split(), WORDS_IN_A_QUERY, replace=False)
            asked.append(AskedQuery((vector / np.linalg.norm(vector)).astype(np.float32), " ".join(words)))
        return asked

    def _block(self, block: int) -> Vectors:
        random = np.random.default_rng((self._seed, 3, block))
        noise = random.standard_normal((_BLOCK, DIMENSION), np.float32) * self._scale
        vectors = self._centres[random.integers(0, CLUSTERS, _BLOCK)] + np.float32(0.7) * noise
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)

    def _entry(self, number: int, vector: Vector) -> IndexEntry:
        text, document = self.text(number), f"d{number // 20}"
        edges = np.linspace(0, len(text), SENTENCES + 1).astype(int).tolist()
        sentences = tuple(Span(document, a, b) for a, b in pairwise(edges))
        span = Span(document, 0, len(text))
        chunk = Chunk(chunk_id(number), span, text, "Title\n", ("Title",), None, sentences, 180)
        facts = {"type": "md", "rare": "yes" if number % RARE_ONE_IN == 0 else "no", "half": str(number % 2)}
        encoding = Encoding(vector, np.broadcast_to(vector, (SENTENCES, DIMENSION)))
        return IndexEntry(chunk, f"{document}.md", "Title", facts, encoding)


def chunk_id(number: int) -> str:
    """The id of a chunk."""
    return str(uuid.UUID(int=number + 1))


def kept(chunks: int, name: str) -> NDArray[np.int64]:
    """The numbers of the chunks that a filter of `FILTERS` keeps."""
    return np.arange(0, chunks, RARE_ONE_IN if name == "that keeps 1 %" else 2)


def nearest(
    vectors: Vectors, numbers: NDArray[np.int64], queries: Sequence[AskedQuery], limit: int = 10
) -> list[set[str]]:
    """Ids of the nearest of these chunks to each query, by exact products."""
    products = np.stack([query.vector for query in queries]) @ vectors[numbers].T
    best = np.argpartition(-products, limit - 1, axis=1)[:, :limit]
    return [{chunk_id(int(number)) for number in numbers[row]} for row in best]
