"""Copies of the default model whose weights were changed: a little, so that results differ, or beyond use."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from ragwright.finetune.tuned_model import TunedModel, write_tuned
from ragwright.retrieval.model import DEFAULT_MODEL, open_model


def perturbed(workspace: Path, name: str, *, amount: float = 0.1) -> Path:
    """A tuned model whose weights have noise of so many of their standard deviations; returns its folder."""
    random = np.random.default_rng(5)

    def noisy(weights: np.ndarray) -> np.ndarray:
        noise = random.normal(size=weights.shape) * amount * float(weights.std())
        return (weights + noise).astype(weights.dtype)

    return _changed(workspace, name, noisy)


def shuffled(workspace: Path, name: str) -> Path:
    """A tuned model whose weights were shuffled, tensor by tensor: it maps texts to noise."""
    random = np.random.default_rng(7)

    def mixed(weights: np.ndarray) -> np.ndarray:
        return random.permutation(weights.ravel()).reshape(weights.shape)

    return _changed(workspace, name, mixed)


def _changed(workspace: Path, name: str, change: object) -> Path:
    base = open_model(DEFAULT_MODEL)
    folder = workspace / "tuned" / name
    shutil.copytree(
        base.path, folder / "model", ignore=shutil.ignore_patterns("*.py", "__pycache__", "*.onnx")
    )
    file = folder / "model" / "model.safetensors"
    tensors = load_file(file)
    save_file(
        {key: change(each) if each.ndim == 2 else each for key, each in tensors.items()},  # type: ignore[operator]
        file,
        metadata={"format": "pt"},
    )
    facts = {"base": DEFAULT_MODEL, "base_fingerprint": base.fingerprint, "data": "", "seed": 0}
    write_tuned(folder, TunedModel(name=name, kind="embedder", made="2026-01-01T00:00:00+00:00", **facts))  # type: ignore[arg-type]
    return folder
