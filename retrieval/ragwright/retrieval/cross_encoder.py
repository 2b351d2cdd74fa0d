"""Reranking by a cross-encoder: one transformer reads a question and a chunk together and scores them.

After Nogueira and Cho 2019, "Passage Re-ranking with BERT" (arXiv:1901.04085).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ragwright.core.types import Chunk
from ragwright.retrieval.batches import Ints, ModelInput
from ragwright.retrieval.forward import Compute, Forward
from ragwright.retrieval.layers import Projection
from ragwright.retrieval.memory import Once, RecentArrays
from ragwright.retrieval.pair_model import PairModel, open_pair_model
from ragwright.retrieval.tokens import ModelTokenizer

Scores = NDArray[np.float32]

# Token ids of a chunk are a few kilobytes, so that this holds some ten thousand chunks.
_IDS_MEGABYTES = 32
_BLOCK = 32


class CrossEncoder:
    """Scores chunks for questions; for any number of threads.

    Attributes:
        fingerprint: Names the weights, the tokenizer, and every setting that scores depend on.
    """

    def __init__(
        self, rules: PairModel, load: Callable[[], Forward], *, cache_megabytes: float = _IDS_MEGABYTES
    ) -> None:
        """Make a reranker; the weights are loaded when something is first scored.

        Args:
            rules: How a pair becomes a score.
            load: Loads what computes, with the model's head where it has one.
            cache_megabytes: Token ids of recent chunks are remembered in so much memory.
        """
        model = rules.model
        self.fingerprint = model.fingerprint
        self._rules = rules
        self._tokenizer = ModelTokenizer(model)
        self._frame = self._tokenizer.pair_frame()
        self._longest = model.max_tokens
        self._pooled_from = 0 if model.pools_prompt else self._tokenizer.tokens_before(model.query_prompt)
        self._forward = Once(load)
        self._ids: RecentArrays[Ints] = RecentArrays(cache_megabytes)

    def rerank(self, queries: Sequence[str], candidates: Sequence[Sequence[Chunk]]) -> list[Scores]:
        """Score the candidates of every query; see `Reranker.rerank`.

        A chunk is read with its context, as the encoder reads it, and what exceeds the model's limit is cut
        off, the longer text first: the score of a long chunk is that of its beginning, or of its end where
        the model's tokenizer cuts there. All pairs of a call are computed together.

        Returns:
            For each query, float32, shape (its candidates,): 0..1 where the model ends in a sigmoid, else any
            number; higher is better.
        """
        inputs = self._inputs(queries, candidates)
        outputs: list[NDArray[np.float32]] = [np.zeros(0, np.float32)] * len(inputs)

        def receive(row: int, found: NDArray[np.float32]) -> None:
            outputs[row] = found.reshape(-1).copy()

        if inputs:
            self._forward().run(inputs, receive)
        numbers = _projected(outputs, self._rules.model.projections)
        scores = np.asarray(self._rules.activate(numbers), np.float32)
        ends = np.cumsum([len(chunks) for chunks in candidates])
        return np.split(scores, ends[:-1]) if len(ends) else []

    def _inputs(self, queries: Sequence[str], candidates: Sequence[Sequence[Chunk]]) -> list[ModelInput]:
        rules = self._rules
        asked = self._tokenizer.encode_plain([rules.model.query_prompt + query for query in queries])
        read = self._tokenized({_text(chunk) for chunks in candidates for chunk in chunks})
        inputs = []
        for query, chunks in zip(asked, candidates, strict=True):
            for chunk in chunks:
                ids, types = self._frame.join(
                    query, read[_text(chunk)], longest=self._longest, cuts_left=rules.cuts_left
                )
                inputs.append(ModelInput(ids, self._range(len(ids)), types if rules.model.typed else None))
        return inputs

    def _range(self, count: int) -> Ints:
        """Which of a pair's tokens are pooled, shape (1, 2); a head takes the place of pooling."""
        pooling = self._rules.model.pooling
        if pooling == "cls":
            return np.array([[0, 1]])
        start = count - 1 if pooling == "lasttoken" else min(self._pooled_from, count - 1)
        return np.array([[start, count]])

    def _tokenized(self, texts: set[str]) -> dict[str, Ints]:
        """Token ids of texts; what recent calls have read is not read again."""
        found = self._ids.find(texts)
        new = sorted(texts - found.keys())
        made = dict(zip(new, self._tokenizer.encode_plain(new), strict=True))
        self._ids.keep(made)
        return found | made


def _projected(outputs: Sequence[NDArray[np.float32]], projections: Sequence[Projection]) -> Scores:
    """One number for each of a model's outputs, shape (n,).

    Rows go through the projections in blocks of one size: a matrix product of another shape rounds otherwise,
    and a pair's score would depend on how many pairs it is scored with.
    """
    if not outputs:
        return np.zeros(0, np.float32)
    if not projections:
        return np.concatenate(outputs)
    blocks = -(-len(outputs) // _BLOCK)
    rows = np.zeros((blocks * _BLOCK, len(outputs[0])), np.float32)
    rows[: len(outputs)] = outputs
    found = []
    for block in np.split(rows, blocks):
        for projection in projections:
            block = projection(block)
        found.append(block[:, 0])
    return np.concatenate(found)[: len(outputs)]


def _text(chunk: Chunk) -> str:
    return chunk.context + chunk.text


def load_cross_encoder(
    name: str, compute: Compute, *, cache_megabytes: float = _IDS_MEGABYTES
) -> CrossEncoder:
    """Open a cross-encoder; its weights are loaded when something is first scored.

    Args:
        name: See `open_pair_model`.
        compute: How it is run.
        cache_megabytes: See `CrossEncoder`.

    Raises:
        ModelError: See `open_pair_model`.
    """
    rules = open_pair_model(name)
    load = compute.loader(rules.model, head=rules.head)
    return CrossEncoder(rules, load, cache_megabytes=cache_megabytes)
