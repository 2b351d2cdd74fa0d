"""Evidence spans: the sentences inside the found chunks that carry the answer.

Every sentence is scored from three signs: its late-pooled vector against the query's, the query's words in
it weighed by their rarity, and how well its chunk was found. Sentences that reach a share of the best score
are kept, a single sentence between two kept ones too, and neighbours become one span.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ragwright.core.protocols import StoredChunk
from ragwright.core.types import Evidence, Span

# Weights of the three signs, each between 0 and 1; they add up to 1, and so do scores at most. Set by hand:
# on the five public corpora the result is flat around these values (`bench/retrieval.py`).
_MEANING, _WORDS, _CHUNK = 0.45, 0.35, 0.20
# How far a sentence is drawn up to a better neighbour: what answers often leans on the sentence beside it.
_LIFT = 0.2


@dataclass(frozen=True, slots=True)
class QuerySigns:
    """What sentences are compared with.

    Attributes:
        vector: Query vector, shape (dim,).
        rarities: Inverse document frequency times weight of each term of the query and of its synonyms, by
            term id.
        total: Sum over the query's own terms: what a sentence that covers the query reaches.
        terms_of: Term frequencies of a text, by term id.
    """

    vector: NDArray[np.float32]
    rarities: Mapping[int, float]
    total: float
    terms_of: Callable[[str], Mapping[int, float]]


def select_evidence(
    chunks: Sequence[StoredChunk],
    relevance: Sequence[float],
    signs: QuerySigns,
    *,
    share: float,
    budget: int | None,
    count_tokens: Callable[[str], int],
) -> list[tuple[Evidence, ...]]:
    """Choose the evidence in chunks.

    Args:
        chunks: Best first.
        relevance: How well each chunk was found, 0..1.
        signs: Of the query.
        share: A sentence is kept when it reaches this share of the best sentence's score, 0..1.
        budget: At most this many tokens in all, best sentences first; None sets no bound.
        count_tokens: Counts a text's tokens; called only with a budget.

    Returns:
        For each chunk its evidence in text order, without overlap within or between chunks.
    """
    scores = [score_sentences(chunk, part, signs) for chunk, part in zip(chunks, relevance, strict=True)]
    best = max((float(score.max()) for score in scores if len(score)), default=0.0)
    kept = [score >= share * best if best > 0 else np.zeros(len(score), bool) for score in scores]
    for keep in kept:
        _bridge(keep)
    _drop_repeats(chunks, kept)
    if budget is not None:
        _apply_budget(chunks, scores, kept, budget, count_tokens)
    return [_merge(chunk, score, keep) for chunk, score, keep in zip(chunks, scores, kept, strict=True)]


def score_sentences(chunk: StoredChunk, relevance: float, signs: QuerySigns) -> NDArray[np.float32]:
    """Scores of a chunk's sentences, 0..1, shape (number of sentences,)."""
    if not chunk.chunk.sentences:
        return np.zeros(0, np.float32)
    meaning = np.clip(chunk.sentence_vectors @ signs.vector, 0.0, 1.0)
    start, text = chunk.chunk.span.start, chunk.chunk.text
    words = [_word_share(text[s.start - start : s.end - start], signs) for s in chunk.chunk.sentences]
    alone = _MEANING * meaning + _WORDS * np.asarray(words) + _CHUNK * relevance
    padded = np.concatenate([[0.0], alone, [0.0]])
    better = np.maximum(alone, np.maximum(padded[:-2], padded[2:]))
    return np.asarray(alone + _LIFT * (better - alone), np.float32)


def _bridge(keep: NDArray[np.bool_]) -> None:
    """Keep a sentence that stands alone between two kept ones: a quote with a hole in it misleads."""
    keep[1:-1] |= keep[:-2] & keep[2:]


def _word_share(sentence: str, signs: QuerySigns) -> float:
    """Share of the query's rarity that a sentence's words cover, 0..1; synonyms add to it."""
    if signs.total <= 0.0:
        return 0.0
    present = signs.terms_of(sentence)
    covered = sum(rarity for term, rarity in signs.rarities.items() if term in present)
    return min(1.0, covered / signs.total)


def _drop_repeats(chunks: Sequence[StoredChunk], kept: Sequence[NDArray[np.bool_]]) -> None:
    """Leave each place to the best chunk that holds it: chunks may overlap."""
    taken: dict[str, list[Span]] = {}
    for chunk, keep in zip(chunks, kept, strict=True):
        spans = taken.setdefault(chunk.chunk.span.document_id, [])
        for place, span in enumerate(chunk.chunk.sentences):
            if keep[place] and any(span.overlaps(other) for other in spans):
                keep[place] = False
        spans.extend(span for place, span in enumerate(chunk.chunk.sentences) if keep[place])


def _apply_budget(
    chunks: Sequence[StoredChunk],
    scores: Sequence[NDArray[np.float32]],
    kept: Sequence[NDArray[np.bool_]],
    budget: int,
    count_tokens: Callable[[str], int],
) -> None:
    """Keep the best sentences that fit into a number of tokens."""
    places = [(i, int(j)) for i, keep in enumerate(kept) for j in np.flatnonzero(keep)]
    places.sort(key=lambda place: (-scores[place[0]][place[1]], place))
    left = budget
    for i, j in places:
        chunk = chunks[i].chunk
        span = chunk.sentences[j]
        left -= (
            cost := count_tokens(chunk.text[span.start - chunk.span.start : span.end - chunk.span.start])
        )
        if left < 0:
            kept[i][j] = False
            left += cost


def _merge(chunk: StoredChunk, scores: NDArray[np.float32], keep: NDArray[np.bool_]) -> tuple[Evidence, ...]:
    """Join kept neighbours; a span's score is that of its best sentence."""
    spans: list[tuple[int, int, float]] = []
    sentences, previous = chunk.chunk.sentences, -2
    for place in map(int, np.flatnonzero(keep)):
        start, score = sentences[place].start, float(scores[place])
        if place == previous + 1 and spans:
            first = spans.pop()
            start, score = first[0], max(first[2], score)
        spans.append((start, sentences[place].end, score))
        previous = place
    span = chunk.chunk.span
    return tuple(
        Evidence(Span(span.document_id, a, b), chunk.chunk.text[a - span.start : b - span.start], score)
        for a, b, score in spans
    )
