"""From a reader's log-odds to probabilities that hold: fitted on questions that it did not learn from.

Both are logistic regressions with a ridge, by Newton's method (Platt 1999, "Probabilistic Outputs for Support
Vector Machines", in its plain form): what a reader of another domain says too boldly is drawn back, and the
retriever's own signs of a sentence count as far as they add to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from ragwright.core.reader_folder import AnswerWeights, EvidenceWeights, ReaderRules

Floats = NDArray[np.float64]

SIGNS = tuple(each.name for each in fields(EvidenceWeights) if each.name != "bias")
"""The signs of a sentence, in the order of the columns."""

LEAST_QUESTIONS = 20
"""With fewer the reader's own log-odds are taken as they are."""

PLAIN_EVIDENCE = EvidenceWeights(bias=0.0, sentence=1.0, passage=0.0)
PLAIN_ANSWER = AnswerWeights(bias=0.0, passage=1.0)

_RIDGE = 1.0
_STEPS = 50


@dataclass(frozen=True, slots=True)
class Observed:
    """What was found for one question that has an answer.

    Attributes:
        signs: Of every sentence, columns as in `SIGNS`, shape (sentences, 5).
        shares: How much of each sentence is evidence, 0..1, shape (sentences,).
        best: Highest log-odds of a chunk, and the retriever's support.
        without: The same where the chunks that answer are left out; None where no chunk is left.
        answered: Whether any chunk that was found answers.
    """

    signs: Floats
    shares: Floats
    best: tuple[float, float]
    without: tuple[float, float] | None
    answered: bool


def fit_rules(observed: Sequence[Observed], *, max_tokens: int) -> ReaderRules:
    """The rules that explain best what is evidence, and which questions are answered.

    Questions count alike, however many sentences were found for them.

    Args:
        observed: Of questions that the reader did not learn from.
        max_tokens: See `ReaderRules`.
    """
    if len(observed) < LEAST_QUESTIONS:
        return ReaderRules(max_tokens, PLAIN_EVIDENCE, PLAIN_ANSWER)
    signs = np.concatenate([each.signs for each in observed])
    shares = np.concatenate([each.shares for each in observed])
    evidence = logistic(signs, shares)
    best = [(each.best, float(each.answered)) for each in observed]
    best += [(each.without, 0.0) for each in observed if each.without is not None and each.answered]
    answer = logistic(np.array([pair for pair, _ in best]), np.array([known for _, known in best]))
    return ReaderRules(
        max_tokens,
        EvidenceWeights(evidence[-1], **dict(zip(SIGNS, evidence[:-1], strict=True))),
        AnswerWeights(answer[-1], passage=answer[0], support=answer[1]),
    )


def logistic(features: Floats, targets: Floats, *, ridge: float = _RIDGE) -> list[float]:
    """The weights of a logistic regression, those of the columns first, then the bias.

    Args:
        features: Shape (n, k).
        targets: What is to be explained, 0..1, shape (n,).
        ridge: Draws the weights, of columns of equal spread, to 0; the bias is free.
    """
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-9
    columns = np.c_[(features - mean) / spread, np.ones(len(features))]
    penalty = np.r_[np.full(features.shape[1], ridge), 1e-6]
    weights = np.zeros(columns.shape[1])
    for _ in range(_STEPS):
        odds = columns @ weights
        expected = 1.0 / (1.0 + np.exp(-np.clip(odds, -30.0, 30.0)))
        gradient = columns.T @ (targets - expected) - penalty * weights
        curvature = (columns.T * (expected * (1.0 - expected))) @ columns + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        weights = weights + step * min(1.0, 5.0 / (np.abs(step).max() + 1e-12))
        if np.abs(step).max() < 1e-8:
            break
    scaled = weights[:-1] / spread
    return [*(float(each) for each in scaled), float(weights[-1] - scaled @ mean)]
