"""What a query adapter learns from: questions and chunks as the encoder sees them, contrasted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ragwright.core.errors import InputError
from ragwright.core.types import Vectors
from ragwright.finetune.corpus import words
from ragwright.finetune.values import Example, TrainingPassage

Floats = NDArray[np.float32]

_SHORTEST = 1e-8  # of a vector that is divided by its length


@dataclass(frozen=True, slots=True, eq=False)
class AdapterData:
    """Questions and chunks as the encoder sees them.

    Attributes:
        queries: float32, shape (n, dim), rows of unit L2 norm.
        chunks: float32, shape (m, dim), rows of unit L2 norm.
        positives: For each question the rows of `chunks` that answer it, at least one.
        negatives: For each question the rows that do not.
        alike: For each question the rows that answer questions of the same words.
    """

    queries: Vectors
    chunks: Vectors
    positives: tuple[tuple[int, ...], ...]
    negatives: tuple[tuple[int, ...], ...]
    alike: tuple[frozenset[int], ...]

    @classmethod
    def of(
        cls, examples: Sequence[Example], *, queries: Vectors, chunks: Mapping[str, Vectors]
    ) -> AdapterData:
        """The data of examples; those of which no positive has a vector are left out.

        Args:
            examples: What is learnt from.
            queries: Of each example, shape (n, dim).
            chunks: Vectors by chunk id, shape (dim,) each.

        Raises:
            InputError: Nothing is left.
        """
        rows = {key: row for row, key in enumerate(chunks)}

        def known(passages: Sequence[TrainingPassage]) -> tuple[int, ...]:
            return tuple(rows[each.id] for each in passages if each.id in rows)

        kept = [number for number, each in enumerate(examples) if known(each.positives)]
        if not kept:
            raise InputError(
                f"of {len(examples)} examples none has a positive in the index; mine them again: "
                "ragwright tune negatives"
            )
        positives = [known(examples[number].positives) for number in kept]
        by_words: dict[str, set[int]] = {}
        for number, answers in zip(kept, positives, strict=True):
            by_words.setdefault(words(examples[number].query), set()).update(answers)
        alike = {text: frozenset(answers) for text, answers in by_words.items()}
        return cls(
            queries=np.asarray(queries[kept], np.float32),
            chunks=np.stack(list(chunks.values())).astype(np.float32),
            positives=tuple(positives),
            negatives=tuple(known(examples[number].negatives) for number in kept),
            alike=tuple(alike[words(examples[number].query)] for number in kept),
        )


def contrast(
    data: AdapterData, rows: NDArray[np.int64], *, residual: Floats, bias: Floats, temperature: float
) -> tuple[float, Floats, Floats]:
    """Mean cross-entropy of the answers among all chunks that the questions of a batch bring along.

    A question's answers share its target. What answers another question of the same words does not compete.

    Args:
        data: Questions and chunks.
        rows: Of the questions in the batch.
        residual: Shape (dim, dim).
        bias: Shape (dim,).
        temperature: Cosines are divided by it.

    Returns:
        The loss, and its gradients by the residual and by the bias, in their shapes.
    """
    members = dict.fromkeys(chunk for row in rows for chunk in (*data.positives[row], *data.negatives[row]))
    columns = {chunk: column for column, chunk in enumerate(members)}
    chunks, queries = data.chunks[list(columns)], data.queries[rows]
    target, spared = _targets(data, rows, columns)
    moved = queries + queries @ residual + bias
    norms = np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), _SHORTEST)
    units = moved / norms
    logits = np.where(spared, -np.inf, units @ chunks.T / temperature)
    logits -= logits.max(axis=1, keepdims=True)
    odds = np.exp(logits)
    totals = odds.sum(axis=1, keepdims=True)
    loss = -(target * np.where(spared, 0.0, logits - np.log(totals))).sum() / len(rows)
    by_units = (odds / totals - target) @ chunks / (temperature * len(rows))
    by_moved = (by_units - units * (units * by_units).sum(axis=1, keepdims=True)) / norms
    return float(loss), queries.T @ by_moved, by_moved.sum(axis=0)


def _targets(
    data: AdapterData, rows: NDArray[np.int64], columns: Mapping[int, int]
) -> tuple[Floats, NDArray[np.bool_]]:
    """Shares of chunks in each question's target, and which do not compete, shape (batch, chunks) both."""
    target = np.zeros((len(rows), len(columns)), np.float32)
    spared = np.zeros((len(rows), len(columns)), bool)
    for place, row in enumerate(rows):
        answers = [columns[each] for each in data.positives[row]]
        spared[place, [columns[each] for each in data.alike[row] if each in columns]] = True
        spared[place, answers] = False
        target[place, answers] = 1.0 / len(answers)
    return target, spared
