"""A transformer that computes padded batches: every model can be computed so."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ragwright.core.errors import ModelError
from ragwright.retrieval.batches import Batch, Ints, ModelInput, make_batches
from ragwright.retrieval.transfer import Wanted, means, to_device
from ragwright.retrieval.transformer_config import padding_id


class PaddedModel:
    """Padded batches through a module of transformers.

    Attributes:
        config: The module's configuration.
    """

    def __init__(self, module: Any, *, head: bool, positions: int) -> None:
        """Take a module.

        Args:
            module: A model, with its scoring head or without any.
            head: Whether it has one.
            positions: Longest sequence that has positions, padding included.

        Raises:
            ModelError: A head would have to find the last token among padding that has no id.
        """
        if head and getattr(module.config, "pad_token_id", None) is None:
            raise ModelError("the model's config.json states no pad_token_id; its head needs one")
        self.config = module.config
        self._module = module
        self._head = head
        self._positions = positions
        self._padding = padding_id(module.config.to_dict())
        self._typed = takes(module.base_model, "token_type_ids")

    def cut(self, inputs: Sequence[ModelInput], *, budget: int) -> Iterable[Batch]:
        """Batches of at most so many tokens, padding included."""
        return make_batches(inputs, budget=budget, longest=self._positions, padding=self._padding)

    def launch(self, batch: Batch, inputs: Sequence[ModelInput], device: str) -> tuple[Any, Ints | None]:
        """Compute a batch; on a card the caller does not wait for it.

        Returns:
            float32 on the device, shape (r, dim), and which of these are whose; or, with a head,
            shape (b, labels), and None.
        """
        count, length = batch.ids.shape
        wanted = None if self._head else Wanted.of(inputs, batch.rows, np.arange(count) * length)
        arrays = [batch.ids, batch.mask, batch.types, *([] if wanted is None else wanted.arrays)]
        ids, mask, types, *rest = to_device(arrays, device)
        found = self.outputs(ids, mask, types)
        if wanted is None:
            return found.float(), None
        return means(found.flatten(0, 1), wanted, rest), wanted.bounds

    def outputs(self, ids: Any, mask: Any, types: Any) -> Any:
        """Token vectors, shape (b, length, dim), or the head's outputs, shape (b, labels)."""
        typed = {"token_type_ids": types} if self._typed else {}
        found = self._module(input_ids=ids, attention_mask=mask, **typed)
        return found.logits if self._head else found.last_hidden_state


def takes(module: Any, name: str) -> bool:
    """Whether a model reads an input; one with a single token type has no use for types."""
    if name == "token_type_ids" and getattr(module.config, "type_vocab_size", 0) < 2:
        return False
    return name in inspect.signature(module.forward).parameters
