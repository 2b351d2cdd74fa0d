"""A transformer that computes sequences one behind the other, without padding, and with any scoring head.

The transformer sees one row of tokens whose positions begin anew in every sequence; attention keeps to the
sequences (see `varlen_attention`). A head then sees one token for each: the first, the last, or the mean of
all, whichever gives what the padded model gives.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ragwright.retrieval import varlen_attention
from ragwright.retrieval.batches import Ints, ModelInput, Packed, make_packed
from ragwright.retrieval.padded_model import PaddedModel, takes
from ragwright.retrieval.transfer import Wanted, means, to_device
from ragwright.retrieval.transformer_config import padding_id
from ragwright.retrieval.varlen_attention import PackingError

_HEAD_READS = ("first", "last", "mean")

# In fp32 packed and padded differ by rounding, in bf16 by its: a wrong position or a neighbour's token shows.
_MOST_OFF = 1e-3
_LEAST_COSINE_ON_CARD = 0.98


class PackedModel:
    """Packed batches through a module of transformers.

    Attributes:
        head_reads: Which token of a sequence the head is given: `first`, `last` or `mean`; "" without a head.
        config: The module's configuration.
    """

    def __init__(self, module: Any, *, head: bool, shift: int, positions: int) -> None:
        """Set a module to packed batches, and hold it to what it gives for padded ones.

        Args:
            module: A model in fp32 on the CPU, with its scoring head or without any; its configuration
                belongs to it alone.
            head: Whether it has one.
            shift: Its first position: RoBERTa counts from behind the padding id.
            positions: Longest sequence that has positions.

        Raises:
            PackingError: It cannot be packed; it is as it was.
        """
        self.head_reads = ""
        self.config = module.config
        self._module = module
        self._base = module.base_model
        self._head = head
        self._shift = shift
        self._positions = positions
        self._padding = padding_id(module.config.to_dict())
        self._typed = takes(self._base, "token_type_ids")
        self._before = module.config._attn_implementation
        self._probe = _probe(module.config, self._typed, min(positions, 24))
        self._expected = _padded(module, self._probe, head=head, positions=positions)
        try:
            self._switch()
            self._check()
        except PackingError:
            self.undo()
            raise

    def padded(self) -> PaddedModel:
        """The same weights as a model for padded batches, beside this one; only without a head."""
        shared = {id(each): each for each in [*self._module.parameters(), *self._module.buffers()]}
        twin = copy.deepcopy(self._module, shared)
        twin.set_attn_implementation(self._before)
        return PaddedModel(twin, head=False, positions=self._positions)

    def undo(self) -> None:
        """Set the module back to padded batches."""
        if self._head:
            setattr(self._module, self._module.base_model_prefix, self._base)
        self._module.set_attn_implementation(self._before)

    def place(self, device: str, dtype: Any) -> None:
        """Move to a device, and see that it computes there what it should.

        Raises:
            PackingError: It does not, or the device cannot; the module is set back to padded batches.
        """
        for part in (self._base, self._module):
            place(part, device, dtype)
        if device == "cpu":
            return
        try:
            found = self._probed(device)
        except (PackingError, RuntimeError) as error:
            self.undo()
            raise PackingError(f"its packed form fails on {device}: {error}") from None
        if _cosine(found, self._expected) < _LEAST_COSINE_ON_CARD:
            self.undo()
            raise PackingError(f"its packed form gives something else on {device}")

    def cut(self, inputs: Sequence[ModelInput], *, budget: int) -> Iterable[Packed]:
        """Batches of at most so many tokens."""
        return make_packed(inputs, budget=budget)

    def launch(self, batch: Packed, inputs: Sequence[ModelInput], device: str) -> tuple[Any, Ints | None]:
        """Compute a batch; on a card the caller does not wait for it. See `PaddedModel.launch`."""
        wanted = self._wanted(batch, inputs)
        row = [batch.ids, batch.types, batch.positions, batch.edges]
        ids, types, positions, edges, *rest = to_device([*row, *wanted.arrays], device)
        states = self.states(ids, types, positions, edges.int(), longest=batch.longest)
        pooled = means(states, wanted, rest)
        if not self._head:
            return pooled, wanted.bounds
        return self._scores(ids[edges[:-1]], pooled.to(states.dtype)).float(), None

    def states(self, ids: Any, types: Any, positions: Any, edges: Any, *, longest: int) -> Any:
        """Token vectors of a packed batch, shape (tokens, dim).

        Args:
            ids: Shape (tokens,).
            types: Shape (tokens,).
            positions: Shape (tokens,), from 0 in every sequence.
            edges: int32, shape (sequences + 1,).
            longest: Tokens of the longest sequence, or more.
        """
        found = self._base(
            input_ids=ids[None],
            position_ids=(positions + self._shift)[None],
            cu_seq_lens_q=edges,
            cu_seq_lens_k=edges,
            max_length_q=longest,
            max_length_k=longest,
            **({"token_type_ids": types[None]} if self._typed else {}),
        )
        return found.last_hidden_state[0]

    def _wanted(self, batch: Packed, inputs: Sequence[ModelInput]) -> Wanted:
        """The ranges asked for, or the tokens that the head reads."""
        begins, ends = batch.edges[:-1], batch.edges[1:]
        if not self._head:
            return Wanted.of(inputs, batch.rows, begins)
        starts = self._last(batch) if self.head_reads == "last" else begins
        lengths = ends - begins if self.head_reads == "mean" else np.ones_like(begins)
        return Wanted(starts, lengths, np.arange(len(batch.edges)))

    def _last(self, batch: Packed) -> Ints:
        """Where each sequence's last token stands that is not the padding token, which heads pass over."""
        real = np.where(batch.ids != self._padding, np.arange(len(batch.ids)), -1)
        return np.maximum(np.maximum.reduceat(real, batch.edges[:-1]), batch.edges[:-1])

    def _scores(self, ids: Any, pooled: Any) -> Any:
        """The head's outputs, shape (b, labels), from one vector for each sequence, shape (b, dim)."""
        # of ids the heads of decoders read their shape, to find the last token
        return self._module(input_ids=ids[:, None], inputs_embeds=pooled[:, None]).logits

    def _switch(self) -> None:
        if not takes(self._base, "position_ids"):
            raise PackingError("it takes no positions")
        varlen_attention.register()
        self._module.set_attn_implementation(varlen_attention.NAME)
        if self._base.config._attn_implementation != varlen_attention.NAME:
            raise PackingError("it does not use transformers' attention interface")
        self._base.config.use_cache = False
        if self._head:
            setattr(self._module, self._module.base_model_prefix, _handing_on(self._base))

    def _check(self) -> None:
        """Find what the head reads, and that packed equals padded."""
        worst = float("inf")
        for reads in _HEAD_READS if self._head else ("",):
            self.head_reads = reads
            try:
                found = self._probed("cpu")
            except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
                raise PackingError(f"its packed form fails: {error}") from None
            worst = min(worst, _off(found, self._expected))
            if worst <= _MOST_OFF:
                return
        raise PackingError(f"packed and padded differ by {worst:.2g} of the largest value")

    def _probed(self, device: str) -> Any:
        """What it gives for the probe, float32 on the CPU."""
        import torch

        (batch,) = make_packed(self._probe, budget=1_000)
        with torch.inference_mode():
            found, bounds = self.launch(batch, self._probe, device)
        return _in_order([(batch.rows, found, bounds)])


def place(module: Any, device: str, dtype: Any) -> None:
    """Move a module to a device, its parameters in a precision.

    Buffers keep theirs: in bf16 the frequencies of rotary positions would be wrong for long texts.
    """
    module.to(device)
    for parameter in module.parameters():
        if parameter.is_floating_point():
            parameter.data = parameter.data.to(dtype)


def _handing_on(base: Any) -> Any:
    """What stands for the transformer in front of a head: it hands on what is given as embeddings."""
    import torch
    from transformers.modeling_outputs import BaseModelOutputWithPoolingAndCrossAttentions as Output

    class HandingOn(torch.nn.Module):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.pooler = getattr(base, "pooler", None)

        def forward(self, *_: Any, inputs_embeds: Any, **__: Any) -> Any:
            pooled = None if self.pooler is None else self.pooler(inputs_embeds)
            return Output(last_hidden_state=inputs_embeds, pooler_output=pooled)

    return HandingOn().eval()


def _probe(config: Any, typed: bool, longest: int) -> list[ModelInput]:
    """Three short sequences, the same at every load, of which every token vector is wanted."""
    random = np.random.default_rng(0)
    padding = padding_id(config.to_dict())
    inputs = []
    for length in sorted({max(1, longest // 4), max(1, longest // 2), longest}):
        ids = random.integers(0, config.vocab_size, length)
        ids[ids == padding] = (padding + 1) % config.vocab_size
        types = random.integers(0, 2, length) if typed else None
        places = np.arange(length)
        inputs.append(ModelInput(ids, np.stack([places, places + 1], axis=1), types))
    return inputs


def _padded(module: Any, inputs: Sequence[ModelInput], *, head: bool, positions: int) -> Any:
    """What a module gives for each input, padded; float32."""
    import torch

    model = PaddedModel(module, head=head, positions=positions)
    with torch.inference_mode():
        parts = [
            (batch.rows, *model.launch(batch, inputs, "cpu")) for batch in model.cut(inputs, budget=1_000)
        ]
    return _in_order(parts)


def _in_order(parts: Sequence[tuple[Ints, Any, Ints | None]]) -> Any:
    """Results of batches in the order of the inputs, ranges of one input together; float32 on the CPU."""
    import torch

    found: dict[int, Any] = {}
    for rows, results, bounds in parts:
        edges = np.arange(len(rows) + 1) if bounds is None else bounds
        for place, row in enumerate(rows):
            found[int(row)] = results[edges[place] : edges[place + 1]].cpu()
    return torch.cat([found[row] for row in sorted(found)])


def _off(found: Any, expected: Any) -> float:
    """Largest difference, as a share of the largest value."""
    return float((found - expected).abs().max() / expected.abs().max().clamp_min(1e-12))


def _cosine(found: Any, expected: Any) -> float:
    import torch

    return float(torch.nn.functional.cosine_similarity(found.flatten(), expected.flatten(), dim=0))
