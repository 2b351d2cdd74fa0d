"""What a sentence's evidence score is made of: three signs, each as a share of the best sentence's.

- *meaning*: its late-pooled vector against the question's;
- *words*: the question's words in it, and, counting less, in the sentences around it and in the headings. A
  word weighs by its rarity among the chunks that were found: what all of them hold tells none from another;
- *chunk words*: the question's words anywhere in its chunk, weighed by their rarity in the whole index.

The weights in `evidence_model.py` are those of a conditional logit (McFadden 1974, "Conditional logit
analysis of qualitative choice behavior"): given the sentences of one query, which of them carry the answer.
Only differences within a query count in such a model, so a score says by how much a sentence stays behind the
best one. How well the best one supports an answer at all is measured apart, without a fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from ragwright.core.protocols import StoredChunk
from ragwright.retrieval.evidence_model import AFTER, BEFORE, CHUNK_WORDS, MEANING, WORDS

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_REACH = 2  # sentences: words further away say nothing about this one


@dataclass(frozen=True, slots=True)
class QuerySigns:
    """What sentences are compared with.

    Attributes:
        vector: Query vector, shape (dim,).
        weights: Weight of each term of the query and of its synonyms, by term id.
        own: The terms that are the query's own.
        rarities: Inverse document frequency of each of the terms in the index.
    """

    vector: NDArray[np.float32]
    weights: Mapping[int, float]
    own: AbstractSet[int]
    rarities: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Signs:
    """The signs of every sentence of the found chunks, in order, shape (sentences,), each 0..1.

    Attributes:
        meaning: Cosine of sentence and query.
        words: Share of the query's rarity among the found chunks.
        chunk_words: Share of the query's rarity in the index, anywhere in the chunk or its headings.
    """

    meaning: Floats
    words: Floats
    chunk_words: Floats

    def relative(self) -> Floats:
        """Meaning, words and chunk words as shares of the best sentence's, shape (sentences, 3)."""
        shares = np.empty((len(self.meaning), 3))
        for column, sign in enumerate((self.meaning, self.words, self.chunk_words)):
            shares[:, column] = sign / (sign.max(initial=0.0) or 1.0)
        return shares

    def support(self) -> float:
        """How well the best sentence supports an answer, 0..1, comparable between queries.

        The mean of meaning and chunk words: words of the query that were not found at all count as missing,
        and a word may stand anywhere in the chunk. Nothing of it is fitted.
        """
        return float((0.5 * (self.meaning + self.chunk_words)).max(initial=0.0))


def score_sentences(chunks: Sequence[StoredChunk], query: QuerySigns) -> list[NDArray[np.float32]]:
    """Scores of the sentences of chunks that one query found.

    Args:
        chunks: All that take part: a score depends on the other sentences.
        query: What they are compared with.

    Returns:
        For each chunk its sentences' scores, 0..1, shape (number of sentences,). The best of all is the
        support of the query; the others are less by as much as they stay behind.
    """
    signs = read_signs(chunks, query)
    ranked = signs.relative() @ np.array([MEANING, WORDS, CHUNK_WORDS])
    scores = (signs.support() * (1.0 - (ranked.max(initial=0.0) - ranked))).astype(np.float32)
    ends = accumulate(len(chunk.chunk.sentences) for chunk in chunks)
    return [scores[start:end] for start, end in pairwise((0, *ends))]


def read_signs(
    chunks: Sequence[StoredChunk], query: QuerySigns, *, before: float = BEFORE, after: float = AFTER
) -> Signs:
    """The signs of every sentence.

    Args:
        chunks: All that were found.
        query: What they are compared with.
        before: What a word in the sentence before counts.
        after: What a word in the sentence after counts.
    """
    read = [chunk for chunk in chunks if chunk.chunk.sentences]
    if not read:
        return Signs(np.zeros(0), np.zeros(0), np.zeros(0))
    sizes = np.array([len(chunk.chunk.sentences) for chunk in read])
    chunk_of = np.repeat(np.arange(len(read)), sizes)
    held, heading = _presence(read, query)
    in_chunk = np.logical_or.reduceat(held, np.cumsum(sizes) - sizes, axis=1)
    near = np.maximum(_spread(held, chunk_of, before, after), before**2 * heading[:, chunk_of])
    in_index = np.array([query.weights[term] * query.rarities[term] for term in query.weights])
    in_found = np.array(list(query.weights.values())) * _rarity_among(in_chunk)
    own = np.array([term in query.own for term in query.weights], bool)
    vectors = np.concatenate([chunk.sentence_vectors for chunk in read])
    return Signs(
        meaning=(vectors @ query.vector).clip(0.0, 1.0).astype(np.float64),
        words=_share(near, in_found, own),
        chunk_words=_share(in_chunk | heading, in_index, own)[chunk_of],
    )


def _presence(chunks: Sequence[StoredChunk], query: QuerySigns) -> tuple[Flags, Flags]:
    """Which sentence and which context holds which term, shapes (terms, sentences) and (terms, chunks)."""
    parts = np.array([len(chunk.terms.ends) for chunk in chunks])
    contexts = np.cumsum(parts) - parts
    ends = np.concatenate([chunk.terms.ends for chunk in chunks], dtype=np.int64)
    counts = ends.copy()
    counts[1:] -= ends[:-1]
    counts[contexts] = ends[contexts]
    wanted = np.fromiter(query.weights, np.uint32, len(query.weights))
    term, place = np.nonzero(wanted[:, None] == np.concatenate([chunk.terms.ids for chunk in chunks]))
    held = np.zeros((len(wanted), len(ends)), bool)
    held[term, np.repeat(np.arange(len(ends)), counts)[place]] = True
    sentences = np.ones(len(ends), bool)
    sentences[contexts] = False
    return held[:, sentences], held[:, contexts]


def _spread(held: Flags, chunk_of: NDArray[np.intp], before: float, after: float) -> Floats:
    """What each term counts in each sentence, for standing in it or near it in the same chunk."""
    counts = held.astype(np.float64)
    for distance in range(1, min(_REACH, held.shape[1] - 1) + 1):
        same = chunk_of[distance:] == chunk_of[:-distance]
        later, earlier = counts[:, distance:], counts[:, :-distance]
        np.maximum(later, before**distance * (held[:, :-distance] & same), out=later)
        np.maximum(earlier, after**distance * (held[:, distance:] & same), out=earlier)
    return counts


def _rarity_among(in_chunk: Flags) -> Floats:
    """Inverse document frequency of each term among the found chunks; 0 for one that none of them holds."""
    number = in_chunk.sum(axis=1)
    rarity = np.log1p((in_chunk.shape[1] - number + 0.5) / (number + 0.5))
    return np.asarray(np.where(number > 0, rarity, 0.0))


def _share(counts: Floats | Flags, rarities: Floats, own: Flags) -> Floats:
    """Share of the rarity of the query's own terms that is covered, 0..1; synonyms add to it."""
    total = float(rarities[own].sum())
    return np.minimum(1.0, rarities @ counts / total) if total > 0.0 else np.zeros(counts.shape[1])
