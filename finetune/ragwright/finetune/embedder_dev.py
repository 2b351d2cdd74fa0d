"""How well an embedder in training finds the answers to dev questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragwright.core.types import Vectors
from ragwright.finetune.embedder_batches import Batches, Frozen
from ragwright.finetune.values import TrainingPassage

_QUESTIONS, _PASSAGES = 300, 600  # more are not looked at: a look is to take seconds
_DEPTH = 10


class DevQuestions:
    """Dev questions, asked of a sample of the passages that holds every answer."""

    def __init__(
        self,
        asked: Sequence[tuple[str, Sequence[str]]],
        passages: Sequence[TrainingPassage],
        *,
        batches: Batches,
        frozen: Frozen | None,
        seed: int,
    ) -> None:
        """Choose what is looked at; the same for every look.

        Args:
            asked: Questions as the encoder reads them, each with the ids of all passages that answer it.
            passages: All that may be found, each once.
            batches: Turns texts into parts.
            frozen: Vectors of all the passages, where they are not computed.
            seed: Of the samples.
        """
        random = Random(seed)
        kept = list(asked) if len(asked) <= _QUESTIONS else random.sample(list(asked), _QUESTIONS)
        answers = {each for _, ids in kept for each in ids}
        others = [each for each in passages if each.id not in answers]
        more = random.sample(others, min(len(others), max(0, _PASSAGES - len(answers))))
        chosen = [each for each in passages if each.id in answers] + more
        places = {each.id: place for place, each in enumerate(chosen)}
        self._batches, self._passages = batches, chosen
        self._vectors = None if frozen is None else frozen.rows(chosen)
        self._questions = [question for question, _ in kept]
        self._right = np.zeros((len(kept), len(chosen)), bool)
        for row, (_, ids) in enumerate(kept):
            self._right[row, [places[each] for each in ids]] = True

    def measure(self, model: Any) -> Mapping[str, float]:
        """Mean nDCG@10, and the share of questions with an answer among the first ten."""
        questions = self._batches.encode_queries(model, self._questions)
        passages = self._vectors
        if passages is None:
            passages = self._batches.encode_passages(model, self._passages)
        found = questions @ passages.T
        gains = ranked(found, self._right, _DEPTH)
        return {
            f"nDCG@{_DEPTH}": float(discounted(gains, self._right.sum(1)).mean()),
            f"success@{_DEPTH}": float(gains.any(1).mean()),
        }


def ranked(scores: Vectors, right: NDArray[np.bool_], depth: int) -> NDArray[np.bool_]:
    """Whether each of the best passages answers its question, best first, shape (n, depth or fewer)."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :depth]
    return np.take_along_axis(right, order, axis=1)


def discounted(gains: NDArray[np.bool_], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """The nDCG of each question with gains of 0 and 1 (Järvelin and Kekäläinen 2002), 0 to 1, shape (n,).

    Args:
        gains: Whether each of the best answers the question, best first, shape (n, depth).
        counts: How many passages answer it, at least one, shape (n,).
    """
    depth = gains.shape[1]
    discounts = 1.0 / np.log2(np.arange(2, depth + 2))
    ideal = np.cumsum(discounts)[np.minimum(counts, depth) - 1]
    return np.asarray((gains * discounts).sum(1) / ideal)
