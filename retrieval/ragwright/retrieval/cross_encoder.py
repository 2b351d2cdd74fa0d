"""Reranking by a cross-encoder: one transformer reads a question and a chunk together and scores them.

After Nogueira and Cho 2019, "Passage Re-ranking with BERT" (arXiv:1901.04085). Models are folders of
sentence-transformers' `CrossEncoder`, in its older layout or its newer one with a list of modules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragwright.core.errors import ModelError
from ragwright.core.types import Chunk
from ragwright.retrieval.batches import Ints, ModelInput
from ragwright.retrieval.forward import Compute, Forward
from ragwright.retrieval.layers import activation, read_json, read_layers
from ragwright.retrieval.memory import Once, RecentArrays
from ragwright.retrieval.model import (
    ModelFolder,
    count_positions,
    fingerprint_of,
    locate_model,
    padding_id,
    read_config,
    tokenizer_digest,
    weights_digest,
)
from ragwright.retrieval.tokens import ModelTokenizer

Scores = NDArray[np.float32]

_SIGMOID = "torch.nn.modules.activation.Sigmoid"
# Token ids of a chunk are a few kilobytes, so that this holds some ten thousand chunks.
_IDS_MEGABYTES = 32


class CrossEncoder:
    """Scores chunks for questions; for any number of threads.

    Attributes:
        fingerprint: Names the weights, the tokenizer, the longest input and the activation.
    """

    def __init__(
        self,
        model: ModelFolder,
        load: Callable[[], Forward],
        *,
        activate: Callable[[Scores], Scores],
        cache_megabytes: float = _IDS_MEGABYTES,
    ) -> None:
        """Make a reranker; the weights are loaded when something is first scored.

        Args:
            model: The model folder.
            load: Loads what computes, with the model's head.
            activate: From the head's outputs to scores.
            cache_megabytes: Token ids of recent chunks are remembered in so much memory.
        """
        self.fingerprint = model.fingerprint
        self._tokenizer = ModelTokenizer(model)
        self._frame = self._tokenizer.pair_frame()
        self._longest = model.max_tokens
        self._typed = _has_types(model.path)
        self._forward = Once(load)
        self._activate = activate
        self._ids: RecentArrays[Ints] = RecentArrays(cache_megabytes)

    def rerank(self, queries: Sequence[str], candidates: Sequence[Sequence[Chunk]]) -> list[Scores]:
        """Score the candidates of every query; see `Reranker.rerank`.

        A chunk is read with its context, as the encoder reads it, and what exceeds the model's limit is cut
        off, the longer text first: the score of a long chunk is that of its beginning. All pairs of a call
        are computed together, in batches of equal length.

        Returns:
            For each query, float32, shape (its candidates,): 0..1 where the model ends in a sigmoid, else any
            number; higher is better.
        """
        inputs = self._inputs(queries, candidates)
        outputs = np.empty(len(inputs), np.float32)

        def receive(row: int, labels: NDArray[np.float32]) -> None:
            outputs[row] = labels[0]

        if inputs:
            self._forward().run(inputs, receive)
        ends = np.cumsum([len(chunks) for chunks in candidates])
        return np.split(np.asarray(self._activate(outputs), np.float32), ends[:-1]) if len(ends) else []

    def _inputs(self, queries: Sequence[str], candidates: Sequence[Sequence[Chunk]]) -> list[ModelInput]:
        asked = self._tokenizer.encode_plain(queries)
        read = self._tokenized({_text(chunk) for chunks in candidates for chunk in chunks})
        whole = np.zeros((1, 2), np.int64)  # unused: the head takes the place of pooling
        inputs = []
        for query, chunks in zip(asked, candidates, strict=True):
            for chunk in chunks:
                ids, types = self._frame.join(query, read[_text(chunk)], longest=self._longest)
                inputs.append(ModelInput(ids, whole, types if self._typed else None))
        return inputs

    def _tokenized(self, texts: set[str]) -> dict[str, Ints]:
        """Token ids of texts; what recent calls have read is not read again."""
        found = self._ids.find(texts)
        new = sorted(texts - found.keys())
        made = dict(zip(new, self._tokenizer.encode_plain(new), strict=True))
        self._ids.keep(made)
        return found | made


def _text(chunk: Chunk) -> str:
    return chunk.context + chunk.text


def load_cross_encoder(
    name: str, compute: Compute, *, cache_megabytes: float = _IDS_MEGABYTES
) -> CrossEncoder:
    """Open a cross-encoder; its weights are loaded when something is first scored.

    Args:
        name: A sentence-transformers CrossEncoder folder, or a hub id that is already in the local cache.
        compute: How it is run.
        cache_megabytes: See `CrossEncoder`.

    Raises:
        ModelError: It is not there, is damaged, gives other than one score, or has layers of its own.
    """
    model, declared = open_cross_encoder(name)
    activate = activation(declared, path=model.path)
    load = compute.loader(model, head=True)
    return CrossEncoder(model, load, activate=activate, cache_megabytes=cache_megabytes)


def open_cross_encoder(name: str) -> tuple[ModelFolder, str]:
    """Find a cross-encoder and read its settings; no weights are loaded.

    Returns:
        The folder, and the torch class of the activation behind its head.

    Raises:
        ModelError: See `load_cross_encoder`.
    """
    path = locate_model(name, setting="reranker.model", wanted="a CrossEncoder folder")
    config, modern = read_config(path), read_json(path / "config_sentence_transformers.json", {})
    _check_kind(path, config, modern)
    positions = count_positions(config)
    longest = min(_longest(path), positions)
    declared = _declared_activation(config, modern)
    parts = (weights_digest(path), tokenizer_digest(path), "cross-encoder", declared, str(longest))
    model = ModelFolder(
        path=path,
        name=name,
        fingerprint=fingerprint_of(*parts),
        max_tokens=longest,
        positions=positions,
        dimension=1,
        pooling="cls",
        query_prompt="",
        passage_prompt="",
        padding=padding_id(config),
    )
    return model, declared


def _check_kind(path: Path, config: dict[str, Any], modern: dict[str, Any]) -> None:
    """Refuse what is no transformer with a head for one score."""
    layers = read_layers(path)
    if layers is not None and [each.name for each in layers] != ["Transformer"]:
        raise ModelError(
            f"model folder {path} has the layers {', '.join(each.name for each in layers)}; supported are "
            "cross-encoders of a Transformer alone, whose head is its own: set reranker.model to such a model"
        )
    kinds = [str(kind) for kind in config.get("architectures") or ()]
    if not any(kind.endswith("ForSequenceClassification") for kind in kinds):
        raise ModelError(
            f"model folder {path} holds {', '.join(kinds) or 'no named architecture'}; wanted one that "
            "ends in ForSequenceClassification: set reranker.model to a trained cross-encoder"
        )
    labels = len(config.get("id2label") or ()) or int(config.get("num_labels") or 2)
    if labels != 1:
        raise ModelError(
            f"model folder {path} gives {labels} labels; a reranker needs one score: "
            "set reranker.model to a cross-encoder of one label"
        )
    prompt = (modern.get("prompts") or {}).get(modern.get("default_prompt_name"))
    if prompt:
        raise ModelError(
            f"model folder {path} puts the prompt {prompt!r} before every pair, which is not supported: "
            "set reranker.model to a cross-encoder without prompts"
        )


def _declared_activation(config: dict[str, Any], modern: dict[str, Any]) -> str:
    """The activation's torch class: in the newer layout, in the older, in the oldest; else a sigmoid."""
    older = config.get("sentence_transformers")
    found = (
        modern.get("activation_fn"),
        older.get("activation_fn") if isinstance(older, dict) else None,
        config.get("sbert_ce_default_activation_function"),
    )
    return str(next((each for each in found if each), _SIGMOID))


def _longest(path: Path) -> int:
    """Longest pair in tokens that the folder declares; more than any model reads where it declares none."""
    tokenizer = read_json(path / "tokenizer_config.json", {})
    if tokenizer.get("truncation_side", "right") != "right":
        raise ModelError(
            f"{path / 'tokenizer_config.json'} cuts texts on the left, which is not supported: "
            "set reranker.model to another cross-encoder"
        )
    listed = read_layers(path) is not None  # without a list of layers the older file is not looked at
    own = read_json(path / "sentence_bert_config.json", {}).get("max_seq_length") if listed else None
    return int(own or tokenizer.get("model_max_length") or 1_000_000)


def _has_types(path: Path) -> bool:
    """Whether the model is given the token types of a pair."""
    inputs = read_json(path / "tokenizer_config.json", {}).get("model_input_names")
    return not isinstance(inputs, list) or "token_type_ids" in inputs
