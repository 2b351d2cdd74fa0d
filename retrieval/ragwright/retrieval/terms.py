"""Text to BM25 terms, by the engine's own tokenizer and stemmer: the same for both kinds of index.

The engine multiplies what is stored here (saturated term frequency) by the inverse document frequency of
the whole index at query time (Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework").
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ragwright.core.protocols import PartTerms
from ragwright.core.types import Chunk

LANGUAGES = {
    "en": "english", "de": "german", "fr": "french", "es": "spanish", "it": "italian", "nl": "dutch",
    "pt": "portuguese", "sv": "swedish", "da": "danish", "no": "norwegian", "fi": "finnish",
}  # fmt: skip

# The length at which a chunk is neither favoured nor held back. Chunks of the default size average 87 terms
# over the five public corpora of `bench/retrieval.py`; a round number near it serves, since only lengths
# relative to each other count. It must not change while an index lives: its chunks would not compare.
AVERAGE_TERMS = 80.0

_MOST_KNOWN = 100_000  # terms whose rarity is kept, some 10 MB


def rarity_of_unseen(chunks: int) -> float:
    """Inverse document frequency of a term that none of so many chunks holds, as the engine counts it."""
    return math.log(1.0 + (chunks + 0.5) / 0.5)


class Rarities:
    """Inverse document frequencies of an index, each term asked for once.

    The engines do not tell their statistics, so a term is searched by itself: the best chunk's score divided
    by the frequency that is stored with this chunk is the term's inverse document frequency. Threads may ask
    and clear at the same time: what was asked before a `clear` is never kept after it.
    """

    def __init__(
        self, best: Callable[[Sequence[int]], Sequence[Best | None]], count: Callable[[], int]
    ) -> None:
        """Make a cache.

        Args:
            best: For each term, what the best chunk for it scores; None for a term that no chunk has.
            count: How many chunks there are.
        """
        self._best = best
        self._count = count
        self._known: dict[int, float] = {}
        self._cleared = 0  # how often: a change tells that what was just asked may be outdated
        self._lock = threading.Lock()

    def of(self, terms: Iterable[int]) -> dict[int, float]:
        """Inverse document frequency by term id; that of an unseen term is the largest there can be."""
        wanted = list(terms)
        with self._lock:
            found = {term: self._known[term] for term in wanted if term in self._known}
            cleared = self._cleared
        new = [term for term in dict.fromkeys(wanted) if term not in found]
        for term, best in zip(new, self._best(new) if new else (), strict=True):
            found[term] = best.rarity(term) if best else rarity_of_unseen(self._count())
        self._keep({term: found[term] for term in new}, cleared=cleared)
        return {term: found[term] for term in wanted}

    def _keep(self, new: Mapping[int, float], *, cleared: int) -> None:
        """Remember what was asked after so many clearings, unless there has been another one."""
        with self._lock:
            if cleared != self._cleared:
                return
            if len(self._known) + len(new) > _MOST_KNOWN:
                self._known.clear()
            if len(new) <= _MOST_KNOWN:
                self._known.update(new)

    def clear(self) -> None:
        """Forget everything: the index is about to change."""
        with self._lock:
            self._cleared += 1
            self._known.clear()


@dataclass(frozen=True, slots=True)
class Best:
    """The best chunk for a lone term: its score, and the terms that are stored with it."""

    score: float
    terms: Sequence[int]
    frequencies: Sequence[float]

    def rarity(self, term: int) -> float:
        """The term's inverse document frequency."""
        return self.score / self.frequencies[self.terms.index(term)]


class Terms:
    """Sparse vectors of texts and queries; words of a language without a stemmer are kept as they are."""

    def __init__(self, language: str = "en") -> None:
        import qdrant_edge as q

        if language in LANGUAGES:
            config = q.Bm25Config(language=LANGUAGES[language], avg_len=AVERAGE_TERMS)
        else:
            config = q.Bm25Config(
                stemmer=q.DisabledStemmer(), stopwords=q.StopwordsSet(), avg_len=AVERAGE_TERMS
            )
        self._bm25: Any = q.Bm25(config)

    def of_text(self, text: str) -> dict[int, float]:
        """Saturated frequency of each distinct term of a text, by term id."""
        sparse = self._bm25.embed_document(text)
        return dict(zip(sparse.indices, sparse.values, strict=True))

    def of_parts(self, chunk: Chunk) -> PartTerms:
        """The distinct terms of a chunk's context, then those of each of its sentences."""
        start = chunk.span.start
        texts = [chunk.context, *(chunk.text[s.start - start : s.end - start] for s in chunk.sentences)]
        ids = [self._bm25.embed_document(text).indices if text else [] for text in texts]
        ends = np.cumsum([len(part) for part in ids], dtype=np.uint32)
        return PartTerms(np.array([term for part in ids for term in part], np.uint32), ends)

    def of_query(self, text: str, *, expansions: Mapping[str, float] | None = None) -> dict[int, float]:
        """Weight of each distinct term of a query, by term id.

        Args:
            text: Its terms weigh 1.
            expansions: Further texts and what their terms weigh, at most 1; the question's own terms keep 1.
        """
        weights: dict[int, float] = {}
        for expansion, weight in (expansions or {}).items():
            for term in self._bm25.embed_query(expansion).indices:
                weights[term] = max(weight, weights.get(term, 0.0))
        weights.update(dict.fromkeys(self._bm25.embed_query(text).indices, 1.0))
        return weights
