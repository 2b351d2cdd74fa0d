"""The encoder's tokenizer: the only importer of `tokenizers`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragwright.core.errors import ModelError
from ragwright.retrieval.model import ModelFolder

# Rust tokenizes one long text on one thread, so long texts are cut at white space and done in parallel.
_PIECE = 20_000


@dataclass(frozen=True, slots=True)
class Tokens:
    """One tokenized text, special tokens included.

    Attributes:
        ids: int64, shape (n,).
        offsets: int64, shape (n, 2): half-open character ranges; special tokens have (0, 0).
    """

    ids: NDArray[np.int64]
    offsets: NDArray[np.int64]


class ModelTokenizer:
    """Counts and cuts text the way the encoder does. Nothing is truncated."""

    def __init__(self, model: ModelFolder) -> None:
        from tokenizers import Tokenizer

        path = model.path / "tokenizer.json"
        try:
            self._tokenizer: Any = Tokenizer.from_file(str(path))
        except Exception as error:  # noqa: BLE001 - the library raises bare Exception
            raise ModelError(f"{path} cannot be read ({error}); get the model again") from None
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.max_tokens = model.max_tokens
        self.special_tokens = int(self._tokenizer.num_special_tokens_to_add(False))

    def starts(self, text: str) -> NDArray[np.int64]:
        """Character offset at which each token begins, ascending, special tokens left out."""
        pieces = _pieces(text)
        batch = self._tokenizer.encode_batch([text[a:b] for a, b in pieces], add_special_tokens=False)
        parts = [
            np.fromiter((offset[0] for offset in encoding.offsets), np.int64, len(encoding)) + start
            for encoding, (start, _) in zip(batch, pieces, strict=True)
        ]
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def encode(self, texts: Sequence[str]) -> list[Tokens]:
        """Token ids and character offsets, special tokens included, in input order."""
        return [
            Tokens(np.asarray(encoding.ids, np.int64), np.asarray(encoding.offsets, np.int64).reshape(-1, 2))
            for encoding in self._tokenizer.encode_batch(list(texts))
        ]


def _pieces(text: str) -> list[tuple[int, int]]:
    """Ranges of about 20,000 characters that end behind white space, so that no token is cut."""
    pieces, start = [], 0
    while start < len(text):
        end = min(start + _PIECE, len(text))
        while end < len(text) and not text[end - 1].isspace():
            end += 1
        pieces.append((start, end))
        start = end
    return pieces
