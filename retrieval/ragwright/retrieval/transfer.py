"""Arrays to the device, means of token vectors on it, and results back, while it goes on computing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ragwright.retrieval.batches import Ints, ModelInput, Receive


def to_device(arrays: Sequence[Ints], device: str) -> list[Any]:
    """Copy arrays in one transfer that the caller does not wait for on a card.

    Args:
        arrays: int64.
        device: Name of the device.

    Returns:
        int64 tensors of the same shapes, views of one.
    """
    import torch

    flat = torch.from_numpy(np.concatenate([each.ravel() for each in arrays]))
    if device != "cpu":
        flat = flat.pin_memory().to(device, non_blocking=True)
    parts = torch.split(flat, [each.size for each in arrays])  # type: ignore[no-untyped-call, unused-ignore]
    return [part.view(each.shape) for part, each in zip(parts, arrays, strict=True)]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Token ranges of a whole batch, and whose they are.

    Attributes:
        starts: First token of each range, counted through the batch; shape (r,).
        lengths: Tokens of each range, >= 1; shape (r,).
        bounds: Input i of the batch has the ranges bounds[i] to bounds[i + 1]; shape (b + 1,).
    """

    starts: Ints
    lengths: Ints
    bounds: Ints

    @classmethod
    def of(cls, inputs: Sequence[ModelInput], rows: Ints, begins: Ints) -> Wanted:
        """The ranges of the inputs of a batch whose first tokens are at `begins`, shape (b,)."""
        ranges = [inputs[row].ranges for row in rows]
        counts = np.fromiter((len(each) for each in ranges), np.int64, len(ranges))
        joined = np.concatenate(ranges).astype(np.int64, copy=False)
        bounds = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return cls(joined[:, 0] + np.repeat(begins, counts), joined[:, 1] - joined[:, 0], bounds)

    @property
    def arrays(self) -> list[Ints]:
        """What `means` reads of this on the device."""
        return [self.starts, self.lengths, np.cumsum(self.lengths) - self.lengths]


def means(states: Any, wanted: Wanted, arrays: Sequence[Any]) -> Any:
    """Mean token vectors of ranges, summed in fp32.

    Args:
        states: Shape (tokens, dim).
        wanted: The ranges.
        arrays: The ranges' own arrays, on the device.

    Returns:
        float32, shape (r, dim).
    """
    import torch

    starts, lengths, firsts = arrays
    if bool((wanted.lengths == 1).all()):
        return states.index_select(0, starts).float()
    total = int(wanted.lengths.sum())
    shifts = torch.repeat_interleave(starts - firsts, lengths, output_size=total)
    tokens = torch.arange(total, device=states.device) + shifts
    # of bf16 it would sum in fp32, but round the mean to bf16
    return torch.nn.functional.embedding_bag(tokens, states.float(), firsts, mode="mean")


class Returning:
    """Results of one batch on their way back."""

    def __init__(self, found: Any, bounds: Ints | None, *, rows: Ints) -> None:
        """Start the copy.

        Args:
            found: On the device, float32: shape (r, dim), or (b, labels) of a head.
            bounds: Which of the ranges are whose; None for a head.
            rows: Which inputs these are, as indices into the caller's list; shape (b,).
        """
        import torch

        self._rows = rows
        self._bounds = bounds
        self._found = found
        self._copied: Any = None
        if found.is_cuda:
            self._found = torch.empty(found.shape, dtype=found.dtype, pin_memory=True)
            self._found.copy_(found, non_blocking=True)
            self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call, unused-ignore]
            self._copied.record()

    def deliver(self, receive: Receive) -> None:
        """Wait for the copy, and hand each input's part to the receiver."""
        if self._copied is not None:
            self._copied.synchronize()
        arrays = self._found.numpy()
        for place, row in enumerate(self._rows):
            if self._bounds is None:
                receive(int(row), arrays[place])
            else:
                receive(int(row), arrays[self._bounds[place] : self._bounds[place + 1]])
