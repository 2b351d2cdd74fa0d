"""A query adapter: a matrix that moves query vectors to where the answers of a domain stand.

Chunk vectors stay as they are, so nothing is encoded again, and without the adapter everything is as before.
Training writes the files, retrieval reads them.

    query_adapter.json          kind, base, base_fingerprint, dimension
    query_adapter.safetensors   residual (dim, dim) and bias (dim,), float32
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragwright.core.errors import ModelError
from ragwright.core.model_folder import check_folder, file_digest, read_json
from ragwright.core.types import Vectors

SETTINGS = "query_adapter.json"
WEIGHTS = "query_adapter.safetensors"
_KIND = "query-adapter"
_WITHIN = "model"  # where a tuned model's folder holds what is loaded


@dataclass(frozen=True, slots=True, eq=False)
class QueryAdapter:
    """What is added to a query's vector before it is made unit length again.

    Attributes:
        base: The encoder that it was trained for, as configured.
        base_fingerprint: Of this encoder; with any other the adapter means nothing.
        residual: float32, shape (dim, dim); zeros change nothing.
        bias: float32, shape (dim,).
        fingerprint: SHA-256 of the weights' file, in hex; "" for one that was not read from a file.
    """

    base: str
    base_fingerprint: str
    residual: NDArray[np.float32]
    bias: NDArray[np.float32]
    fingerprint: str = ""

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return len(self.bias)

    def moved(self, vectors: Vectors) -> Vectors:
        """Query vectors, moved.

        Args:
            vectors: Of the base encoder, float32, shape (n, dim), rows of unit L2 norm; left as they are.

        Returns:
            float32, shape (n, dim), rows of unit L2 norm.
        """
        moved = vectors + vectors @ self.residual + self.bias
        norms = np.linalg.norm(moved, axis=1, keepdims=True)
        kept: Vectors = np.divide(moved, norms, out=vectors.copy(), where=norms > 0)
        return kept

    def check_base(self, fingerprint: str, *, name: str) -> None:
        """Refuse another encoder than the one it was trained for.

        Args:
            fingerprint: Of the encoder that is to be used.
            name: What the adapter is called, for the message.

        Raises:
            ModelError: It is another one.
        """
        if fingerprint != self.base_fingerprint:
            raise ModelError(
                f"the query adapter {name} was trained for the encoder {self.base} ({self.base_fingerprint}),"
                f" and the encoder here is {fingerprint}; train one for it: ragwright tune adapter, or unset"
                " encoder.query_adapter"
            )


def write_query_adapter(folder: Path, adapter: QueryAdapter) -> None:
    """Write an adapter's files, the settings last; each is there whole or not at all."""
    from safetensors.numpy import save

    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        "residual": np.ascontiguousarray(adapter.residual, np.float32),
        "bias": np.ascontiguousarray(adapter.bias, np.float32),
    }
    settings = {
        "kind": _KIND,
        "base": adapter.base,
        "base_fingerprint": adapter.base_fingerprint,
        "dimension": adapter.dimension,
    }
    _write(folder / WEIGHTS, save(tensors))
    _write(folder / SETTINGS, json.dumps(settings, indent=2, ensure_ascii=False).encode())


def read_query_adapter(folder: Path, *, setting: str = "encoder.query_adapter") -> QueryAdapter:
    """The adapter in a folder, or in the folder `model` inside of it as tuned models have it.

    Args:
        folder: Where it lies.
        setting: The setting that names it, for the messages.

    Raises:
        ModelError: There is none, or its files are damaged or do not fit one another.
    """
    place = folder / _WITHIN if (folder / _WITHIN / SETTINGS).is_file() else folder
    check_folder(place, setting=setting)
    settings = read_json(place / SETTINGS)
    try:
        return _read(place / WEIGHTS, settings)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{place} is no query adapter that can be read ({error}); wanted {SETTINGS} and {WEIGHTS} as "
            "ragwright tune adapter writes them"
        ) from None


def _read(weights: Path, settings: dict[str, Any]) -> QueryAdapter:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    if settings.get("kind") != _KIND:
        raise ValueError(f'its kind is "{settings.get("kind")}", not "{_KIND}"')
    try:
        tensors = load(weights.read_bytes())
    except (OSError, SafetensorError) as error:
        raise ValueError(str(error)) from None
    residual, bias = tensors["residual"], tensors["bias"]
    dimension = int(settings["dimension"])
    if residual.shape != (dimension, dimension) or bias.shape != (dimension,):
        raise ValueError(f"its matrices do not have the {dimension} dimensions that {SETTINGS} states")
    if residual.dtype != np.float32 or bias.dtype != np.float32:
        raise ValueError("its matrices are not float32")
    if not (np.isfinite(residual).all() and np.isfinite(bias).all()):
        raise ValueError("it holds numbers that are not finite")
    digest = file_digest(weights)
    return QueryAdapter(str(settings["base"]), str(settings["base_fingerprint"]), residual, bias, digest)


def _write(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
