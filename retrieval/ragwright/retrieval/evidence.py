"""Evidence spans: the sentences inside the found chunks that carry the answer.

Sentences that reach a share of the best score are kept, a single sentence between two kept ones too, and
neighbours become one span.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ragwright.core.protocols import StoredChunk
from ragwright.core.types import Evidence, Span


def select_evidence(
    chunks: Sequence[StoredChunk],
    scores: Sequence[NDArray[np.float32]],
    *,
    share: float,
    budget: int | None,
    count_tokens: Callable[[str], int],
) -> list[tuple[Evidence, ...]]:
    """Choose the evidence in chunks.

    Args:
        chunks: Best first.
        scores: Of each chunk's sentences, 0..1; see `score_sentences`.
        share: A sentence is kept when it reaches this share of the best sentence's score, 0..1.
        budget: At most this many tokens in all, best sentences first; None sets no bound.
        count_tokens: Counts a text's tokens; called only with a budget.

    Returns:
        For each chunk its evidence in text order, without overlap within or between chunks.
    """
    flat = np.concatenate(scores) if chunks else np.zeros(0, np.float32)
    best = float(flat.max(initial=0.0))
    keep = flat >= share * best if best > 0 else np.zeros(len(flat), bool)
    sizes = [len(score) for score in scores]
    _bridge(keep, sizes)
    kept = _by_chunk(keep, sizes)
    _drop_repeats(chunks, kept)
    if budget is not None:
        _apply_budget(chunks, scores, kept, budget, count_tokens)
    return [_merge(chunk, score, keep) for chunk, score, keep in zip(chunks, scores, kept, strict=True)]


def _bridge(keep: NDArray[np.bool_], sizes: Sequence[int]) -> None:
    """Keep a sentence that stands alone between two kept ones: a quote with a hole in it misleads."""
    chunk_of = np.repeat(np.arange(len(sizes)), sizes)
    keep[1:-1] |= keep[:-2] & keep[2:] & (chunk_of[:-2] == chunk_of[2:])


def _by_chunk(keep: NDArray[np.bool_], sizes: Sequence[int]) -> list[list[int]]:
    """The numbers of each chunk's kept sentences."""
    places, kept, start = np.flatnonzero(keep).tolist(), [], 0
    first = 0
    for size in sizes:
        last = bisect_left(places, start + size, first)
        kept.append([place - start for place in places[first:last]])
        start, first = start + size, last
    return kept


def _drop_repeats(chunks: Sequence[StoredChunk], kept: list[list[int]]) -> None:
    """Leave each place to the best chunk that holds it: chunks may overlap."""
    taken: dict[str, list[Span]] = {}
    for number, (chunk, places) in enumerate(zip(chunks, kept, strict=True)):
        if not places:
            continue
        spans, sentences = taken.setdefault(chunk.chunk.span.document_id, []), chunk.chunk.sentences
        if spans:
            places = [p for p in places if not any(sentences[p].overlaps(other) for other in spans)]
            kept[number] = places
        spans.extend([sentences[place] for place in places])


def _apply_budget(
    chunks: Sequence[StoredChunk],
    scores: Sequence[NDArray[np.float32]],
    kept: list[list[int]],
    budget: int,
    count_tokens: Callable[[str], int],
) -> None:
    """Keep the best sentences that fit into a number of tokens."""
    places = [(i, j) for i, keep in enumerate(kept) for j in keep]
    places.sort(key=lambda place: (-scores[place[0]][place[1]], place))
    left = budget
    for i, j in places:
        chunk = chunks[i].chunk
        span = chunk.sentences[j]
        left -= (
            cost := count_tokens(chunk.text[span.start - chunk.span.start : span.end - chunk.span.start])
        )
        if left < 0:
            kept[i].remove(j)
            left += cost


def _merge(chunk: StoredChunk, scores: NDArray[np.float32], kept: Sequence[int]) -> tuple[Evidence, ...]:
    """Join kept neighbours; a span's score is that of its best sentence."""
    spans: list[tuple[int, int, float]] = []
    sentences, previous = chunk.chunk.sentences, -2
    for place in kept:
        start, score = sentences[place].start, float(scores[place])
        if place == previous + 1 and spans:
            first = spans.pop()
            start, score = first[0], max(first[2], score)
        spans.append((start, sentences[place].end, score))
        previous = place
    span = chunk.chunk.span
    return tuple(
        [
            Evidence(Span(span.document_id, a, b), chunk.chunk.text[a - span.start : b - span.start], score)
            for a, b, score in spans
        ]
    )
