"""LoRA weights, added to a model's own when it is loaded.

A layer with LoRA weights computes W x + s B A x (Hu et al. 2021, arXiv:2106.09685), which is (W + s B A) x:
so they cost nothing once they are added, and OpenVINO runs such a model like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ragwright.core.errors import ModelError
from ragwright.core.lora_folder import WEIGHTS, LoraFolder


def add_weights(module: Any, lora: LoraFolder) -> None:
    """Add LoRA weights to a module's own, in place.

    Raises:
        ModelError: They cannot be read, or belong to another model.
    """
    import torch

    with torch.no_grad():
        for name, weight in changed_weights(module, lora).items():
            module.get_parameter(name).copy_(weight)


def changed_weights(module: Any, lora: LoraFolder) -> Mapping[str, Any]:
    """The weights of every layer that LoRA weights change, as they are with them, by parameter name.

    Raises:
        ModelError: They cannot be read, or belong to another model.
    """
    import torch

    found = {}
    for layer, (first, second) in _factors(lora).items():
        name = f"{layer}.weight"
        try:
            weight = module.get_parameter(name)
            with torch.no_grad():
                found[name] = weight + lora.scale * (second @ first).to(weight)
        except (AttributeError, RuntimeError) as error:
            raise ModelError(f"the LoRA weights in {lora.path} do not fit {lora.base}: {error}") from None
    return found


def _factors(lora: LoraFolder) -> dict[str, tuple[Any, Any]]:
    """The two factors of each layer: (rank, in) and (out, rank), by the layer's name."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(str(lora.path / WEIGHTS))
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{lora.path / WEIGHTS} cannot be read ({error}); train the weights again") from None
    layers = {name.rpartition(".lora_")[0] for name in tensors}
    try:
        return {
            layer.removeprefix("base_model.model."): (
                tensors.pop(f"{layer}.lora_A.weight").float(),
                tensors.pop(f"{layer}.lora_B.weight").float(),
            )
            for layer in sorted(layers)
        }
    except KeyError as error:
        raise ModelError(f"{lora.path / WEIGHTS} has no {error}; wanted two factors for each layer") from None
