"""Small models of every kind with made-up weights, written as sentence-transformers writes them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

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


_MODULES = {
    "Transformer": "base.modules.transformer",
    "Pooling": "sentence_transformer.modules.pooling",
    "Dense": "base.modules.dense",
    "LayerNorm": "sentence_transformer.modules.layer_norm",
    "Normalize": "base.modules.normalize",
}
_POOLED = {"module_input_name": "sentence_embedding", "module_output_name": "sentence_embedding"}
_PLAIN = "torch.nn.modules.linear.Identity"


def modular_cross_encoder(
    folder: Path,
    *layers: str,
    family: str = "Bert",
    pooling: str = "cls",
    prompt: str = "",
    include_prompt: bool = True,
    truncation_side: str = "right",
    labels: int = 1,
    computed: bool = True,
) -> Path:
    """A cross-encoder of several modules for pairs of 128 tokens, as sentence-transformers 6 writes it.

    Args:
        folder: Where to; made when absent.
        layers: Between the pooling and the last linear layer: Dense (with GELU), LayerNorm or Normalize.
        family: See `small_transformer`.
        pooling: Name of the pooling.
        prompt: Before every pair.
        include_prompt: Whether it is pooled.
        truncation_side: Where the tokenizer cuts.
        labels: What the last layer gives.
        computed: Whether there are weights of a transformer.
    """
    if computed:
        more: dict[str, dict[str, Any]] = {
            "ModernBert": {"local_attention": 8, "bos_token_id": 1, "eos_token_id": 2},
            "Qwen3": {"num_key_value_heads": 1, "head_dim": 16},
        }
        small_transformer(folder, family=family, **more.get(family, {}))
    else:
        folder_without_weights(folder, architectures=[f"{family}Model"])
    names = ["Transformer", "Pooling", *layers, "Dense"]
    write_json(folder / "modules.json", [
        {"idx": n, "name": str(n), "path": f"{n}_{name}" if n else "",
         "type": f"sentence_transformers.{_MODULES[name]}.{name}"}
        for n, name in enumerate(names)
    ])  # fmt: skip
    write_json(folder / "1_Pooling" / "config.json", {
        "embedding_dimension": WIDTH, "pooling_mode": pooling, "include_prompt": include_prompt,
    })  # fmt: skip
    for number, name in enumerate(layers, start=2):
        _layer(folder / f"{number}_{name}", name)
    _dense(folder / f"{len(names) - 1}_Dense", labels, _PLAIN, {**_POOLED, "module_output_name": "scores"})
    write_json(folder / "sentence_bert_config.json", {
        "transformer_task": "feature-extraction", "max_seq_length": 128,
        "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
        "module_output_name": "token_embeddings",
    })  # fmt: skip
    write_json(folder / "config_sentence_transformers.json", {
        "model_type": "CrossEncoder", "activation_fn": _PLAIN,
        "prompts": {"rank": prompt}, "default_prompt_name": "rank" if prompt else None,
    })  # fmt: skip
    names_read = ["input_ids", *(["token_type_ids"] if family == "Bert" else []), "attention_mask"]
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    own = {"model_input_names": names_read, "truncation_side": truncation_side}
    write_json(folder / "tokenizer_config.json", {**tokenizer, **own})
    return folder


def _layer(folder: Path, name: str) -> None:
    if name == "Dense":
        _dense(folder, WIDTH, "torch.nn.modules.activation.GELU", _POOLED)
    elif name == "LayerNorm":
        layer_norm(folder)
    else:
        write_json(folder / "config.json", _POOLED)


def layer_norm(folder: Path) -> None:
    """A normalising layer with made-up weights."""
    random = np.random.default_rng(7)
    write_json(folder / "config.json", {"dimension": WIDTH})
    _save(folder, {"norm.weight": random.normal(size=WIDTH), "norm.bias": random.normal(size=WIDTH)})


def _dense(folder: Path, out: int, activation: str, settings: dict[str, str]) -> None:
    random = np.random.default_rng(out)
    write_json(folder / "config.json", {
        "in_features": WIDTH, "out_features": out, "bias": True, "activation_function": activation,
        **settings,
    })  # fmt: skip
    _save(folder, {"linear.weight": random.normal(size=(out, WIDTH)), "linear.bias": random.normal(size=out)})


def _save(folder: Path, tensors: dict[str, Any]) -> None:
    from safetensors.numpy import save_file

    found = {name: np.asarray(values, np.float32) for name, values in tensors.items()}
    save_file(found, str(folder / "model.safetensors"))


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
