"""What stands behind the transformer in a model folder: its list of layers, pooling and projections.

The layout is that of sentence-transformers: `modules.json` lists the layers, each with a folder of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ragwright.core.errors import ModelError
from ragwright.core.model_folder import read_json
from ragwright.retrieval.activations import Activation, Rows, activation

Pooling = Literal["mean", "cls", "lasttoken"]
Projection = Callable[[Rows], Rows]
"""A layer behind the pooling: rows of vectors to rows of other vectors."""

_MODES: dict[str, Pooling] = {
    "mean": "mean",
    "mean_tokens": "mean",
    "cls": "cls",
    "cls_token": "cls",
    "lasttoken": "lasttoken",
}


@dataclass(frozen=True, slots=True)
class Layer:
    """One entry of `modules.json`: the class name without its package, and the layer's folder."""

    name: str
    folder: Path


@dataclass(frozen=True, slots=True)
class Head:
    """How token vectors become one vector.

    Attributes:
        pooling: Which token vectors count.
        pools_prompt: Whether the prompt's tokens count in the mean.
        projections: Applied one after the other to what is pooled; normalising ones at the end are left out.
        dimension: Length of a vector behind them; None: that of the token vectors.
        digests: What the vectors depend on beside the transformer and the pooling's name.
    """

    pooling: Pooling = "mean"
    pools_prompt: bool = True
    projections: tuple[Projection, ...] = ()
    dimension: int | None = None
    digests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Dense:
    """A linear layer with its activation.

    Attributes:
        weight: Shape (out, in).
        bias: Shape (out,); zeros where the layer has none.
        activation: By element.
        digest: Of the layer's settings and weights.
    """

    weight: Rows
    bias: Rows
    activation: Activation
    digest: str

    def __call__(self, rows: Rows) -> Rows:
        """Rows of shape (n, in) to rows of shape (n, out)."""
        return self.activation(rows @ self.weight.T + self.bias)


@dataclass(frozen=True, slots=True, eq=False)
class LayerNorm:
    """Rows of mean 0 and variance 1, then scaled and shifted (Ba et al. 2016, arXiv:1607.06450).

    Attributes:
        weight: Scales, shape (dim,).
        bias: Shifts, shape (dim,).
        digest: Of both.
    """

    weight: Rows
    bias: Rows
    digest: str

    def __call__(self, rows: Rows) -> Rows:
        """Rows of shape (n, dim) to rows of the same shape."""
        centred = rows - rows.mean(axis=-1, keepdims=True)
        variance = np.square(centred).mean(axis=-1, keepdims=True)
        return np.asarray(centred / np.sqrt(variance + _LEAST_VARIANCE) * self.weight + self.bias, np.float32)


def unit_rows(vectors: Rows) -> Rows:
    """Rows of unit L2 norm; a row of zeros stays."""
    norms = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    return np.asarray(vectors / np.maximum(norms, 1e-12)[:, None], np.float32)


def read_head(path: Path, *, setting: str = "encoder.model") -> Head:
    """How a folder pools; a plain transformer, which has no list of layers, is pooled by the mean.

    Args:
        path: The model folder.
        setting: The setting that names it, for the messages.

    Raises:
        ModelError: A layer that is not computed here: the vectors would be wrong without it.
    """
    layers = read_layers(path)
    if layers is None:
        return Head()
    _check_order(path, layers, setting)
    settings = read_json(layers[1].folder / "config.json")
    pooling = _pooling(path, settings, setting)
    pools_prompt = settings.get("include_prompt") is not False
    if pooling == "cls" and not pools_prompt:
        raise ModelError(
            f"model folder {path} pools by the first token behind its prompt; supported are models that pool "
            f"the very first token, or the mean: set {setting} to such a model"
        )
    behind = layers[2:]
    while behind and behind[-1].name == "Normalize":
        behind = behind[:-1]
    found = [_READ[each.name](each.folder) for each in behind]
    dense = [each for each in found if isinstance(each, Dense)]
    digests = (each.digest if isinstance(each, Dense | LayerNorm) else "unit" for each in found)
    return Head(
        pooling,
        pools_prompt,
        tuple(found),
        len(dense[-1].weight) if dense else None,
        (*digests, *_without(pools_prompt)),
    )


def _without(pools_prompt: bool) -> tuple[str, ...]:
    return () if pools_prompt else ("without prompt",)


def _check_order(path: Path, layers: Sequence[Layer], setting: str) -> None:
    names = [each.name for each in layers]
    strange = [name for name in names if name not in ("Transformer", "Pooling", *_READ)]
    if strange or names[:2] != ["Transformer", "Pooling"] or {"Transformer", "Pooling"} & {*names[2:]}:
        seen = f"the layer {strange[0]}" if strange else f"the layers {', '.join(names) or 'none'}"
        raise ModelError(
            f"model folder {path} has {seen}; supported are Transformer and Pooling, and behind them "
            f"{', '.join(_READ)}: set {setting} to such a model"
        )


def _pooling(path: Path, settings: dict[str, Any], setting: str) -> Pooling:
    modes = _pooling_modes(settings)
    if len(modes) == 1 and modes[0] in _MODES:
        return _MODES[modes[0]]
    raise ModelError(
        f"model folder {path} pools by {modes}; supported are mean_tokens, cls_token and lasttoken, "
        f"one of them: set {setting} to such a model"
    )


def _pooling_modes(settings: dict[str, Any]) -> list[str]:
    """The modes that are on, in the older form of one switch each or in the newer of one name or several."""
    named = settings.get("pooling_mode")
    if named is not None:
        return [str(name) for name in named] if isinstance(named, list) else [str(named)]
    switched = [
        key.removeprefix("pooling_mode_")
        for key, on in settings.items()
        if key.startswith("pooling_mode_") and on
    ]
    return switched or ["mean"]


def read_dense(folder: Path, *, reads: str = "sentence_embedding") -> Dense:
    """A linear layer from its settings and weights.

    Args:
        folder: Holds `config.json` and `model.safetensors`.
        reads: What the layer must be made for, `sentence_embedding` or `token_embeddings`.

    Raises:
        ModelError: A file is absent or damaged, or the layer does more than is computed here.
    """
    path, weights = folder / "config.json", folder / "model.safetensors"
    settings = read_json(path)
    if settings.get("use_residual") or settings.get("module_input_name", reads) != reads:
        what = "a residual connection" if settings.get("use_residual") else settings["module_input_name"]
        raise ModelError(f"{path} asks for {what}, which is not supported here: choose another model")
    content = _weights(weights)
    tensors = _tensors(content, weights)
    weight = tensors.get("linear.weight", np.zeros(0, np.float32))
    if weight.ndim != 2:
        raise ModelError(f"{weights} holds no matrix linear.weight; get the model again")
    named = settings.get("activation_function", "torch.nn.modules.activation.Tanh")
    digest = hashlib.sha256(content + str(named).encode()).hexdigest()
    bias = tensors.get("linear.bias", np.zeros(len(weight), np.float32))
    return Dense(weight, bias, activation(str(named), path=path), digest)


def read_layer_norm(folder: Path) -> LayerNorm:
    """A normalising layer from its weights.

    Args:
        folder: Holds `model.safetensors`.

    Raises:
        ModelError: The file is absent or damaged.
    """
    weights = folder / "model.safetensors"
    content = _weights(weights)
    tensors = _tensors(content, weights)
    if not {"norm.weight", "norm.bias"} <= tensors.keys():
        raise ModelError(f"{weights} holds no norm.weight and norm.bias; get the model again")
    digest = hashlib.sha256(content).hexdigest()
    return LayerNorm(tensors["norm.weight"], tensors["norm.bias"], digest)


# torch's default, which no folder changes.
_LEAST_VARIANCE = 1e-5

_READ: dict[str, Callable[[Path], Projection]] = {
    "Dense": read_dense,
    "LayerNorm": read_layer_norm,
    "Normalize": lambda folder: unit_rows,
}


def _weights(path: Path) -> bytes:
    if not path.is_file():
        raise ModelError(
            f"model folder {path.parent} has no {path.name}; only safetensors weights are loaded, "
            "so save the model with safe_serialization=True"
        )
    return path.read_bytes()


def _tensors(content: bytes, path: Path) -> dict[str, Rows]:
    """Every tensor of a safetensors file as float32; numpy itself knows no bfloat16."""
    from safetensors import SafetensorError, deserialize

    try:
        listed: Any = deserialize(content)  # type: ignore[no-untyped-call, unused-ignore]
        found = {name: _floats(tensor) for name, tensor in listed}
    except (SafetensorError, KeyError, ValueError) as error:
        raise ModelError(f"{path} cannot be read ({error}); get the model again") from None
    return found


def _floats(tensor: dict[str, Any]) -> Rows:
    data, shape = tensor["data"], tensor["shape"]
    if tensor["dtype"] == "BF16":  # the upper half of a float32
        return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4").reshape(shape)
    kind = {"F32": "<f4", "F16": "<f2", "F64": "<f8"}[tensor["dtype"]]
    return np.frombuffer(data, kind).astype(np.float32).reshape(shape)


def read_layers(path: Path) -> list[Layer] | None:
    """The layers of a model folder in their order; None without a list of them."""
    listed = path / "modules.json"
    if not listed.is_file():
        return None
    try:
        layers = json.loads(listed.read_text(encoding="utf-8"))
        return [Layer(str(each["type"]).rpartition(".")[2], path / str(each["path"])) for each in layers]
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{listed} is no list of layers ({error!r}); get the model again") from None
