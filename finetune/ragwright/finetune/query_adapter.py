"""Training a query adapter: a matrix that moves questions towards the chunks that answer them.

The encoder and the index stay as they are, so what is learnt from are vectors that are there already, and a
training takes seconds. The adapter starts as the identity and learns the difference to it, by contrast
between the chunks that answer a question and those that do not (van den Oord et al. 2018, "Representation
Learning with Contrastive Predictive Coding", arXiv:1807.03748), and is held back towards the identity. How
strongly, and how long is learnt, the dev questions decide.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragwright.core.query_adapter import QueryAdapter
from ragwright.core.types import Vectors
from ragwright.finetune.adapter_loss import AdapterData, Floats, contrast

Measure = Callable[[Vectors], Mapping[str, float]]
"""What dev questions find with these vectors, shape (dev questions, dim); the first measure chooses."""

Look = Callable[[int, Mapping[str, float]], None]
"""Told the number of the step and what the dev questions showed."""

_NEAR, _FAR, _TINY = 0.9, 0.999, 1e-8  # of Adam, as its paper proposes


@dataclass(frozen=True, slots=True)
class AdapterSettings:
    """How an adapter is trained.

    Attributes:
        strengths: Of the pull towards the identity; each is tried.
        temperature: Cosines are divided by it.
        learning_rate: Step size of Adam.
        batch: Questions in one step.
        epochs: Most times that the examples are seen, for each strength.
        patience: Epochs without a gain after which a strength is given up.
        rank: Of the matrix; 0: it may be any.
        seed: Of the order of the examples, and of the start of a matrix with a rank.
    """

    strengths: tuple[float, ...] = (0.03, 0.01, 0.003)
    temperature: float = 0.1
    learning_rate: float = 1e-3
    batch: int = 64
    epochs: int = 40
    patience: int = 6
    rank: int = 0
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class FittedAdapter:
    """What came of a training.

    Attributes:
        adapter: The best on the dev questions; None: none was better than no adapter.
        start: What the dev questions showed without an adapter.
        dev: What they showed with the best.
        strength: Of the pull that was chosen.
        step: At which it was best, of its strength.
        steps: In all.
        seconds: Wall time.
    """

    adapter: QueryAdapter | None
    start: Mapping[str, float]
    dev: Mapping[str, float]
    strength: float | None
    step: int
    steps: int
    seconds: float


def fit_adapter(
    data: AdapterData,
    *,
    dev: Vectors,
    measure: Measure,
    base: tuple[str, str],
    settings: AdapterSettings,
    look: Look = lambda step, measured: None,
) -> FittedAdapter:
    """Train adapters with every strength, and keep the one that serves the dev questions best.

    Args:
        data: What is learnt from.
        dev: The encoder's vectors of the dev questions, float32, shape (k, dim), unit rows.
        measure: Measures them, moved.
        base: The encoder as configured, and its fingerprint.
        settings: How.
        look: Told every look at the dev questions.
    """
    started = time.perf_counter()
    start = measure(dev)
    best = FittedAdapter(None, start, start, None, 0, 0, 0.0)
    steps = 0
    for strength in settings.strengths:
        without_gain, reached = 0, _first(start)
        for step, residual, bias in _training(data, strength, settings):
            adapter = QueryAdapter(*base, residual, bias)
            measured = measure(adapter.moved(dev))
            look(steps + step, measured)
            if _first(measured) > _first(best.dev):
                best = FittedAdapter(adapter, start, measured, strength, step, 0, 0.0)
            without_gain = 0 if _first(measured) > reached else without_gain + 1
            reached = max(reached, _first(measured))
            last = step
            if without_gain >= settings.patience:
                break
        steps += last
    seconds = time.perf_counter() - started
    return FittedAdapter(best.adapter, start, best.dev, best.strength, best.step, steps, seconds)


def describe_settings(settings: AdapterSettings, fitted: FittedAdapter) -> dict[str, Any]:
    """The settings with what was chosen among them, for a manifest."""
    return {**asdict(settings), "strength": fitted.strength, "step": fitted.step, "steps": fitted.steps}


def _first(measured: Mapping[str, float]) -> float:
    return next(iter(measured.values()))


def _training(
    data: AdapterData, strength: float, settings: AdapterSettings
) -> Iterator[tuple[int, Floats, Floats]]:
    """After each epoch the number of steps so far, the residual, shape (dim, dim), and the bias, (dim,)."""
    random = np.random.default_rng(settings.seed)
    parts = _start(data.queries.shape[1], settings)
    optimiser = _Adam(parts, settings.learning_rate)
    step = 0
    for _ in range(settings.epochs):
        for rows in _batches(len(data.queries), settings.batch, random):
            residual = _product(parts)
            _, by_residual, by_bias = contrast(
                data, rows, residual=residual, bias=parts[-1], temperature=settings.temperature
            )
            by_residual += 2 * strength * residual
            optimiser.step([*_by_factors(parts, by_residual), by_bias + 2 * strength * parts[-1]])
            step += 1
        yield step, _product(parts).copy(), parts[-1].copy()


def _start(dimension: int, settings: AdapterSettings) -> list[Floats]:
    """The factors of the residual, whose product is zero, and the bias."""
    bias = np.zeros(dimension, np.float32)
    if not settings.rank or settings.rank >= dimension:
        return [np.zeros((dimension, dimension), np.float32), bias]
    random = np.random.default_rng(settings.seed)
    down = (random.normal(size=(dimension, settings.rank)) / dimension**0.5).astype(np.float32)
    return [down, np.zeros((settings.rank, dimension), np.float32), bias]


def _product(parts: Sequence[Floats]) -> Floats:
    """The residual, of its factors."""
    return parts[0] if len(parts) == 2 else parts[0] @ parts[1]


def _by_factors(parts: Sequence[Floats], by_residual: Floats) -> list[Floats]:
    """Gradients by the factors of the residual, of that by the residual."""
    return [by_residual] if len(parts) == 2 else [by_residual @ parts[1].T, parts[0].T @ by_residual]


def _batches(count: int, size: int, random: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    order = random.permutation(count)
    for first in range(0, count, size):
        yield order[first : first + size]


class _Adam:
    """Kingma and Ba 2015, "Adam: A Method for Stochastic Optimization", arXiv:1412.6980."""

    def __init__(self, parts: Sequence[Floats], learning_rate: float) -> None:
        self._parts, self._rate, self._done = parts, learning_rate, 0
        self._means = [np.zeros_like(part) for part in parts]
        self._squares = [np.zeros_like(part) for part in parts]

    def step(self, gradients: Sequence[Floats]) -> None:
        """Change the parts in place."""
        self._done += 1
        near, far = 1.0 - _NEAR**self._done, 1.0 - _FAR**self._done
        for part, mean, square, gradient in zip(
            self._parts, self._means, self._squares, gradients, strict=True
        ):
            mean += (1.0 - _NEAR) * (gradient - mean)
            square += (1.0 - _FAR) * (gradient**2 - square)
            part -= self._rate * (mean / near) / (np.sqrt(square / far) + _TINY)
