"""Texts as an embedder in training reads them: tokenized once, in parts of like length, hardly padded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragwright.core.types import Vectors

Ints = NDArray[np.int64]

_KEPT = 200_000  # tokenized texts; some hundred bytes each


@dataclass(frozen=True, slots=True)
class Reading:
    """How texts become parts.

    Attributes:
        longest: Most tokens of a text; what is beyond is left out.
        padding: Token id to pad with.
        passage_prompt: Put before every passage.
        part_tokens: Tokens of one forward pass, padding included.
    """

    longest: int
    padding: int = 0
    passage_prompt: str = ""
    part_tokens: int = 4096


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text's token ids, and the character at which each begins; -1 for special tokens. Both shape (n,)."""

    ids: Ints
    starts: Ints


class Texts:
    """Tokenizes texts and puts them in parts."""

    def __init__(self, tokenizer: Any, reading: Reading) -> None:
        """Nothing is tokenized yet.

        Args:
            tokenizer: A fast tokenizer of transformers.
            reading: How texts become parts.
        """
        self._tokenizer, self.reading = tokenizer, reading
        self._known: dict[str, Tokens] = {}

    def tokens(self, texts: Sequence[str]) -> list[Tokens]:
        """Each text's tokens, cut off at the longest that is read."""
        new = list(dict.fromkeys(text for text in texts if text not in self._known))
        if len(self._known) + len(new) > _KEPT:
            self._known.clear()
            new = list(dict.fromkeys(texts))
        if new:
            found = self._tokenizer(
                new, truncation=True, max_length=self.reading.longest, return_offsets_mapping=True
            )
            pairs = zip(found["input_ids"], found["offset_mapping"], strict=True)
            self._known |= {text: _tokens(*pair) for text, pair in zip(new, pairs, strict=True)}
        return [self._known[text] for text in texts]

    def parts(self, tokens: Sequence[Tokens]) -> list[Ints]:
        """Places of texts in parts; see `cut`."""
        return cut([len(each.ids) for each in tokens], self.reading.part_tokens)

    def padded(self, tokens: Sequence[Tokens]) -> tuple[Any, Any]:
        """Ids and mask of one part as tensors of int64, shape (texts, longest of them)."""
        import torch

        longest = max(len(each.ids) for each in tokens)
        ids = np.full((len(tokens), longest), self.reading.padding, np.int64)
        mask = np.zeros((len(tokens), longest), np.int64)
        for row, each in enumerate(tokens):
            ids[row, : len(each.ids)], mask[row, : len(each.ids)] = each.ids, 1
        return torch.from_numpy(ids), torch.from_numpy(mask)

    def encode(self, model: Any, texts: Sequence[str]) -> Vectors:
        """Vectors of texts by a `SentenceTransformer` as it stands, unit rows in input order."""
        import torch

        tokens = self.tokens(texts)
        rows: list[Any] = [None] * len(texts)
        with torch.no_grad():
            for part in self.parts(tokens):
                ids, mask = self.padded([tokens[place] for place in part])
                features = {"input_ids": ids.to(model.device), "attention_mask": mask.to(model.device)}
                found = model(features)["sentence_embedding"].float().cpu().numpy()
                for place, row in zip(part, found, strict=True):
                    rows[place] = row
        vectors = np.stack(rows)
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def cut(lengths: Sequence[int], part_tokens: int) -> list[Ints]:
    """Texts in parts, shortest first, so that no part is larger than so many tokens when it is padded.

    A text that is longer gets a part of its own.
    """
    order = np.argsort(np.asarray(lengths), kind="stable")
    parts, begin = [], 0
    for end in range(1, len(order) + 1):
        if end == len(order) or (end + 1 - begin) * lengths[order[end]] > part_tokens:
            parts.append(order[begin:end])
            begin = end
    return parts


def _tokens(ids: Sequence[int], offsets: Sequence[tuple[int, int]]) -> Tokens:
    ranges = np.asarray(offsets, np.int64).reshape(-1, 2)
    starts = np.where(ranges[:, 1] > ranges[:, 0], ranges[:, 0], -1)
    return Tokens(np.asarray(ids, np.int64), starts)


def inside(starts: Ints, ranges: Sequence[tuple[int, int]], *, shift: int) -> NDArray[np.bool_]:
    """Which tokens begin inside one of the ranges of characters, moved by so many, shape (n,)."""
    found = np.zeros(len(starts), bool)
    for start, end in ranges:
        found |= (starts >= start + shift) & (starts < end + shift)
    return found
