"""Folders of LoRA weights: what tuning writes and retrieval reads.

adapter_config.json          as PEFT writes it
adapter_model.safetensors    two factors for each linear layer that is changed
base.json                    ours: the model they belong to, and the fingerprint of its vectors
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragwright.core.errors import ModelError
from ragwright.core.model_folder import file_digest, read_json

SETTINGS, WEIGHTS, BASE = "adapter_config.json", "adapter_model.safetensors", "base.json"

# Kinds of LoRA whose layers are more than the base's weights plus a scaled product of two factors.
_MORE = (
    "use_dora",
    "use_rslora",
    "fan_in_fan_out",
    "modules_to_save",
    "rank_pattern",
    "alpha_pattern",
    "lora_bias",
    "trainable_token_indices",
    "layer_replication",
    "megatron_config",
    "corda_config",
    "eva_config",
    "auto_mapping",
)


@dataclass(frozen=True, slots=True)
class LoraFolder:
    """LoRA weights that were found and read, but not loaded.

    Attributes:
        path: The folder.
        base: The model they belong to, as it was configured.
        fingerprint: Of that model's vectors; "" where nobody wrote it down.
        scale: The product of the factors counts so much.
        digest: SHA-256 of the weights, in hex.
        queries_only: Whether only questions are to be read with them, and passages with the model as it is.
    """

    path: Path
    base: str
    fingerprint: str
    scale: float
    digest: str
    queries_only: bool = False


def is_lora(folder: Path) -> bool:
    """Whether a folder holds an adapter and no whole model."""
    return (folder / SETTINGS).is_file() and not (folder / "config.json").is_file()


def read_lora(folder: Path) -> LoraFolder:
    """The LoRA weights in a folder.

    Raises:
        ModelError: They are absent, or of a kind that is more than two factors for each layer.
    """
    settings = read_json(folder / SETTINGS)
    if settings.get("peft_type") != "LORA":
        raise ModelError(f"{folder / SETTINGS} is of kind {settings.get('peft_type')!r}, wanted LORA")
    for name in _MORE:
        if settings.get(name):
            raise ModelError(f"{folder / SETTINGS} has {name}, which is not merged here; train it without")
    if settings.get("bias", "none") != "none":
        raise ModelError(f"{folder / SETTINGS} has biases, which are not merged here; train it without")
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise ModelError(f"{folder} has no {WEIGHTS}; save the LoRA weights as safetensors")
    own = read_json(folder / BASE, {})
    return LoraFolder(
        path=folder,
        base=str(own.get("model") or settings.get("base_model_name_or_path") or ""),
        fingerprint=str(own.get("fingerprint") or ""),
        scale=_scale(folder, settings),
        digest=file_digest(weights),
        queries_only=own.get("queries_only") is True,
    )


def write_base(folder: Path, *, model: str, fingerprint: str, queries_only: bool) -> None:
    """Write down what LoRA weights belong to; see `LoraFolder`."""
    own = {"model": model, "fingerprint": fingerprint, "queries_only": queries_only}
    (folder / BASE).write_text(json.dumps(own, indent=2), encoding="utf-8")


def _scale(folder: Path, settings: dict[str, Any]) -> float:
    rank, alpha = settings.get("r"), settings.get("lora_alpha")
    if not isinstance(rank, int) or rank < 1 or not isinstance(alpha, int | float):
        raise ModelError(f"{folder / SETTINGS} states r {rank!r} and lora_alpha {alpha!r}, wanted numbers")
    return float(alpha) / rank
