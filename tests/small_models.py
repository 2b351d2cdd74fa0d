"""Small models of every kind with made-up weights, written as sentence-transformers writes them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from ragwright.retrieval.model import DEFAULT_MODEL, open_model

WIDTH = 32
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")
_SETTINGS: dict[str, Any] = {
    "vocab_size": 30_522,
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}


def small_transformer(folder: Path, *, family: str = "Bert", head: str = "Model", **settings: Any) -> Path:
    """A transformer folder with the default model's tokenizer.

    Args:
        folder: Where to; made when absent.
        family: First part of the class names in transformers.
        head: Their last part: `Model`, or `ForSequenceClassification`.
        settings: Of the configuration.
    """
    import torch
    import transformers

    config = getattr(transformers, f"{family}Config")(**{**_SETTINGS, "pad_token_id": 0, **settings})
    torch.manual_seed(3)
    module = getattr(transformers, f"{family}{head}")(config)
    for name, weights in module.named_parameters():
        if "norm" not in name.lower() and weights.dim() == 2:  # else every text gets nearly the same output
            weights.data *= 20 if "classifier" in name else 4
    module.save_pretrained(folder)
    return _with_tokenizer(folder)


def folder_without_weights(folder: Path, **settings: Any) -> Path:
    """A folder with everything but numbers in its weights: quick to make, to be read and never computed."""
    folder.mkdir(parents=True, exist_ok=True)
    own = {"model_type": "bert", "max_position_embeddings": 512, "pad_token_id": 0}
    write_json(folder / "config.json", {**_SETTINGS, **own, **settings})
    (folder / "model.safetensors").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ")
    return _with_tokenizer(folder)


def _with_tokenizer(folder: Path) -> Path:
    packaged = open_model(DEFAULT_MODEL).path
    for name in _TOKENIZER:
        if (packaged / name).is_file():
            shutil.copy(packaged / name, folder / name)
    return folder


def write_json(path: Path, value: object) -> None:
    """Write a settings file, its folder included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
