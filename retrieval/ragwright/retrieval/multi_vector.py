"""Models that give every token a vector: their folders, as sentence-transformers 6 and PyLate write them.

Such a model is a transformer with linear layers on its token vectors, unit rows, and rules on which tokens
take part: markers before questions and documents, a question filled up with mask tokens (Khattab and Zaharia
2020, "ColBERT", arXiv:2004.12832), and tokens of documents that are passed over, such as punctuation.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragwright.core.errors import ModelError
from ragwright.core.model_folder import read_json
from ragwright.retrieval.layers import Dense, Layer, read_dense, read_layers
from ragwright.retrieval.model import (
    ModelFolder,
    fingerprint_of,
    locate_model,
    open_model,
    tokenizer_digest,
    weights_digest,
)
from ragwright.retrieval.transformer_config import count_positions, read_config

_KINDS = ("MultiVectorEncoder", "ColBERT")
_MARKERS = ("query_prefix", "document_prefix")
RESAVE = (
    "load and save it once with sentence_transformers.MultiVectorEncoder, or choose another reranker.model"
)


@dataclass(frozen=True, slots=True)
class Expansion:
    """How questions are filled up.

    Attributes:
        length: At least this many tokens.
        fixed: Whether also at most so many.
        token: What they are filled with; None: the tokenizer's mask token, or its last resort.
        attended: Whether the other tokens see the added ones.
    """

    length: int
    fixed: bool
    token: str | None
    attended: bool


@dataclass(frozen=True, slots=True)
class TokenModel:
    """How texts become token vectors.

    Attributes:
        model: The folder.
        query_tokens: Longest question in tokens, special ones included.
        passage_tokens: Longest chunk.
        expansion: None: questions are not filled up.
        skipped: Words whose tokens take no part.
        skipped_in_queries: Whether in questions too.
        markers: What older folders put before questions and documents as tokens of their own.
        every_token: Whether markers and special tokens take part; else only the text's own tokens do.
    """

    model: ModelFolder
    query_tokens: int
    passage_tokens: int
    expansion: Expansion | None = None
    skipped: tuple[str, ...] = ()
    skipped_in_queries: bool = False
    markers: tuple[str, ...] = ()
    every_token: bool = False


def open_token_model(name: str, *, dimension: int | None = None) -> TokenModel:
    """Find a model for late interaction: a multi-vector model, or any embedder.

    An embedder was not trained for it. Its token vectors are those that its pooling averages, behind its
    projections; the tokens of prompts and the special tokens take no part.

    Args:
        name: A folder, the packaged model's name, or a hub id that is already in the local cache.
        dimension: Of an embedder, see `open_model`.

    Raises:
        ModelError: It is not there, is damaged, or asks for what is not computed here.
    """
    path = locate_model(name, setting="reranker.model", wanted="a MultiVectorEncoder folder or an embedder's")
    declared = read_json(path / "config_sentence_transformers.json", {})
    kinds = read_json(path / "config.json").get("architectures") or ()
    if declared.get("model_type") in _KINDS:
        return _multi_vector(path, name, declared)
    crosses = any(str(kind).endswith("ForSequenceClassification") for kind in kinds)
    if declared.get("model_type") == "CrossEncoder" or (crosses and read_layers(path) is None):
        raise ModelError(
            f"model folder {path} is a cross-encoder, which gives tokens no vectors of use: set "
            "search.rerank=cross, or reranker.model to a MultiVectorEncoder or an embedder"
        )
    if "HF_ColBERT" in kinds:
        raise ModelError(
            f"model folder {path} has Stanford's ColBERT layout, which is not read here; {RESAVE}"
        )
    model = open_model(name, dimension=dimension)
    return TokenModel(model, model.max_tokens, model.max_tokens)


def _multi_vector(path: Path, name: str, declared: Mapping[str, Any]) -> TokenModel:
    layers = read_layers(path) or []
    own = {**_older(declared), **read_json(path / "sentence_bert_config.json", {})}
    positions = count_positions(read_config(path))
    longest = min(int(own.get("max_seq_length") or _model_max_length(path)), positions)
    dense = _projections(path, layers, declared)
    skipped, in_queries = _skipped(path, layers, declared)
    prompts = _prompts(declared)
    expansion = _expansion(path, own.get("query_expansion"))
    query, passage = (min(own.get(f"{side}_length") or longest, longest) for side in ("query", "document"))
    rules = (prompts, expansion, query, passage, skipped, in_queries)
    parts = (weights_digest(path), tokenizer_digest(path), *(each.digest for each in dense), repr(rules))
    model = ModelFolder(
        path=path,
        name=name,
        fingerprint=fingerprint_of(*parts),
        max_tokens=longest,
        positions=positions,
        dimension=len(dense[-1].weight) if dense else int(read_config(path)["hidden_size"]),
        pooling="mean",
        query_prompt=prompts[0],
        passage_prompt=prompts[1],
        projections=dense,
    )
    markers = tuple(str(declared[key]) for key in _MARKERS if declared.get(key))
    return TokenModel(model, query, passage, expansion, skipped, in_queries, markers, every_token=True)


def _model_max_length(path: Path) -> int:
    return int(read_json(path / "tokenizer_config.json", {}).get("model_max_length") or 1_000_000)


def _older(declared: Mapping[str, Any]) -> dict[str, Any]:
    """What PyLate keeps in the folder's main settings, in the terms of sentence-transformers 6."""
    lengths = {key: declared[key] for key in ("query_length", "document_length") if declared.get(key)}
    if declared.get("model_type") != "ColBERT":
        return lengths
    if declared.get("do_query_expansion") is False:
        return {**lengths, "query_expansion": None}
    attended = bool(declared.get("attend_to_expansion_tokens"))
    length = lengths.pop("query_length", 32)
    return {**lengths, "query_expansion": {"strategy": "fixed", "attend": attended, "length": length}}


def _prompts(declared: Mapping[str, Any]) -> tuple[str, str]:
    """The markers of questions and of documents; PyLate's stand before the prompts."""
    prompts = declared.get("prompts") or {}
    marks = [str(declared.get(key) or "") for key in _MARKERS]
    texts = [
        str(prompts.get(side) or "").removeprefix(mark)
        for side, mark in zip(("query", "document"), marks, strict=True)
    ]
    return marks[0] + texts[0], marks[1] + texts[1]


def _projections(path: Path, layers: Sequence[Layer], declared: Mapping[str, Any]) -> tuple[Dense, ...]:
    names = [each.name for each in layers]
    strange = [n for n in names if n not in ("Transformer", "Dense", "MultiVectorMask", "Normalize")]
    normal = "Normalize" in names or declared.get("model_type") == "ColBERT"
    if strange or names[:1] != ["Transformer"] or names.count("Transformer") != 1 or not normal:
        raise ModelError(
            f"model folder {path} has the layers {', '.join(names) or 'none'}; supported are Transformer, "
            "and behind it Dense, MultiVectorMask and Normalize: choose another reranker.model"
        )
    if "Normalize" in names and "Dense" in names[names.index("Normalize") :]:
        raise ModelError(
            f"model folder {path} has a Dense layer behind Normalize; choose another reranker.model"
        )
    return tuple(read_dense(each.folder, reads="token_embeddings") for each in layers if each.name == "Dense")


def _skipped(
    path: Path, layers: Sequence[Layer], declared: Mapping[str, Any]
) -> tuple[tuple[str, ...], bool]:
    """Words that take no part, and whether that holds for questions too."""
    masks = [read_json(each.folder / "config.json") for each in layers if each.name == "MultiVectorMask"]
    if not masks:
        words = declared.get("skiplist_words", list(string.punctuation))
        return tuple(words or ()) if declared.get("model_type") == "ColBERT" else (), False
    if masks[0].get("keep_only_token_ids"):
        raise ModelError(
            f"model folder {path} scores chosen tokens only (keep_only_token_ids), which is not supported: "
            "choose another reranker.model"
        )
    tasks = masks[0].get("skiplist_tasks") or ["document"]
    words = tuple(masks[0].get("skiplist_words") or ())
    if "document" not in tasks and words:
        raise ModelError(f"model folder {path} skips words in {tasks}; wanted document; choose another model")
    return words, "query" in tasks


def _expansion(path: Path, declared: Any) -> Expansion | None:
    if declared is None:
        return None
    strategy, length = declared.get("strategy"), declared.get("length")
    if strategy not in ("fixed", "min") or not isinstance(length, int):
        raise ModelError(
            f"model folder {path} expands questions by {declared}; wanted a length, fixed or min: "
            "choose another reranker.model"
        )
    return Expansion(length, strategy == "fixed", declared.get("token"), bool(declared.get("attend")))
