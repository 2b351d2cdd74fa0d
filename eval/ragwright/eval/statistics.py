"""How sure a mean is, and whether two runs differ by more than luck.

Every function gives the same numbers for the same values and seed, in whatever order the values come.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ragwright.core.errors import InputError
from ragwright.eval.values import Row

Values = NDArray[np.float64]  # (n,)

RESAMPLES = 2_000
PERMUTATIONS = 10_000

_QUANTILES = (0.025, 0.975)
_EXACT_UP_TO = 16  # differences: 65,536 sign patterns
_CELLS = 1 << 20  # numbers drawn at a time, so that memory stays flat for any number of questions
_TIE = 1e-10  # sums nearer than this share of all sizes are equal: they differ by rounding only


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over questions and how far it can be trusted.

    Attributes:
        measure: What was measured, or "".
        mean: Arithmetic mean; NaN if a value is NaN.
        low: Lower end of the 95 % percentile bootstrap interval.
        high: Its upper end; equal to `low` when all values are equal, as a single one is.
        std: Population standard deviation of the values.
        n: Number of questions.
    """

    measure: str
    mean: float
    low: float
    high: float
    std: float
    n: int


def by_measure(rows: Iterable[Row]) -> dict[str, dict[str, float]]:
    """Value by question id, by measure.

    Returns:
        Measures in the order of their first row, questions in the order of their ids.

    Raises:
        InputError: A question has two rows of one measure.
    """
    table: dict[str, dict[str, float]] = {}
    for row in rows:
        values = table.setdefault(row.measure, {})
        if row.question_id in values:
            raise InputError(
                f"question {row.question_id!r} has two rows of {row.measure}, wanted is one: "
                "score the run again"
            )
        values[row.question_id] = row.value
    return {measure: dict(sorted(values.items())) for measure, values in table.items()}


def estimates(rows: Iterable[Row], *, seed: int = 0, resamples: int = RESAMPLES) -> dict[str, Estimate]:
    """The estimate of every measure, in the order of its first row; empty without rows.

    Raises:
        InputError: A question has two rows of one measure.
    """
    return {
        measure: estimate(list(values.values()), measure=measure, seed=seed, resamples=resamples)
        for measure, values in by_measure(rows).items()
    }


def estimate(
    values: Sequence[float] | Values, *, measure: str = "", seed: int = 0, resamples: int = RESAMPLES
) -> Estimate:
    """The mean of a measure with its percentile bootstrap interval over questions.

    Args:
        values: One for each question, shape (n,), in any order.
        measure: Name that the estimate carries.
        seed: Of the resampling; the same seed gives the same interval.
        resamples: How many samples of n questions are drawn with replacement.

    Raises:
        InputError: There are no values.

    >>> estimate([0.5]).low, estimate([0.0, 1.0]).mean
    (0.5, 0.5)
    """
    # Sorted, the interval depends on the values alone and not on the order of the rows.
    ordered: Values = np.sort(np.asarray(values, dtype=np.float64))
    if not len(ordered):
        raise InputError(
            f"no values{f' of {measure}' if measure else ''}: a mean needs at least one question"
        )
    if ordered[0] == ordered[-1]:
        only = float(ordered[0])
        return Estimate(measure, only, only, only, 0.0, len(ordered))
    low, high = np.quantile(_resampled_means(ordered, seed=seed, resamples=resamples), _QUANTILES)
    return Estimate(
        measure, float(ordered.mean()), float(low), float(high), float(ordered.std()), len(ordered)
    )


def _resampled_means(values: Values, *, seed: int, resamples: int) -> Values:
    """Means of samples drawn with replacement, shape (resamples,)."""
    generator = np.random.default_rng(seed)
    means: Values = np.empty(resamples)
    block = max(1, _CELLS // len(values))
    for first in range(0, resamples, block):
        last = min(first + block, resamples)
        picks = generator.integers(len(values), size=(last - first, len(values)), dtype=np.int32)
        means[first:last] = values.take(picks).mean(axis=1)
    return means


def randomisation_test(
    values: Sequence[float] | Values,
    baseline: Sequence[float] | Values,
    *,
    seed: int = 0,
    permutations: int = PERMUTATIONS,
) -> float:
    """How often luck alone gives a mean difference at least this large, in either direction.

    Fisher's paired randomisation test (Smucker, Allan, Carterette, CIKM 2007): if the two runs were alike,
    each question's difference could as well have had the other sign. All sign patterns are counted for up to
    16 differences; beyond that `permutations` random ones, with p = (k + 1) / (permutations + 1).

    Args:
        values: One run, shape (n,).
        baseline: The other run on the same questions in the same order, shape (n,).
        seed: Of the random sign patterns.
        permutations: How many of them.

    Returns:
        The two-sided p value, above 0 and at most 1; 1 without any difference; NaN if a value is NaN.

    Raises:
        InputError: The two are not of equal length.

    >>> randomisation_test([1.0, 1.0, 1.0], [0.0, 0.0, 0.0])
    0.25
    """
    differences = _differences(values, baseline)
    if np.isnan(differences).any():
        return math.nan
    # With random signs only the sizes matter: sorted, p depends neither on order nor on who is the baseline.
    sizes: Values = np.sort(np.abs(differences[differences != 0.0]))
    if not len(sizes):
        return 1.0
    least = abs(math.fsum(differences)) - _TIE * float(sizes.sum())
    if len(sizes) <= _EXACT_UP_TO:
        return _extreme(sizes, [_all_patterns(len(sizes))], least=least) / 2.0 ** len(sizes)
    patterns = _random_patterns(len(sizes), seed=seed, permutations=permutations)
    return (_extreme(sizes, patterns, least=least) + 1) / (permutations + 1)


def _differences(values: Sequence[float] | Values, baseline: Sequence[float] | Values) -> Values:
    """Question by question, shape (n,)."""
    if len(values) != len(baseline):
        raise InputError(
            f"{len(values)} values against {len(baseline)} of the baseline: a paired test needs the same "
            "questions on both sides"
        )
    paired: Values = np.asarray(values, dtype=np.float64) - np.asarray(baseline, dtype=np.float64)
    return paired


def _all_patterns(n: int) -> NDArray[np.uint8]:
    """Every choice of n signs, eight to a byte, the first in its highest bit; shape (2 ** n, bytes)."""
    signs = np.arange(1 << n, dtype=np.uint32)[:, None] >> np.arange(n, dtype=np.uint32) & 1
    return np.packbits(signs.astype(np.uint8), axis=1)


def _random_patterns(n: int, *, seed: int, permutations: int) -> Iterator[NDArray[np.uint8]]:
    """Random choices of n signs as bytes, in blocks of shape (some, bytes), `permutations` rows in all."""
    generator = np.random.default_rng(seed)
    width = (n + 7) // 8
    block = max(1, _CELLS // width)
    for first in range(0, permutations, block):
        yield generator.integers(256, size=(min(block, permutations - first), width), dtype=np.uint8)


def _extreme(sizes: Values, patterns: Iterable[NDArray[np.uint8]], *, least: float) -> int:
    """How many sign patterns give a sum of at least this absolute value."""
    # What each byte adds up to is looked up: eight times less work than multiplying sign by sign.
    groups = np.pad(sizes, (0, -len(sizes) % 8)).reshape(-1, 8)  # (bytes, 8)
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)  # (256, 8)
    parts = (groups @ (2.0 * bits - 1.0).T).ravel()  # (bytes * 256,)
    offsets = 256 * np.arange(len(groups), dtype=np.int64)
    sums = (parts.take(pattern + offsets).sum(axis=1) for pattern in patterns)
    return sum(int(np.count_nonzero(np.abs(each) >= least)) for each in sums)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values, corrected for having tested several hypotheses at once (Holm 1979, step-down).

    Returns:
        In input order, each at least as large as it was and at most 1; a smaller p value never gets a larger
        correction than a greater one. NaN stays NaN and counts as a test.

    >>> holm([0.25, 0.125])
    [0.25, 0.25]
    """
    raw = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(raw, kind="stable")  # NaN comes last
    steps = np.maximum.accumulate(raw[order] * np.arange(len(raw), 0, -1))
    adjusted = np.empty_like(raw)
    adjusted[order] = np.minimum(steps, 1.0)
    return [float(value) for value in adjusted]
