"""What the encoder is measured against: sentence-transformers twice, and ONNX Runtime on the same weights."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stopwatch import seconds

from ragwright.retrieval.model import ModelFolder
from ragwright.retrieval.tokens import ModelTokenizer

Encode = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts to vectors of unit norm, shape (n, dimension), in input order."""

_SIZES = (8, 16, 32, 64, 128)
_FASTEMBED = 256  # fastembed's batch size


def sentence_transformers(folder: Path) -> Encode:
    """`SentenceTransformer.encode` at its defaults: fp32, 32 texts a batch, longest first."""
    peer = _sentence_transformer(folder)
    return lambda texts: np.asarray(peer.encode(list(texts)), np.float32)


def sentence_transformers_best(folder: Path, texts: Sequence[str]) -> tuple[Encode, str]:
    """`SentenceTransformer.encode` in bf16 at the batch size that is fastest for these texts, and both."""
    import torch

    peer = _sentence_transformer(folder).to(torch.bfloat16)

    def encode(some: Sequence[str], size: int) -> NDArray[np.float32]:
        found = np.asarray(peer.encode(list(some), batch_size=size), np.float32)
        return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)

    encode(texts[:8], 8)
    times = {size: seconds(partial(encode, texts, size)) for size in _SIZES}
    best = min(times, key=lambda size: times[size])
    setting = f"bf16 by torch, {best} texts a batch, the quickest on mixed lengths"
    return lambda some: encode(some, best), setting


def onnx_runtime(folder: Path, model: ModelFolder, scratch: Path) -> Encode | None:
    """ONNX Runtime as fastembed calls it: fp32, 256 texts a batch in input order, padded to the longest.

    fastembed itself takes its own export from a hub, which is out of reach offline; this is an export of the
    same weights. None where onnxruntime or onnx is not installed.
    """
    try:
        import onnx  # noqa: F401 - the export needs it
        import onnxruntime
    except ImportError:
        return None
    path = _exported(folder, scratch)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    tokenizer = ModelTokenizer(model)

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        parts = []
        for start in range(0, len(texts), _FASTEMBED):
            rows = [each.ids for each in tokenizer.encode(list(texts[start : start + _FASTEMBED]))]
            ids, mask = _padded(rows)
            (states,) = session.run(None, {"ids": ids, "mask": mask})
            weights = mask[:, :, None].astype(np.float32)
            parts.append((states * weights).sum(axis=1) / weights.sum(axis=1))
        found = np.concatenate(parts)
        return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)

    return encode


def _sentence_transformer(folder: Path) -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu")


def _exported(folder: Path, scratch: Path) -> Path:
    import torch
    from transformers import AutoModel

    module = AutoModel.from_pretrained(str(folder), attn_implementation="eager").eval()

    class States(torch.nn.Module):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, ids: Any, mask: Any) -> Any:
            return self.module(input_ids=ids, attention_mask=mask).last_hidden_state

    path = scratch / "model.onnx"
    ids = torch.randint(5, 100, (2, 17))
    axes = {0: "texts", 1: "tokens"}
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            States().eval(),
            (ids, torch.ones_like(ids)),
            str(path),
            input_names=["ids", "mask"],
            output_names=["states"],
            dynamic_axes={"ids": axes, "mask": axes, "states": axes},
            dynamo=False,
        )
    return path


def _padded(rows: Sequence[NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    length = max(len(row) for row in rows)
    ids, mask = np.zeros((len(rows), length), np.int64), np.zeros((len(rows), length), np.int64)
    for place, row in enumerate(rows):
        ids[place, : len(row)], mask[place, : len(row)] = row, 1
    return ids, mask
