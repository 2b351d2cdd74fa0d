"""Reader folders: a transformer, two heads, and the rules to use them by."""

from __future__ import annotations

from dataclasses import dataclass

from ragwright.core.errors import ModelError
from ragwright.core.model_folder import check_folder, file_digest
from ragwright.core.reader_folder import RULES, ReaderRules, read_rules
from ragwright.core.reader_heads import ReaderHeads, read_heads
from ragwright.retrieval.model import (
    ModelFolder,
    fingerprint_of,
    locate_model,
    tokenizer_digest,
    weights_digest,
)
from ragwright.retrieval.transformer_config import count_positions, padding_id, read_config

_SETTING = "reader.model"


@dataclass(frozen=True, slots=True)
class ReaderModel:
    """A reader's folder that was found and read, but not loaded.

    Attributes:
        model: The transformer.
        heads: From token vectors to log-odds.
        rules: How it is used.
    """

    model: ModelFolder
    heads: ReaderHeads
    rules: ReaderRules


def open_reader_model(name: str) -> ReaderModel:
    """Find a reader and read its settings; the transformer's weights are not loaded.

    Args:
        name: A reader's folder, or a hub id that is already in the local cache.

    Raises:
        ModelError: It is not there, is damaged, or is no reader.
    """
    path = locate_model(name, setting=_SETTING, wanted="a reader's folder")
    check_folder(path, setting=_SETTING)
    rules, config = read_rules(path), read_config(path)
    heads = read_heads(path)
    width = int(config["hidden_size"])
    if heads.dimension != width:
        raise ModelError(
            f"the heads in {path} read vectors of {heads.dimension} numbers, and its transformer gives "
            f"{width}; train the reader again"
        )
    positions = count_positions(config)
    digests = (weights_digest(path), tokenizer_digest(path), heads.digest, file_digest(path / RULES))
    model = ModelFolder(
        path=path,
        name=name,
        fingerprint=fingerprint_of(*digests, "reader"),
        max_tokens=min(rules.max_tokens, positions),
        positions=positions,
        dimension=width,
        query_prompt="",
        passage_prompt="",
        padding=padding_id(config),
        typed=int(config.get("type_vocab_size") or 1) > 1,
        pooling="cls",
    )
    return ReaderModel(model, heads, rules)
