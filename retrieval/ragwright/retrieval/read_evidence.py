"""Evidence scores where a reader reads: probabilities that hold, and how many sentences a question deserves.

The reader's log-odds and the retriever's own signs add up to the probability that a sentence is evidence,
with weights that were fitted when the reader was trained. Some questions are answered by one sentence, some
by ten, and probabilities know that where shares of the best score do not. Sentences are taken in the order of
their probability as long as each one pays: as long as it is expected to raise the overlap (IoU) of what is
kept with what answers, or, where the dial asks for more, the overlap plus a weight times the share of what
answers that is kept (recall). With an overlap E and a recall R expected so far, a sentence of odds o raises
E + weight x R where o > E x E / (E + weight x R). With weight 0 that is o > E, the argument by which Lipton
et al. 2014, "Optimal Thresholding of Classifiers to Maximize F1 Measure" (arXiv:1402.1892), find the best
threshold of an F1. A question whose evidence is hard to tell has a low E, and keeps more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from ragwright.core.protocols import Reader, Reading, StoredChunk
from ragwright.core.reader_folder import AnswerWeights, EvidenceWeights, ReaderRules
from ragwright.core.types import Chunk, Evidence, Span
from ragwright.retrieval.evidence_score import Floats, QuerySigns, Signs, read_signs

EVEN = 0.9
"""Position of the dial that gives the largest expected overlap: further up is more precise."""

HALF = 3.0
"""Weight of the recall at half of that position."""

_LEAST = 1e-9  # instead of 0, to divide by


@dataclass(frozen=True, slots=True)
class Read:
    """What a reader made of the chunks that one query found.

    Attributes:
        readings: By chunk id.
        rules: Of the reader.
    """

    readings: Mapping[str, Reading]
    rules: ReaderRules

    def passages(self, chunk_ids: Iterable[str]) -> list[float]:
        """Log-odds that each of these chunks answers, in their order."""
        return [self.readings[key].passage for key in chunk_ids]

    def probability(self, chunk_id: str) -> float:
        """How likely a chunk answers, 0..1."""
        return float(_probability(self.readings[chunk_id].passage))

    def answer(self, chunk: Chunk) -> Evidence | None:
        """The words of a chunk that answer best; None where nothing in it does."""
        found = self.readings[chunk.id].answer
        if found is None:
            return None
        start, end = (chunk.span.start + each for each in found)
        span = Span(chunk.span.document_id, start, end)
        return Evidence(span, chunk.text[found[0] : found[1]], self.probability(chunk.id))

    def scores(self, chunks: Sequence[StoredChunk], query: QuerySigns) -> list[NDArray[np.float32]]:
        """Scores of the sentences of chunks that were read; compare `score_sentences`.

        Args:
            chunks: All that take part: a score depends on the other sentences.
            query: What they are compared with.

        Returns:
            For each chunk its sentences' scores, 0..1, shape (number of sentences,). The best of all is the
            probability that there is an answer; the others are less by how little they are expected to add.
        """
        read = [self.readings[chunk.chunk.id] for chunk in chunks]
        signs = read_signs(chunks, query)
        odds = evidence_odds(signs, read, self.rules.evidence)
        lengths = np.array([len(span) for chunk in chunks for span in chunk.chunk.sentences], np.float64)
        support = answer_probability(signs, read, self.rules.answer)
        scores = (support * dial_scores(odds, lengths)).astype(np.float32)
        ends = accumulate(len(chunk.chunk.sentences) for chunk in chunks)
        return [scores[start:end] for start, end in pairwise((0, *ends))]


def read_chunks(reader: Reader, queries: Sequence[str], chunks: Sequence[Sequence[Chunk]]) -> list[Read]:
    """What a reader makes of the chunks of each of several queries, read in one call."""
    read = reader.read(queries, chunks)
    return [
        Read({chunk.id: reading for chunk, reading in zip(found, each, strict=True)}, reader.rules)
        for found, each in zip(chunks, read, strict=True)
    ]


def evidence_odds(signs: Signs, readings: Sequence[Reading], weights: EvidenceWeights) -> Floats:
    """Log-odds of every sentence that it is evidence, shape (sentences,)."""
    each = (weights.sentence, weights.passage, weights.meaning, weights.words, weights.chunk_words)
    return np.asarray(sign_columns(signs, readings) @ np.array(each) + weights.bias)


def sign_columns(signs: Signs, readings: Sequence[Reading]) -> Floats:
    """What a sentence's log-odds are made of, shape (sentences, 5).

    Args:
        signs: Of every sentence of all chunks.
        readings: Of the chunks, in the same order.

    Returns:
        The reader's log-odds of the sentence and of its chunk, then meaning, words and chunk words as shares
        of the best sentence's.
    """
    sizes = [len(reading.sentences) for reading in readings]
    passages = np.repeat([reading.passage for reading in readings], sizes)
    sentences = np.concatenate([reading.sentences for reading in readings]) if readings else np.zeros(0)
    return np.column_stack([sentences, passages, signs.relative()]).astype(np.float64)


def answer_probability(signs: Signs, readings: Sequence[Reading], weights: AnswerWeights) -> float:
    """How likely anything found answers the question, 0..1; 0 where nothing was found."""
    if not readings:
        return 0.0
    best = max(reading.passage for reading in readings)
    return float(_probability(weights.bias + weights.passage * best + weights.support * signs.support()))


def dial_scores(odds: Floats, lengths: Floats) -> Floats:
    """How far each sentence is worth keeping, as a share of the best one's, 0..1.

    Args:
        odds: Log-odds of each sentence of one query that it is evidence, shape (n,).
        lengths: Characters of each, shape (n,).

    Returns:
        Shape (n,), in the order of the odds; 1 for the best. What reaches `EVEN` has the largest expected
        overlap.
    """
    if not len(odds):
        return np.zeros(0)
    order = np.argsort(-odds, kind="stable")
    overlap, recall = _expected(_probability(odds[order]), lengths[order])
    worth = np.exp(np.clip(odds[order], -60.0, 60.0)) / overlap
    weight = np.maximum(overlap / worth - overlap, 0.0) / recall
    ranked = np.where(worth >= 1.0, 1.0 - (1.0 - EVEN) / np.maximum(worth, 1.0), EVEN / (1.0 + weight / HALF))
    ranked[0] = 1.0
    scores = np.empty(len(odds))
    scores[order] = np.minimum.accumulate(ranked)
    return scores


def _expected(chances: Floats, lengths: Floats) -> tuple[Floats, Floats]:
    """Overlap and recall that are expected of all sentences before each one, shape (n,) each.

    Args:
        chances: Of each sentence, descending.
        lengths: Of the same.
    """
    wanted = np.cumsum(chances * lengths)
    overlap = wanted / (np.cumsum(lengths) + wanted[-1] - wanted)
    recall = wanted / wanted[-1]
    before = (np.r_[_LEAST, each[:-1]] for each in (overlap, recall))
    one, other = (np.maximum(each, _LEAST) for each in before)
    return one, other


def _probability(odds: Floats | float) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(odds, -60.0, 60.0))))
