"""Several sets of LoRA weights on one base that is in memory once: encoders that come and go at run time."""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ragwright.core.errors import InputError, ModelError
from ragwright.core.lora_folder import LoraFolder
from ragwright.retrieval.encoder import TransformerEncoder
from ragwright.retrieval.forward import Compute
from ragwright.retrieval.lora import changed_weights
from ragwright.retrieval.model import ModelFolder, open_model
from ragwright.retrieval.torch_model import TorchForward, load_module


class Adapters:
    """Encoders by LoRA weights on one base model, which is in memory once and is never changed.

    The changed layers alone are held for each set of weights. Adding, removing and encoding may happen at the
    same time; who encodes keeps the weights that he began with. Torch computes.
    """

    def __init__(self, base: str, compute: Compute) -> None:
        """Open the base; its weights are loaded when something is first encoded.

        Args:
            base: Its name, as for `open_model`.
            compute: How it is run, on the processor.

        Raises:
            ModelError: It cannot be opened.
        """
        self.base = open_model(base)
        self._compute = compute
        self._lock = threading.RLock()
        self._module: Any = None
        self._encoders: dict[str | None, TransformerEncoder] = {}
        self._put(None, self.base)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the sets of weights, in the order in which they were added."""
        with self._lock:
            return tuple(name for name in self._encoders if name is not None)

    def add(self, name: str, folder: Path) -> None:
        """Add a set of weights, or replace the one of this name.

        Raises:
            ModelError: The folder holds none, or none of this base.
        """
        model = open_model(str(folder))
        if model.lora is None or model.path != self.base.path:
            raise ModelError(f"{folder} holds no LoRA weights of {self.base.name}; train them on it")
        self._put(name, model)

    def remove(self, name: str) -> None:
        """Forget a set of weights.

        Raises:
            InputError: There is none of this name.
        """
        with self._lock:
            self._known(name)
            del self._encoders[name]

    def encoder(self, name: str | None = None) -> TransformerEncoder:
        """The encoder with a set of weights; None: the base alone.

        Raises:
            InputError: There is none of this name.
        """
        with self._lock:
            return self._known(name)

    def _known(self, name: str | None) -> TransformerEncoder:
        if name not in self._encoders:
            raise InputError(f'no LoRA weights "{name}"; there are: {", ".join(self.names) or "none"}')
        return self._encoders[name]

    def _put(self, name: str | None, model: ModelFolder) -> None:
        def load() -> TorchForward:
            return TorchForward(model, self._compute, device="cpu", module=self._with(model.lora))

        with self._lock:
            self._encoders[name] = TransformerEncoder(model, load, call_tokens=self._compute.call_tokens())

    def _with(self, lora: LoraFolder | None) -> Any:
        """The base's module, or a twin that shares all but the changed layers with it."""
        with self._lock:
            if self._module is None:
                self._module = load_module(replace(self.base, lora=None))
            if lora is None:
                return self._module
            shared = [*self._module.parameters(), *self._module.buffers()]
            twin = copy.deepcopy(self._module, {id(each): each for each in shared})
        return _replaced(twin, changed_weights(twin, lora))


def _replaced(module: Any, weights: Mapping[str, Any]) -> Any:
    """A module with other parameters of some names; those of modules that share its old ones stay."""
    import torch

    for name, weight in weights.items():
        owner, _, own = name.rpartition(".")
        setattr(module.get_submodule(owner), own, torch.nn.Parameter(weight, requires_grad=False))
    return module
