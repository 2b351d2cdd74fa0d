"""Models and texts for `bench/gpu.py`, made here: a bare machine has none and can download none.

Weights are random, and wider than a fresh model's, so that scores differ by more than bf16 rounds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
_LONGEST = 512
_SYLLABLES = tuple(first + second for first in "bdfgk" for second in "aeio")


@dataclass(frozen=True)
class Shape:
    """The measures of a model.

    Attributes:
        name: As it stands in the rows.
        family: Its class in transformers, without `Model`.
        layers: How many.
        width: Length of a token vector.
        heads: Of attention.
        words: Rows of the embedding table.
    """

    name: str
    family: str
    layers: int
    width: int
    heads: int
    words: int

    def flops(self, length: int) -> float:
        """Floating point operations per token in sequences of so many tokens, embeddings left out."""
        return float(self.layers * (24 * self.width**2 + 4 * length * self.width))


MINI = Shape("MiniLM-L6", "Bert", 6, 384, 12, 30_522)
BASE = Shape("BERT-base", "Bert", 12, 768, 12, 30_522)
LARGE = Shape("bge-m3 size", "XLMRoberta", 24, 1_024, 16, 250_002)
TINY = Shape("tiny BERT", "Bert", 2, 64, 4, 3_000)


class Words:
    """Made-up words, the frequent ones very frequent, as in prose."""

    def __init__(self, count: int, *, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        numbers = self._random.permutation(len(_SYLLABLES) ** 4)[:count]
        self.words = np.array([_word(int(number)) for number in numbers])
        shares = 1.0 / (np.arange(count) + 10.0)
        self._shares = shares / shares.sum()

    def text(self, words: int) -> str:
        """A text of so many words."""
        return " ".join(self._random.choice(self.words, words, p=self._shares))

    def texts(self, lengths: Sequence[int]) -> list[str]:
        """Texts of so many words each."""
        return [self.text(max(1, length)) for length in lengths]

    def mixed(
        self, count: int, tokens_per_word: float, *, shortest: int = 8, longest: int = 460
    ) -> list[str]:
        """Texts of about so many tokens, at random between both; with special tokens 10 to 500."""
        tokens = self._random.integers(shortest, longest, count)
        return self.texts([int(each) for each in tokens / tokens_per_word])


def _word(number: int) -> str:
    parts = []
    for _ in range(4):
        number, place = divmod(number, len(_SYLLABLES))
        parts.append(_SYLLABLES[place])
    return "".join(parts)


def save_model(folder: Path, shape: Shape, words: Words, *, head: bool = False) -> Path:
    """A sentence-transformers folder with mean pooling, or that of a cross-encoder with one label."""
    import torch
    import transformers

    torch.manual_seed(0)
    # RoBERTa's first position is the one behind the padding id
    positions = _LONGEST + (1 if shape.family == "XLMRoberta" else 0)
    config = getattr(transformers, f"{shape.family}Config")(
        vocab_size=shape.words, hidden_size=shape.width, num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads, intermediate_size=4 * shape.width, pad_token_id=0,
        max_position_embeddings=positions, type_vocab_size=1 if shape.family == "XLMRoberta" else 2,
        num_labels=1, initializer_range=0.05,
    )  # fmt: skip
    kind = f"{shape.family}ForSequenceClassification" if head else f"{shape.family}Model"
    getattr(transformers, kind)(config).save_pretrained(folder)
    _save_tokenizer(folder, shape, words)
    if not head:
        _save_layers(folder, shape)
    return folder


def _save_tokenizer(folder: Path, shape: Shape, words: Words) -> None:
    from transformers import PreTrainedTokenizerFast

    made = _unigram(words) if shape.family == "XLMRoberta" else _word_piece(words)
    PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        model_max_length=_LONGEST,
    ).save_pretrained(folder)  # fmt: skip


def _word_piece(words: Words) -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))  # type: ignore[call-arg, unused-ignore]
    tokenizer.normalizer = normalizers.BertNormalizer()  # type: ignore[assignment, unused-ignore]
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()  # type: ignore[assignment, unused-ignore]
    trainer = trainers.WordPieceTrainer(
        vocab_size=len(words.words), special_tokens=list(_SPECIAL), show_progress=False
    )
    return _trained(tokenizer, trainer, words)


def _unigram(words: Words) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()  # type: ignore[assignment, unused-ignore]
    trainer = trainers.UnigramTrainer(
        vocab_size=min(8_000, len(words.words)), special_tokens=list(_SPECIAL), unk_token="[UNK]",
        show_progress=False,
    )  # fmt: skip
    return _trained(tokenizer, trainer, words)


def _trained(tokenizer: Any, trainer: Any, words: Words) -> Any:
    from tokenizers import processors

    tokenizer.train_from_iterator(_lines(words), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", [("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def _lines(words: Words) -> Iterator[str]:
    for start in range(0, len(words.words), 100):
        yield " ".join(words.words[start : start + 100])


def _save_layers(folder: Path, shape: Shape) -> None:
    kinds = ("Transformer", "Pooling", "Normalize")
    paths = ("", "1_Pooling", "2_Normalize")
    layers = [
        {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for index, (kind, path) in enumerate(zip(kinds, paths, strict=True))
    ]
    for path in paths[1:]:
        (folder / path).mkdir()
    pooling = {"word_embedding_dimension": shape.width, "pooling_mode_mean_tokens": True}
    for path, content in (
        ("modules.json", layers),
        ("1_Pooling/config.json", pooling),
        ("sentence_bert_config.json", {"max_seq_length": _LONGEST, "do_lower_case": False}),
    ):
        (folder / path).write_text(json.dumps(content), encoding="utf-8")
