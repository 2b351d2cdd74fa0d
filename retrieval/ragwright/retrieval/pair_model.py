"""Models that score a pair of texts: their folders, as sentence-transformers' `CrossEncoder` writes them.

Such a model is a transformer with a scoring head of its own, or, since sentence-transformers 6, a transformer
whose pooled vector goes through layers of which the last gives one number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ragwright.core.errors import ModelError
from ragwright.core.model_folder import read_json
from ragwright.retrieval.activations import Activation, activation
from ragwright.retrieval.layers import Head, Layer, read_head, read_layers
from ragwright.retrieval.model import (
    ModelFolder,
    fingerprint_of,
    locate_model,
    tokenizer_digest,
    weights_digest,
)
from ragwright.retrieval.transformer_config import count_positions, padding_id, read_config

_SETTING = "reranker.model"
_HEAD_KIND = "ForSequenceClassification"
_SIGMOID = "torch.nn.modules.activation.Sigmoid"


@dataclass(frozen=True, slots=True)
class PairModel:
    """How a pair becomes a score.

    Attributes:
        model: The folder; its query prompt stands before every question, and its projections, where it has
            any, end in one number.
        activate: From that number to the score.
        head: Whether the transformer has a scoring head of its own; else its pooled vector is projected.
        cuts_left: Whether what is too long loses its beginning instead of its end.
    """

    model: ModelFolder
    activate: Activation
    head: bool = True
    cuts_left: bool = False


def open_pair_model(name: str) -> PairModel:
    """Find a cross-encoder and read its settings; the transformer's weights are not loaded.

    Args:
        name: A CrossEncoder's folder, or a hub id that is already in the local cache.

    Raises:
        ModelError: It is not there, is damaged, gives other than one score, or asks for what is not computed
            here.
    """
    path = locate_model(name, setting=_SETTING, wanted="a CrossEncoder folder")
    config, layers = read_config(path), read_layers(path)
    tokenizer = read_json(path / "tokenizer_config.json", {})
    # without a list of layers sentence-transformers does not look at its own settings
    modern = read_json(path / "config_sentence_transformers.json", {}) if layers is not None else {}
    _check_no_template(path, tokenizer, listed=layers is not None)
    head = _projecting(path, layers)
    if head is None:
        _check_head(path, config)
    declared = _declared_activation(config, modern)
    activate = activation(declared, path=path)
    cuts_left = tokenizer.get("truncation_side", "right") == "left"
    longest = min(_longest(path, tokenizer, listed=layers is not None), count_positions(config))
    prompt = str((modern.get("prompts") or {}).get(modern.get("default_prompt_name")) or "")
    inputs = tokenizer.get("model_input_names")
    model = ModelFolder(
        path=path,
        name=name,
        fingerprint=_fingerprint(path, declared, longest, prompt=prompt, cuts_left=cuts_left, head=head),
        max_tokens=longest,
        positions=count_positions(config),
        dimension=1,
        query_prompt=prompt,
        passage_prompt="",
        padding=padding_id(config),
        typed=not isinstance(inputs, list) or "token_type_ids" in inputs,
        pooling="cls",
    )
    if head is not None:
        model = replace(model, pooling=head.pooling, pools_prompt=head.pools_prompt)
        model = replace(model, projections=head.projections)
    return PairModel(model, activate, head=head is None, cuts_left=cuts_left)


def _fingerprint(
    path: Path, activation: str, longest: int, *, prompt: str, cuts_left: bool, head: Head | None
) -> str:
    """Names all that scores depend on; what a folder leaves at its default adds nothing."""
    kept = (weights_digest(path), tokenizer_digest(path), "cross-encoder", activation, str(longest))
    side = ("left",) if cuts_left else ()
    layers = () if head is None else (head.pooling, *head.digests)
    return fingerprint_of(*kept, *((prompt,) if prompt else ()), *side, *layers)


def _projecting(path: Path, layers: Sequence[Layer] | None) -> Head | None:
    """The layers behind a transformer without a scoring head; None for one that has it."""
    names = None if layers is None else [each.name for each in layers]
    if layers is None or names == ["Transformer"]:
        return None
    if names and "LogitScore" in names:
        raise ModelError(
            f"model folder {path} has the layer LogitScore, which reads a language model's next token; "
            f"supported are cross-encoders with a scoring head or with Pooling and Dense: set {_SETTING} to "
            "such a model"
        )
    head = read_head(path, setting=_SETTING)
    last = layers[-1]
    writes = read_json(last.folder / "config.json").get("module_output_name") if last.name == "Dense" else ""
    if writes != "scores" or head.dimension != 1:
        raise ModelError(
            f"model folder {path} ends in {last.name} that gives {head.dimension or 'all'} numbers of "
            f"{writes or 'a vector'}; wanted a Dense layer that gives one of scores: set {_SETTING} to a "
            "cross-encoder of one label"
        )
    return head


def _check_head(path: Path, config: Mapping[str, Any]) -> None:
    """Refuse what is no transformer with a head for one score."""
    kinds = [str(kind) for kind in config.get("architectures") or ()]
    if not any(kind.endswith(_HEAD_KIND) for kind in kinds):
        raise ModelError(
            f"model folder {path} holds {', '.join(kinds) or 'no named architecture'}; wanted one that "
            f"ends in {_HEAD_KIND}: set {_SETTING} to a trained cross-encoder"
        )
    labels = len(config.get("id2label") or ()) or int(config.get("num_labels") or 2)
    if labels != 1:
        raise ModelError(
            f"model folder {path} gives {labels} labels; a reranker needs one score: "
            f"set {_SETTING} to a cross-encoder of one label"
        )


def _check_no_template(path: Path, tokenizer: Mapping[str, Any], *, listed: bool) -> None:
    """Refuse models that are given a rendered conversation instead of two texts.

    A folder with a list of layers says so itself; of one without, sentence-transformers takes any template.
    """
    if listed:
        own = read_json(path / "sentence_bert_config.json", {})
        rendered = "message" in (own.get("modality_config") or {})
    else:
        rendered = bool(tokenizer.get("chat_template")) or (path / "chat_template.jinja").is_file()
    if rendered:
        raise ModelError(
            f"model folder {path} reads pairs through a chat template, which is not supported: "
            f"set {_SETTING} to a cross-encoder of two plain texts"
        )


def _declared_activation(config: Mapping[str, Any], modern: Mapping[str, Any]) -> str:
    """The activation's torch class: in the newer layout, in the older, in the oldest; else a sigmoid."""
    older = config.get("sentence_transformers")
    found = (
        modern.get("activation_fn"),
        older.get("activation_fn") if isinstance(older, dict) else None,
        config.get("sbert_ce_default_activation_function"),
    )
    return str(next((each for each in found if each), _SIGMOID))


def _longest(path: Path, tokenizer: Mapping[str, Any], *, listed: bool) -> int:
    """Longest pair in tokens that the folder declares; more than any model reads where it declares none."""
    # without a list of layers the older file is not looked at
    own = read_json(path / "sentence_bert_config.json", {}).get("max_seq_length") if listed else None
    return int(own or tokenizer.get("model_max_length") or 1_000_000)
