"""Token-budget batches: sequences of like length together, so that little padding is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded token ids.

    Attributes:
        rows: Which sequences these are, as indices into the caller's list; shape (b,).
        ids: int64, shape (b, length), padded on the right.
        mask: int64, shape (b, length): 1 for a token, 0 for padding.
    """

    rows: NDArray[np.int64]
    ids: NDArray[np.int64]
    mask: NDArray[np.int64]


def make_batches(sequences: Sequence[NDArray[np.int64]], *, budget: int, padding: int = 0) -> list[Batch]:
    """Sort sequences by length and cut them into padded batches.

    Args:
        sequences: Token ids, each of shape (length,).
        budget: At most this many tokens a batch, padding included; a longer sequence goes alone.
        padding: Token id to pad with.

    Returns:
        Batches that hold every sequence once, shortest first.
    """
    lengths = np.fromiter((len(sequence) for sequence in sequences), np.int64, len(sequences))
    order = np.argsort(lengths, kind="stable")
    batches: list[Batch] = []
    start = 0
    while start < len(order):
        end = start + 1
        while end < len(order) and (end - start + 1) * lengths[order[end]] <= budget:
            end += 1
        batches.append(_pad(sequences, order[start:end], padding))
        start = end
    return batches


def _pad(sequences: Sequence[NDArray[np.int64]], rows: NDArray[np.int64], padding: int) -> Batch:
    length = max(len(sequences[row]) for row in rows)
    ids = np.full((len(rows), length), padding, np.int64)
    mask = np.zeros((len(rows), length), np.int64)
    for place, row in enumerate(rows):
        ids[place, : len(sequences[row])] = sequences[row]
        mask[place, : len(sequences[row])] = 1
    return Batch(rows, ids, mask)
