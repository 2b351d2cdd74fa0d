"""What a model is given, and how it is cut into batches: padded ones of one length, or packed ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ragwright.core.errors import ModelError

Ints = NDArray[np.int64]
Receive = Callable[[int, NDArray[np.float32]], None]
"""Takes the place of an input among those that were given, and what the model made of it."""


@dataclass(frozen=True, slots=True)
class ModelInput:
    """One sequence and which parts of it are wanted.

    Attributes:
        ids: Token ids, shape (n,), n >= 1.
        ranges: Half-open token ranges, shape (r, 2), each not empty: the mean token vector of each is wanted.
            The whole sequence is mean pooling, its first token alone CLS pooling, every token alone late
            interaction. Unused where the model has a head that scores the sequence.
        types: Token types of a pair, shape (n,); None: all 0.
        attended: How many tokens, from the first, are seen by the others; None: all. Padded batches only.
    """

    ids: Ints
    ranges: Ints
    types: Ints | None = None
    attended: int | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded token ids.

    Attributes:
        rows: Which inputs these are, as indices into the caller's list; shape (b,).
        ids: Shape (b, length), padded on the right.
        mask: Shape (b, length): 1 for a token, 0 for padding.
        types: Shape (b, length): token types.
    """

    rows: Ints
    ids: Ints
    mask: Ints
    types: Ints


@dataclass(frozen=True, slots=True)
class Packed:
    """Sequences one behind the other, without padding.

    Attributes:
        rows: Which inputs these are, as indices into the caller's list; shape (b,).
        ids: Shape (tokens,).
        types: Shape (tokens,).
        positions: Shape (tokens,): counts from 0 in every sequence.
        edges: Shape (b + 1,): where each sequence begins, and the end of the last.
        longest: Tokens of the longest sequence.
    """

    rows: Ints
    ids: Ints
    types: Ints
    positions: Ints
    edges: Ints
    longest: int


# Every sequence is padded to a multiple of this, and shares its batch only with sequences of equal padded
# length. A sequence's shape then depends on nothing but itself, so its vectors are the same to the last bit
# whatever it is encoded with: a resumed ingest ends equal to an uninterrupted one.
_STEP = 8


def make_batches(
    inputs: Sequence[ModelInput], *, budget: int, longest: int | None = None, padding: int = 0
) -> list[Batch]:
    """Cut inputs into padded batches of one length each.

    Args:
        inputs: What is to be computed.
        budget: At most this many tokens a batch, padding included; a longer sequence goes alone.
        longest: No sequence is padded beyond this length.
        padding: Token id to pad with.

    Returns:
        Batches that hold every input once, longest first: the last ones, whose end is waited for, are short.
    """
    lengths = _lengths(inputs)
    padded = -(-lengths // _STEP) * _STEP
    if longest is not None:
        padded = np.maximum(lengths, np.minimum(padded, longest))
    order = np.argsort(-padded, kind="stable")
    batches: list[Batch] = []
    start = 0
    while start < len(order):
        length = int(padded[order[start]])
        end = start + 1
        while end < len(order) and padded[order[end]] == length and (end - start + 1) * length <= budget:
            end += 1
        batches.append(_pad(inputs, order[start:end], length, padding))
        start = end
    return batches


def make_packed(inputs: Sequence[ModelInput], *, budget: int) -> Iterator[Packed]:
    """Cut inputs into packed batches; neighbours are of similar length, which attention kernels like.

    Args:
        inputs: What is to be computed.
        budget: At most this many tokens a batch; a longer sequence goes alone.

    Yields:
        Batches that hold every input once, longest first, each made when it is asked for.
    """
    lengths = _lengths(inputs)
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        ends = np.cumsum(lengths[order[start:]])
        count = max(1, int(np.searchsorted(ends, budget, side="right")))
        yield _pack(inputs, order[start : start + count])
        start += count


def _lengths(inputs: Sequence[ModelInput]) -> Ints:
    return np.fromiter((len(each.ids) for each in inputs), np.int64, len(inputs))


def _pad(inputs: Sequence[ModelInput], rows: Ints, length: int, padding: int) -> Batch:
    ids = np.full((len(rows), length), padding, np.int64)
    mask = np.zeros((len(rows), length), np.int64)
    types = np.zeros((len(rows), length), np.int64)
    for place, row in enumerate(rows):
        each = inputs[row]
        ids[place, : len(each.ids)] = each.ids
        mask[place, : len(each.ids) if each.attended is None else each.attended] = 1
        if each.types is not None:
            types[place, : len(each.ids)] = each.types
    return Batch(rows, ids, mask, types)


def _pack(inputs: Sequence[ModelInput], rows: Ints) -> Packed:
    chosen = [inputs[row] for row in rows]
    if any(each.attended is not None for each in chosen):
        raise ModelError(
            "the model fills questions up with tokens that the others do not see, which packed batches "
            "cannot hold; set encoder.backend=openvino, or choose another reranker.model"
        )
    lengths = _lengths(chosen)
    edges = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    types = [np.zeros(len(each.ids), np.int64) if each.types is None else each.types for each in chosen]
    return Packed(
        rows=rows,
        ids=np.concatenate([each.ids for each in chosen]),
        types=np.concatenate(types),
        positions=np.arange(edges[-1]) - np.repeat(edges[:-1], lengths),
        edges=edges,
        longest=int(lengths.max()),
    )


def pool(states: NDArray[np.float32], ranges: Ints) -> NDArray[np.float32]:
    """Mean token vectors of ranges.

    Args:
        states: Token vectors of one sequence, shape (tokens, dim).
        ranges: Shape (r, 2), each not empty.

    Returns:
        float32, shape (r, dim).
    """
    if (ranges[:, 1] - ranges[:, 0] == 1).all():  # every token alone
        return np.asarray(states[ranges[:, 0]], np.float32)
    result = np.empty((len(ranges), states.shape[1]), np.float32)
    for place, (first, last) in enumerate(ranges):
        result[place] = states[first:last].mean(axis=0)
    return result
