"""LoRA weights on a frozen encoder, through PEFT (Hu et al. 2021, arXiv:2106.09685)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragwright.core.config_tuning import TuneConfig
from ragwright.core.errors import MissingExtra, ModelError
from ragwright.finetune.trainers import quiet


@dataclass(frozen=True, slots=True)
class Lora:
    """Which layers get LoRA weights, and of what size.

    Attributes:
        rank: Of the two factors.
        alpha: Their product counts `alpha / rank`.
        targets: Names of the linear layers.
    """

    rank: int = 16
    alpha: int = 32
    targets: tuple[str, ...] = ("query", "key", "value", "dense")

    @classmethod
    def of(cls, settings: TuneConfig) -> Lora:
        """The settings of `[tune]`."""
        return cls(settings.lora_rank, settings.lora_alpha, settings.lora_targets)


def add_lora(model: Any, lora: Lora, *, seed: int) -> None:
    """Put LoRA weights beside a model's own, which learn no more; at first they change nothing.

    Args:
        model: A `SentenceTransformer`.
        lora: Where and of what size.
        seed: Of the first of the two factors; the second is 0.

    Raises:
        ModelError: The model has no layer of such a name; the message names those it has.
        MissingExtra: peft is absent.
    """
    try:
        from peft import LoraConfig
    except ImportError:
        raise MissingExtra("peft", "tune") from None
    import torch

    settings = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        target_modules=list(lora.targets),
        exclude_modules=["pooler.dense"],  # no embedder reads what it gives
        lora_dropout=0.0,
        bias="none",
        inference_mode=False,
    )
    model.requires_grad_(False)
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model.add_adapter(settings)
        except ValueError:
            raise ModelError(
                f"the model has no linear layers named {', '.join(lora.targets)}; set tune.lora_targets to "
                f"some of {', '.join(_linear_names(model))}"
            ) from None


def save_lora(model: Any, folder: Path) -> None:
    """Write LoRA weights as PEFT does.

    Args:
        model: What `add_lora` was called with.
        folder: Gets `adapter_config.json` and `adapter_model.safetensors`.
    """
    with quiet():
        model.transformers_model.save_pretrained(str(folder))


def _linear_names(model: Any) -> list[str]:
    import torch

    found = {
        name.rpartition(".")[2] for name, each in model.named_modules() if isinstance(each, torch.nn.Linear)
    }
    return sorted(found)
