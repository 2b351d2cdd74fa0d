"""How much memory a training needs, said before it starts.

Weights, gradients and Adam's two moments are counted. What the backward pass keeps of the forward pass is
estimated from the sizes of a transformer (Korthikanti et al. 2022, "Reducing Activation Recomputation in
Large Transformer Models", arXiv:2205.05198, section 4).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragwright.core.errors import ModelError

_LIMIT, _USED = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
_MEMORY = Path("/proc/meminfo")
_MEGABYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Step:
    """What one step of a training computes.

    Attributes:
        tokens: Tokens of all its texts.
        longest: Tokens of its longest text.
        half: Whether in bf16.
        kept: Share of the texts whose intermediate results are kept for the backward pass at the same time;
            1 keeps all.
    """

    tokens: int
    longest: int
    half: bool
    kept: float = 1.0


def needed(model: Any, step: Step) -> int:
    """Bytes that training a model takes beyond its weights: gradients, moments, intermediate results.

    Args:
        model: A module; the sizes of its transformer are taken from the first part that has a `config`.
        step: What is computed at once.
    """
    trained: int = sum(each.numel() for each in model.parameters() if each.requires_grad)
    return 12 * trained + int(_kept_per_token(model, step) * step.tokens * step.kept)


def free(device: Any) -> int:
    """Bytes that are free on a torch device, within the limit of the container."""
    import torch

    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    available = _available()
    try:
        return min(available, int(_LIMIT.read_text()) - int(_USED.read_text()))
    except (OSError, ValueError):  # no container, or one without a limit
        return available


def _available() -> int:
    """What the system can give without swapping; where it does not say, all that is built in."""
    try:
        lines = _MEMORY.read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def check_memory(model: Any, step: Step, *, device: Any) -> int:
    """Refuse a training that does not fit; returns the estimate in bytes.

    Raises:
        ModelError: With what is needed and what is free.
    """
    wanted, found = needed(model, step), free(device)
    if wanted > found:
        raise ModelError(
            f"the training needs about {wanted // _MEGABYTE:,} MB and {found // _MEGABYTE:,} MB are free; "
            "lower tune.batch, set tune.recompute=true, or choose a smaller model"
        )
    return wanted


def _kept_per_token(model: Any, step: Step) -> float:
    """Bytes that the backward pass needs of each token's forward pass."""
    sizes = next(
        (found for each in model.modules() if hasattr(found := getattr(each, "config", None), "hidden_size")),
        None,
    )
    if sizes is None:
        return 0.0
    width, layers = int(sizes.hidden_size), int(sizes.num_hidden_layers)
    inner = int(getattr(sizes, "intermediate_size", 4 * width))
    scores = 5 * int(sizes.num_attention_heads) * step.longest
    return float(layers * (18 * width + 4 * inner + scores) * (1 if step.half else 2))
