"""A reader's two heads: every question makes its own directions, along which tokens and chunks are measured.

A question's mean token vector goes through a linear layer that gives two directions. How far a token's vector
points along the second says whether the token belongs to the evidence; how far the mean vector of the chunk's
tokens points along the first, whether the chunk answers. Where both parts of the layer begin as the identity,
heads begin as the cosine that an embedder was trained for, and training starts from there.

Training writes `heads.safetensors`, retrieval reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ragwright.core.errors import ModelError
from ragwright.core.model_folder import file_digest

Floats = NDArray[np.float32]

HEADS: Final = "heads.safetensors"
PASSAGE, EVIDENCE = 0, 1
"""Which direction is which."""


@dataclass(frozen=True, slots=True, eq=False)
class ReaderHeads:
    """What makes log-odds of token vectors.

    Attributes:
        weight: From a question's mean vector to the directions, float32, shape (2, dim, dim).
        bias: Added to the directions, shape (2, dim).
        offset: Added to the log-odds, shape (2,).
        digest: SHA-256 of the file, in hex; "" for heads that were not read from one.
    """

    weight: Floats
    bias: Floats
    offset: Floats
    digest: str = ""

    @property
    def dimension(self) -> int:
        """Length of a token vector."""
        return int(self.bias.shape[1])

    def odds(self, question: Floats, chunk: Floats) -> tuple[float, Floats]:
        """Log-odds that a chunk answers, and that each of its tokens is evidence.

        Args:
            question: Vectors of the question's tokens as they stand before the chunk, shape (q, dim).
            chunk: Vectors of the chunk's tokens, shape (n, dim).

        Returns:
            The passage's log-odds, and the tokens', float32, shape (n,). A chunk without tokens answers
            nothing: minus infinity.
        """
        asked = level(question).mean(axis=0) if len(question) else np.zeros(self.dimension, np.float32)
        directions = self.weight @ asked + self.bias
        tokens = level(chunk)
        if not len(tokens):
            return float("-inf"), np.zeros(0, np.float32)
        passage = float(tokens.mean(axis=0) @ directions[PASSAGE] + self.offset[PASSAGE])
        evidence = tokens @ directions[EVIDENCE] + self.offset[EVIDENCE]
        return passage, np.asarray(evidence, np.float32)


def level(vectors: Floats) -> Floats:
    """Rows of mean square 1: encoders differ in how long their token vectors are."""
    lengths = np.sqrt(np.square(vectors).mean(axis=-1, keepdims=True))
    return np.asarray(vectors / np.maximum(lengths, 1e-6), np.float32)


def write_heads(folder: Path, heads: ReaderHeads) -> None:
    """Write heads into a folder that is being made."""
    from safetensors.numpy import save_file

    tensors = {"weight": heads.weight, "bias": heads.bias, "offset": heads.offset}
    found = {name: np.ascontiguousarray(each, np.float32) for name, each in tensors.items()}
    save_file(found, str(folder / HEADS))


def read_heads(folder: Path) -> ReaderHeads:
    """The heads in a reader's folder.

    Raises:
        ModelError: There are none, or they are damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = folder / HEADS
    if not path.is_file():
        raise ModelError(f"{folder} has no {HEADS}; wanted a reader's folder: run ragwright tune reader")
    try:
        tensors = load(path.read_bytes())
        weight, bias, offset = (tensors[name] for name in ("weight", "bias", "offset"))
    except (SafetensorError, KeyError, OSError) as error:
        raise ModelError(f"{path} cannot be read ({error}); train the reader again") from None
    width = bias.shape[-1]
    shapes = (weight.shape, bias.shape, offset.shape)
    if shapes != ((2, width, width), (2, width), (2,)) or any(
        each.dtype != np.float32 or not np.isfinite(each).all() for each in (weight, bias, offset)
    ):
        raise ModelError(
            f"{path} holds numbers of the shapes {shapes}; wanted two heads of finite float32 numbers: train "
            "the reader again"
        )
    return ReaderHeads(weight, bias, offset, file_digest(path))
