"""The encoder's tokenizer: the only importer of `tokenizers`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragwright.core.errors import ModelError
from ragwright.retrieval.model import ModelFolder

# Rust tokenizes one long text on one thread, so long texts are cut between words and done in parallel.
_PIECE = 20_000
# Not behind white space that BERT's normaliser drops: words run across it.
_BEHIND_SPACE = r"(?<=[^\S\x0b\x0c\x1c-\x1f\x85])"
_SPACE = re.compile(_BEHIND_SPACE)
# BERT's pre-tokenizer also parts words at these: common ideographs, and signs that no special token holds.
_SIGNS = ".,;:!?/+="
_BERT_BREAK = re.compile(rf"{_BEHIND_SPACE}|(?<=[{_SIGNS}、。，\u3400-\u4dbf\u4e00-\u9fff])")
# Beginnings of passages. What a prompt adds may depend on the letters behind it, so the most counts.
_BEGINNINGS = ("Pump", "pump", "4711", "(", "\u2013", "\u6f22", "\u00e9")
# To WordPiece a word beyond a limit is one unknown token; this much of it is enough to see that.
_LONG_WORD = 400
_LONG = re.compile(rf"(?<![A-Za-z0-9])[A-Za-z0-9]{{{_LONG_WORD},}}")
_WORD_END = frozenset(" \t\n" + _SIGNS)


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
    """Counts and cuts text the way the encoder does. Nothing is truncated.

    Attributes:
        max_tokens: Longest input of the encoder, all that it adds included.
        special_tokens: How many tokens the encoder adds to a passage, those of the passage prompt included.
    """

    def __init__(self, model: ModelFolder) -> None:
        from tokenizers import Tokenizer

        path = model.path / "tokenizer.json"
        try:
            self._tokenizer: Any = Tokenizer.from_file(str(path))
        except Exception as error:  # noqa: BLE001 - the library raises bare Exception
            raise ModelError(f"{path} cannot be read ({error}); get the model again") from None
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._parts_at_signs, self._skips_long_words = _traits(self._tokenizer)
        self.max_tokens = model.max_tokens
        added = int(self._tokenizer.num_special_tokens_to_add(False))
        self.special_tokens = added + self._prompt_tokens(model.passage_prompt)

    def starts(self, text: str) -> NDArray[np.int64]:
        """Character offset at which each token begins, ascending, special tokens left out."""
        words = _short_words(text) if self._skips_long_words else [(0, len(text))]
        pattern = _BERT_BREAK if self._parts_at_signs else _SPACE
        pieces = [piece for a, b in words for piece in _pieces(text, a, b, pattern=pattern)]
        batch = self._tokenizer.encode_batch([text[a:b] for a, b in pieces], add_special_tokens=False)
        parts = [
            np.fromiter((offset[0] for offset in encoding.offsets), np.int64, len(encoding)) + start
            for encoding, (start, _) in zip(batch, pieces, strict=True)
        ]
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def spans(self, text: str) -> NDArray[np.int64]:
        """Half-open character ranges of a text's tokens, shape (n, 2), ascending, special tokens left out."""
        pieces = list(_pieces(text, 0, len(text), pattern=_BERT_BREAK if self._parts_at_signs else _SPACE))
        batch = self._tokenizer.encode_batch([text[a:b] for a, b in pieces], add_special_tokens=False)
        parts = [
            np.asarray(encoding.offsets, np.int64).reshape(-1, 2) + start
            for encoding, (start, _) in zip(batch, pieces, strict=True)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, 2), np.int64)

    def _prompt_tokens(self, prompt: str) -> int:
        return max(self._count(prompt + text) - self._count(text) for text in _BEGINNINGS) if prompt else 0

    def _count(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False))

    def encode(self, texts: Sequence[str]) -> list[Tokens]:
        """Token ids and character offsets, special tokens included, in input order."""
        return [
            Tokens(np.asarray(encoding.ids, np.int64), np.asarray(encoding.offsets, np.int64).reshape(-1, 2))
            for encoding in self._tokenizer.encode_batch(list(texts))
        ]


def _pieces(text: str, start: int, stop: int, *, pattern: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """Ranges of about 20,000 characters that end at a break, so that no token is cut."""
    while stop - start > _PIECE:
        found = pattern.search(text, start + _PIECE, stop)
        end = stop if found is None else found.end()
        yield start, end
        start = end
    if start < stop:
        yield start, stop


def _short_words(text: str) -> list[tuple[int, int]]:
    """Ranges without the ends of very long words, whose beginnings are the same unknown tokens."""
    ranges, start = [], 0
    for match in _LONG.finditer(text):
        if match.end() == len(text) or text[match.end()] in _WORD_END:
            ranges.append((start, match.start() + _LONG_WORD))
            start = match.end()
    ranges.append((start, len(text)))
    return ranges


def _traits(tokenizer: Any) -> tuple[bool, bool]:
    """Whether words end at BERT's signs, and whether WordPiece makes one unknown token of a long word."""
    settings = json.loads(tokenizer.to_str())
    normalizer, before, model = (settings.get(key) or {} for key in ("normalizer", "pre_tokenizer", "model"))
    special = "".join(token["content"] for token in settings.get("added_tokens") or ())
    bert = (
        before.get("type") == "BertPreTokenizer"
        and normalizer.get("type") == "BertNormalizer"
        and normalizer.get("handle_chinese_chars") is True
        and not any(sign in special for sign in _SIGNS)
    )
    limit = model.get("max_input_chars_per_word") or _LONG_WORD
    return bert, bert and model.get("type") == "WordPiece" and limit < _LONG_WORD
