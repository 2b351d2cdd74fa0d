"""Fitting and comparing evidence scores: models, the conditional logit, and the whole dial at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ragwright.core.protocols import StoredChunk
from ragwright.core.types import Question, Span
from ragwright.retrieval.evidence_score import Floats, QuerySigns, read_signs

DIAL = np.round(np.arange(0.0, 1.0001, 0.0025), 4)
BEFORE = (0.4, 0.5, 0.6, 0.7)
AFTER = (0.2, 0.3, 0.4)


@dataclass(frozen=True)
class Case:
    """A question, the group it belongs to, and what was found for it.

    Attributes:
        chunks: Best first.
        query: What their sentences are compared with.
        scores: Of every chunk that was put forward, by id.
    """

    question: Question
    group: str
    chunks: Sequence[StoredChunk]
    query: QuerySigns
    scores: Mapping[str, float]


@dataclass(frozen=True)
class Model:
    """The fitted numbers of the score, weights adding up to 1."""

    before: float
    after: float
    weights: tuple[float, float, float]


class Table:
    """The sentences of many questions in one array each, so that a position of the dial costs little.

    Attributes:
        question: Number of each sentence's question.
        covered: Reference characters in each sentence.
    """

    def __init__(self, cases: Sequence[Case]) -> None:
        rows = [row for number, case in enumerate(cases) for row in _sentences(number, case)]
        values = np.array(rows, float).reshape(-1, 6)
        self.number = len(cases)
        self.question = values[:, 0].astype(int)
        self.covered, self._length, self._gap, self._gap_covered = values[:, 1:5].T
        self._follows = values[:, 5].astype(bool)
        self._wanted = np.array([sum(len(span) for span in case.question.references) for case in cases])

    def most(self, values: Floats) -> Floats:
        """The largest value of each sentence's question."""
        best = np.full(self.number, -np.inf)
        np.maximum.at(best, self.question, values)
        return np.asarray(best[self.question])

    def sums(self, values: Floats) -> Floats:
        """Sum by question."""
        return np.bincount(self.question, values, minlength=self.number).astype(np.float64)

    def lift(self, scores: Floats, part: float) -> Floats:
        """Scores drawn up to those of better neighbours."""
        before = np.where(self._follows, np.r_[0.0, scores[:-1]], 0.0)
        after = np.where(np.r_[self._follows[1:], False], np.r_[scores[1:], 0.0], 0.0)
        return scores + part * (np.maximum(scores, np.maximum(before, after)) - scores)

    def measure(self, keep: NDArray[np.bool_], *, bridge: bool = True) -> tuple[Floats, Floats]:
        """Recall and IoU of each question when these sentences are kept, as `select_evidence` merges them."""
        follows = np.r_[self._follows[1:], False]
        if bridge:
            before, after = np.r_[False, keep[:-1]] & self._follows, np.r_[keep[1:], False] & follows
            keep = keep | (before & after)
        joined = keep & np.r_[False, keep[:-1]] & self._follows
        covered = self.sums(self.covered * keep + self._gap_covered * joined)
        shown = self.sums(self._length * keep + self._gap * joined)
        return covered / self._wanted, covered / (shown + self._wanted - covered)

    def dial(self, scores: Floats) -> Dial:
        """Every position of the dial."""
        share = scores / np.maximum(self.most(scores), 1e-12)
        pairs = [self.measure(share >= position - 1e-9) for position in DIAL]
        return Dial(np.stack([recall for recall, _ in pairs]), np.stack([iou for _, iou in pairs]))


@dataclass(frozen=True)
class Dial:
    """Recall and IoU by position of the dial and question, shape (positions, questions) each."""

    recall: Floats
    iou: Floats

    def share_at(self, recall: float, chosen: NDArray[np.bool_]) -> int:
        """The highest position at which the chosen questions reach a recall; the last when none does."""
        reached = np.flatnonzero(self.recall[:, chosen].mean(axis=1) >= recall)
        return int(reached[-1]) if len(reached) else 0

    def iou_at(self, recall: float, counts: Floats) -> Floats:
        """Interpolated mean IoU at a mean recall, for each row of weights of the questions."""
        recalls, ious = (counts @ part.T / counts.sum(axis=1)[:, None] for part in (self.recall, self.iou))
        return np.array([np.interp(recall, r[::-1], i[::-1]) for r, i in zip(recalls, ious, strict=True)])


def resamples(number: int) -> Floats:
    """How often each question is drawn: one row with each once, then 2,000 bootstrap samples, seeded."""
    drawn = np.random.default_rng(0).multinomial(number, np.full(number, 1.0 / number), size=2000)
    return np.concatenate([np.ones((1, number)), drawn])


def signs_of(cases: Sequence[Case], before: float, after: float) -> Floats:
    """The three relative signs of every sentence, shape (sentences, 3)."""
    read = [read_signs(c.chunks, c.query, before=before, after=after) for c in cases]
    return np.concatenate([each.relative() for each in read])


class Fitting:
    """Fits models on some of the questions; the signs for each reach of the neighbours are read once."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self.table = Table(cases)
        self._signs = {pair: signs_of(cases, *pair) for pair in product(BEFORE, AFTER)}

    def fit(self, chosen: NDArray[np.bool_]) -> Model:
        """The most likely model for the chosen questions."""
        fitted = {pair: conditional_logit(signs, self.table, chosen) for pair, signs in self._signs.items()}
        pair = max(fitted, key=lambda each: fitted[each][0])
        weights = fitted[pair][1] / fitted[pair][1].sum()
        return Model(*pair, weights=(float(weights[0]), float(weights[1]), float(weights[2])))

    def scores(self, model: Model) -> Floats:
        """Scores of every sentence, as shares of the best: the support is left out."""
        ranked = self._signs[model.before, model.after] @ np.array(model.weights)
        return np.asarray(1.0 - (self.table.most(ranked) - ranked))


def conditional_logit(
    signs: Floats, table: Table, chosen: NDArray[np.bool_], *, ridge: float = 3.0
) -> tuple[float, Floats]:
    """Log-likelihood and weights that explain in which sentences the reference characters lie.

    Newton's method with halved steps. A question's target is the distribution of its reference characters
    over its sentences; questions of which nothing was found say nothing.
    """
    spread = signs.std(axis=0)
    scaled = signs / spread
    target = table.covered / np.maximum(table.sums(table.covered), 1e-9)[table.question]
    target = target * chosen[table.question]
    mass = table.sums(target)

    def evaluate(weights: Floats) -> tuple[float, Floats]:
        logits = scaled @ weights
        logits = logits - table.most(logits)
        odds = np.exp(logits)
        total = table.sums(odds)
        likelihood = float(target @ logits - mass @ np.log(total) - 0.5 * ridge * weights @ weights)
        return likelihood, odds / total[table.question] * mass[table.question]

    weights = np.zeros(signs.shape[1])
    value, expected = evaluate(weights)
    for _ in range(50):
        gradient = scaled.T @ (target - expected) - ridge * weights
        means = np.stack([table.sums(expected * column) for column in scaled.T], axis=1)
        within = means.T @ (means / np.maximum(mass, 1e-9)[:, None])
        step = np.linalg.solve(
            (scaled.T * expected) @ scaled - within + ridge * np.eye(len(weights)), gradient
        )
        while (found := evaluate(weights + step))[0] < value and np.abs(step).max() > 1e-9:
            step = step / 2
        weights = weights + step
        gain, (value, expected) = found[0] - value, found
        if gain < 1e-9 * abs(value):
            break
    return value, weights / spread


def _sentences(number: int, case: Case) -> list[tuple[float, ...]]:
    """Rows of the table: question, covered, length, gap before, covered part of it, whether it follows."""
    rows: list[tuple[float, ...]] = []
    for chunk in case.chunks:
        end: int | None = None
        for span in chunk.chunk.sentences:
            gap = Span(span.document_id, span.start if end is None else end, span.start)
            counts = (_shared(span, case.question), len(span), len(gap), _shared(gap, case.question))
            rows.append((number, *counts, end is not None))
            end = span.end
    return rows


def _shared(span: Span, question: Question) -> int:
    """Characters of a span that lie in references."""
    return sum(
        max(0, min(span.end, reference.end) - max(span.start, reference.start))
        for reference in question.references
        if reference.document_id == span.document_id
    )
