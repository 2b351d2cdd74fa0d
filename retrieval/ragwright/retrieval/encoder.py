"""Text to vectors: one forward pass gives a passage's vector and one for each of its sentences.

The sentence vectors are *late-pooled*: means over the token vectors that the transformer computed with the
whole passage in view (Günther et al. 2024, "Late Chunking", arXiv:2409.04701, there for chunks of a
document). They cost no extra pass, and retrieve better than sentences encoded alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ragwright.core.errors import InputError, ModelError
from ragwright.core.types import Encoding, Passage, Vectors
from ragwright.retrieval.batches import Batch, make_batches
from ragwright.retrieval.model import ModelFolder, open_model
from ragwright.retrieval.tokens import ModelTokenizer, Tokens

Backend = Literal["auto", "openvino", "torch"]

_DRIVER = Path("/proc/driver/nvidia/version")


class Forward(Protocol):
    """Token ids to token vectors; `run` may be called from several threads."""

    def run(self, batches: Sequence[Batch], receive: Callable[[Batch, NDArray[np.float32]], None]) -> None:
        """Call `receive` once per batch with token vectors, float32, shape (b, length, dim)."""
        ...


class TransformerEncoder:
    """A sentence-transformers model behind the `Encoder` protocol, for any number of threads.

    Attributes:
        fingerprint: Names the model; vectors of equal fingerprints may be compared.
        dimension: Length of a vector.
        tokenizer: The model's tokenizer.
    """

    def __init__(self, model: ModelFolder, forward: Forward, *, batch_tokens: int) -> None:
        self.fingerprint = model.fingerprint
        self.dimension = model.dimension
        self.tokenizer = ModelTokenizer(model)
        self._model = model
        self._forward = forward
        self._batch_tokens = batch_tokens

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode questions, in input order.

        Args:
            texts: What exceeds the model's limit is left out: a question has no offsets to lose.

        Returns:
            float32, shape (len(texts), dimension), rows of unit L2 norm.
        """
        tokens = self.tokenizer.encode([self._model.query_prompt + text for text in texts])
        ids = [self._clip(each.ids) for each in tokens]
        vectors = np.empty((len(texts), self.dimension), np.float32)

        def receive(batch: Batch, states: NDArray[np.float32]) -> None:
            for place, row in enumerate(batch.rows):
                vectors[row] = self._pool(states[place, : len(ids[row])])

        self._forward.run(self._batches(ids), receive)
        return vectors

    def encode_passages(self, passages: Sequence[Passage]) -> list[Encoding]:
        """Encode passages and their sentences in one forward pass, in input order.

        Raises:
            InputError: A passage is longer than the model's limit.
        """
        prompt = self._model.passage_prompt
        tokens = self.tokenizer.encode([prompt + passage.text for passage in passages])
        self._check(tokens)
        results: list[Encoding | None] = [None] * len(passages)

        def receive(batch: Batch, states: NDArray[np.float32]) -> None:
            for place, row in enumerate(batch.rows):
                vectors = states[place, : len(tokens[row].ids)]
                sentences = _pool_ranges(vectors, tokens[row].offsets, passages[row].sentences, len(prompt))
                results[row] = Encoding(self._pool(vectors), sentences)

        self._forward.run(self._batches([each.ids for each in tokens]), receive)
        return [result for result in results if result is not None]

    def _batches(self, ids: Sequence[NDArray[np.int64]]) -> list[Batch]:
        return make_batches(ids, budget=self._batch_tokens, longest=self._model.positions)

    def _clip(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        limit = self._model.max_tokens
        return ids if len(ids) <= limit else np.concatenate([ids[: limit - 1], ids[-1:]])

    def _check(self, tokens: Sequence[Tokens]) -> None:
        for each in tokens:
            if len(each.ids) > self._model.max_tokens:
                raise InputError(
                    f"a passage has {len(each.ids)} tokens and {self._model.name} reads at most "
                    f"{self._model.max_tokens}; lower chunk.tokens"
                )

    def _pool(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """One unit vector, shape (dim,), from token vectors of shape (tokens, dim)."""
        pooled = vectors[0] if self._model.pooling == "cls" else vectors.mean(axis=0)
        return _unit(np.asarray(pooled, np.float32))


def _pool_ranges(
    vectors: NDArray[np.float32],
    offsets: NDArray[np.int64],
    ranges: Sequence[tuple[int, int]],
    shift: int,
) -> Vectors:
    """Mean token vectors of character ranges.

    Args:
        vectors: Shape (tokens, dim).
        offsets: Shape (tokens, 2): the characters of each token; empty for special tokens.
        ranges: Half-open, ascending, not overlapping.
        shift: Added to the ranges.

    Returns:
        float32, shape (len(ranges), dim), rows of unit L2 norm. A range in which no token begins (nothing
        but white space) gets the mean of the whole text.
    """
    result = np.empty((len(ranges), vectors.shape[1]), np.float32)
    real = np.flatnonzero(offsets[:, 1] > offsets[:, 0])  # special tokens are empty
    before = int(real[0]) if len(real) else 0
    shifted = np.asarray(ranges, np.int64).reshape(-1, 2) + shift
    bounds = np.searchsorted(offsets[real, 0], shifted) + before
    for place, (first, last) in enumerate(bounds):
        part = vectors[first:last] if last > first else vectors
        result[place] = _unit(part.mean(axis=0))
    return result


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    return vector / np.float32(max(float(np.linalg.norm(vector)), 1e-12))


def load_encoder(
    name: str, *, backend: Backend, precision: str, cache: Path, batch_tokens: int, threads: int
) -> TransformerEncoder:
    """Load a model for encoding.

    Args:
        name: See `open_model`.
        backend: `auto` takes CUDA through torch where there is a card, else OpenVINO, else torch.
        precision: `bf16`, `fp32`, or `auto`: bf16 where the hardware computes it natively.
        cache: Folder for converted and compiled models.
        batch_tokens: Tokens in one batch, padding included.
        threads: CPU threads; 0 takes every core this process may use.

    Raises:
        ModelError: See `open_model`.
    """
    model = open_model(name)
    forward = _make_forward(model, backend=backend, precision=precision, cache=cache, threads=threads)
    return TransformerEncoder(model, forward, batch_tokens=batch_tokens)


def _make_forward(
    model: ModelFolder, *, backend: Backend, precision: str, cache: Path, threads: int
) -> Forward:
    if backend == "torch" or (backend == "auto" and _has_cuda()):
        from ragwright.retrieval.torch_model import TorchForward

        return TorchForward(model, precision=precision, threads=threads)
    try:
        from ragwright.retrieval.openvino_model import OpenVinoForward

        return OpenVinoForward(model, cache=cache, precision=precision, threads=threads)
    except ImportError:
        if backend == "openvino":
            raise ModelError(
                "openvino is not installed; run: pip install openvino, or set encoder.backend=torch"
            ) from None
    return _make_forward(model, backend="torch", precision=precision, cache=cache, threads=threads)


def _has_cuda() -> bool:
    """Whether torch can use a card; without an NVIDIA driver that is known without importing torch."""
    if not _DRIVER.exists():
        return False
    from ragwright.retrieval.torch_model import has_cuda

    return has_cuda()
