"""What a reader learns from: questions with chunks, cut into sentences, and how much of each is evidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragwright.finetune.embedder_texts import cut, inside
from ragwright.finetune.values import Example, TrainingPassage

Ranges = Sequence[tuple[int, int]]
"""Half-open character ranges of a text, ascending, not overlapping."""

Sentences = Callable[[str], Ranges]
"""Where the sentences of a text stand."""


@dataclass(frozen=True, slots=True)
class ReaderPassage:
    """A chunk that a question is read with.

    Attributes:
        text: Context and text.
        sentences: Its sentences.
        shares: How much of each sentence is evidence, 0..1; shape (number of sentences,).
        answers: Whether the chunk holds any evidence.
    """

    text: str
    sentences: tuple[tuple[int, int], ...]
    shares: NDArray[np.float32]
    answers: bool


@dataclass(frozen=True, slots=True)
class ReaderRow:
    """A question with chunks that answer it and chunks that look as if they did."""

    query: str
    passages: tuple[ReaderPassage, ...]


def reader_rows(examples: Sequence[Example], sentences: Sentences, *, positives: int = 2) -> list[ReaderRow]:
    """Rows of examples.

    Args:
        examples: Questions with their chunks.
        sentences: Cuts a chunk as retrieval cuts it.
        positives: Most chunks that answer, of each question.
    """
    return [
        ReaderRow(
            each.query,
            tuple(_passage(p, sentences) for p in (*each.positives[:positives], *each.negatives)),
        )
        for each in examples
    ]


def _passage(passage: TrainingPassage, sentences: Sentences) -> ReaderPassage:
    ranges = tuple(sentences(passage.text))
    shares = [covered(each, passage.evidence) for each in ranges]
    return ReaderPassage(passage.text, ranges, np.array(shares, np.float32), bool(passage.evidence))


def covered(sentence: tuple[int, int], evidence: Ranges) -> float:
    """Share of a sentence's characters that lie in the evidence, 0..1.

    >>> covered((10, 20), [(0, 12), (18, 30)])
    0.4
    """
    start, end = sentence
    held = sum(max(0, min(end, b) - max(start, a)) for a, b in evidence)
    return held / (end - start) if end > start else 0.0


@dataclass(frozen=True, slots=True)
class _Pair:
    """A question and a chunk in tokens.

    Attributes:
        ids: Token ids, shape (n,).
        types: Token types, shape (n,).
        sides: 0 for tokens of the question, 1 for those of the chunk, -1 for special ones, shape (n,).
        ranges: Tokens of each sentence that was not cut off, half-open, shape (s, 2).
        shares: Of the same sentences, shape (s,).
        answers: Whether the chunk holds evidence.
    """

    ids: NDArray[np.int64]
    types: NDArray[np.int64]
    sides: NDArray[np.int64]
    ranges: NDArray[np.int64]
    shares: NDArray[np.float32]
    answers: bool


class Pairs:
    """Makes the batch of some rows: pairs of like length in parts, hardly padded."""

    def __init__(self, tokenizer: Any, *, longest: int, padding: int, part_tokens: int) -> None:
        """Nothing is tokenized yet.

        Args:
            tokenizer: A fast tokenizer of transformers.
            longest: Most tokens of a pair; of what is longer the longer text is cut.
            padding: Token id to pad with.
            part_tokens: Tokens of one forward pass, padding included.
        """
        self._tokenizer = tokenizer
        self._longest, self._padding, self._part_tokens = longest, padding, part_tokens
        self._known: dict[int, list[_Pair]] = {}

    def __call__(self, rows: Sequence[ReaderRow]) -> dict[str, Any]:
        """A batch.

        Returns:
            For each part n, of b pairs with at most t tokens and s sentences: `<n>_input_ids`,
            `<n>_attention_mask` and `<n>_token_type_ids` (b, t); `<n>_asked` and `<n>_read` (b, t), the
            weights of each token in the means of the question and of the chunk; `<n>_means` (b, s, t), those
            in each sentence's mean; `<n>_shares` and `<n>_sentences` (b, s), how much of a sentence is
            evidence, and 1 for a sentence or 0 for none; `<n>_answers` (b,) 0 or 1, and `<n>_questions` (b,),
            the number of the row.
        """
        pairs, questions = [], []
        for number, row in enumerate(rows):
            found = self.pairs(row)
            pairs += found
            questions += [number] * len(found)
        batch: dict[str, Any] = {}
        for number, part in enumerate(cut([len(pair.ids) for pair in pairs], self._part_tokens)):
            arrays = self._part([pairs[place] for place in part])
            arrays["questions"] = np.array([questions[place] for place in part], np.int64)
            batch |= {f"{number}_{name}": _tensor(array) for name, array in arrays.items()}
        return batch

    def tokens_of(self, row: ReaderRow) -> int:
        """Tokens of all pairs of a row."""
        return sum(len(pair.ids) for pair in self.pairs(row))

    def pairs(self, row: ReaderRow) -> list[_Pair]:
        """The pairs of a row; tokenized once."""
        if id(row) not in self._known:
            texts = [passage.text for passage in row.passages]
            encoded = self._tokenizer(
                [row.query] * len(texts),
                texts,
                truncation="longest_first",
                max_length=self._longest,
                return_offsets_mapping=True,
                return_token_type_ids=True,
            )
            self._known[id(row)] = [_pair(encoded, n, each) for n, each in enumerate(row.passages)]
        return self._known[id(row)]

    def _part(self, pairs: Sequence[_Pair]) -> dict[str, NDArray[Any]]:
        longest = max(len(pair.ids) for pair in pairs)
        most = max(1, *(len(pair.ranges) for pair in pairs))
        shape = (len(pairs), longest)
        ids, mask, types = (
            np.full(shape, self._padding, np.int64),
            np.zeros(shape, np.int64),
            np.zeros(shape, int),
        )
        asked, read = np.zeros((2, *shape), np.float32)
        means = np.zeros((len(pairs), most, longest), np.float32)
        shares, sentences = np.zeros((2, len(pairs), most), np.float32)
        for row, pair in enumerate(pairs):
            ids[row, : len(pair.ids)], mask[row, : len(pair.ids)] = pair.ids, 1
            types[row, : len(pair.ids)] = pair.types
            for side, into in enumerate((asked, read)):
                inside = pair.sides == side
                into[row, : len(pair.ids)] = inside / max(1, inside.sum())
            shares[row, : len(pair.shares)], sentences[row, : len(pair.shares)] = pair.shares, 1
            for place, (start, end) in enumerate(pair.ranges):
                means[row, place, start:end] = 1 / (end - start)
        return {
            "input_ids": ids,
            "attention_mask": mask,
            "token_type_ids": types,
            "asked": asked,
            "read": read,
            "means": means,
            "shares": shares,
            "sentences": sentences,
            "answers": np.array([pair.answers for pair in pairs], np.float32),
        }


def _pair(encoded: Any, number: int, passage: ReaderPassage) -> _Pair:
    sides = np.array([-1 if side is None else side for side in encoded.sequence_ids(number)])
    offsets = np.asarray(encoded["offset_mapping"][number], np.int64).reshape(-1, 2)
    starts = np.where(sides == 1, offsets[:, 0], -1)
    ranges, shares = [], []
    for sentence, share in zip(passage.sentences, passage.shares, strict=True):
        tokens = np.flatnonzero(inside(starts, [sentence], shift=0))
        if len(tokens):
            ranges.append((tokens[0], tokens[-1] + 1))
            shares.append(share)
    return _Pair(
        ids=np.asarray(encoded["input_ids"][number], np.int64),
        types=np.asarray(encoded["token_type_ids"][number], np.int64),
        sides=sides,
        ranges=np.array(ranges, np.int64).reshape(-1, 2),
        shares=np.array(shares, np.float32),
        answers=passage.answers,
    )


def _tensor(array: NDArray[Any]) -> Any:
    import torch

    return torch.from_numpy(array)
