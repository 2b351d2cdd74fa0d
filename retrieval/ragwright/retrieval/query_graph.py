"""Single short sequences on a card, as CUDA graphs: launching their kernels takes longer than computing them.

One graph per length of 16, 32 and 64 tokens. A shorter sequence is filled up with a second one that nobody
reads, so that no mask is needed and the result is that of the sequence alone.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np

from ragwright.retrieval.batches import Ints, Packed
from ragwright.retrieval.packed_model import PackedModel
from ragwright.retrieval.transfer import to_device

_LENGTHS = (16, 32, 64)
_WARM_UPS = 3

# The shape differs from that of the sequence alone, so other kernels may round: a share of the largest value.
_MOST_OFF = 0.05


@dataclass(frozen=True, slots=True)
class _Graph:
    """A recorded pass: what it reads, what replays it, and the token vectors that it writes."""

    fed: list[Any]
    replay: Any
    states: Any


class QueryGraphs:
    """Recorded passes of one model on one card; the caller lets one thread in at a time."""

    def __init__(self, model: PackedModel, device: str) -> None:
        self._model = model
        self._device = device
        self._graphs: dict[int, _Graph] = {}
        self._given_up = False

    def states(self, batch: Packed) -> Any:
        """Token vectors of a batch of one sequence.

        Returns:
            Shape (tokens, dim), on the device, valid until the next call; None where the sequence is too long
            or graphs do not work here.
        """
        tokens = len(batch.ids)
        length = rounded(tokens)
        if length is None or self._given_up or len(batch.rows) != 1:
            return None
        fed = to_device(fill(batch, length), self._device)
        try:
            graph = self._graphs.get(length) or self._captured(fed, length, tokens)
        except RuntimeError as error:
            self._give_up(str(error))
            return None
        if graph is None:
            return None
        for target, source in zip(graph.fed, fed, strict=True):
            target.copy_(source)
        graph.replay.replay()
        return graph.states[:tokens]

    def _captured(self, fed: list[Any], length: int, tokens: int) -> _Graph | None:
        """Record a pass, and compare it with the same sequence computed alone."""
        graph = self._record(fed, length)
        graph.replay.replay()
        ids, types, positions, _ = (each[:tokens] for each in fed)
        edges = fed[3][:2].int()
        alone = self._model.states(ids, types, positions, edges, longest=tokens)
        off = float((graph.states[:tokens] - alone).abs().max() / alone.abs().max())
        if not off <= _MOST_OFF:
            self._give_up(f"differs by {off:.2g} of the largest value")
            return None
        self._graphs[length] = graph
        return graph

    def _record(self, fed: list[Any], length: int) -> _Graph:
        import torch

        ids, types, positions, edges = (each.clone() for each in fed)

        def forward() -> Any:
            return self._model.states(ids, types, positions, edges.int(), longest=length)

        # libraries set themselves up in the first passes, which cannot be recorded
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call, unused-ignore]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_WARM_UPS):
                forward()
        torch.cuda.current_stream().wait_stream(side)
        replay = torch.cuda.CUDAGraph()
        # other threads may compute other models meanwhile
        with torch.cuda.graph(replay, capture_error_mode="thread_local"):
            states = forward()
        return _Graph([ids, types, positions, edges], replay, states)

    def _give_up(self, why: str) -> None:
        self._given_up = True
        logging.getLogger("ragwright").info("queries are computed without CUDA graphs: %s", why)


def rounded(tokens: int) -> int | None:
    """The length that a sequence is filled up to; None for one that is too long."""
    return next((length for length in _LENGTHS if tokens <= length), None)


def fill(batch: Packed, length: int) -> list[Ints]:
    """A batch of one sequence, filled up with a second.

    Args:
        batch: One sequence.
        length: Tokens of both together; at least those of the first.

    Returns:
        Ids, types and positions, shape (length,), and the edges of both, shape (3,).
    """
    tokens = len(batch.ids)
    rest = length - tokens
    zeros = np.zeros(rest, np.int64)
    return [
        np.concatenate([batch.ids, zeros]),
        np.concatenate([batch.types, zeros]),
        np.concatenate([batch.positions, np.arange(rest)]),
        np.array([0, tokens, length]),
    ]
