"""Intervals, p values and their correction are right, reproducible and blind to the order of rows."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragwright.core.errors import InputError
from ragwright.eval.statistics import by_measure, estimate, estimates, holm, randomisation_test
from ragwright.eval.values import Row

UNIT = st.floats(0.0, 1.0)
P_VALUES = st.lists(UNIT, max_size=12)
PAIRS = st.lists(st.tuples(UNIT, UNIT), min_size=1, max_size=10)


def _by_hand(differences: list[float]) -> float:
    """The exact p value by its definition: every sign pattern of every difference, zeros included."""
    sums = [
        math.fsum(sign * difference for sign, difference in zip(signs, differences, strict=True))
        for signs in itertools.product((1, -1), repeat=len(differences))
    ]
    seen = abs(math.fsum(differences))
    slack = 1e-10 * math.fsum(abs(difference) for difference in differences)
    return sum(abs(each) >= seen - slack for each in sums) / len(sums)


def test_mean_deviation_and_count_are_those_of_the_values() -> None:
    seen = estimate([0.0, 0.5, 1.0, 0.5], measure="iou")
    assert (seen.measure, seen.mean, seen.n) == ("iou", 0.5, 4)
    assert seen.std == pytest.approx(math.sqrt(0.125))
    assert 0.0 <= seen.low < 0.5 < seen.high <= 1.0


@given(UNIT, st.integers(1, 50))
def test_equal_values_have_an_interval_without_width(value: float, n: int) -> None:
    seen = estimate([value] * n)
    assert (seen.low, seen.mean, seen.high, seen.std) == (value, value, value, 0.0)


def test_a_mean_of_nothing_is_an_error() -> None:
    with pytest.raises(InputError, match="no values of iou"):
        estimate([], measure="iou")
    assert estimates([]) == {}


@settings(max_examples=25, deadline=None)
@given(st.lists(UNIT, min_size=1, max_size=40), st.randoms())
def test_the_interval_does_not_depend_on_the_order_of_the_rows(
    values: list[float], order: random.Random
) -> None:
    rows = [Row(f"q{number}", "iou", value) for number, value in enumerate(values)]
    mixed = list(rows)
    order.shuffle(mixed)
    assert estimates(rows) == estimates(mixed)
    seen = estimates(rows)["iou"]
    assert min(values) - 1e-12 <= seen.low <= seen.high <= max(values) + 1e-12


def test_the_same_seed_gives_the_same_interval_and_another_one_a_similar_interval() -> None:
    values = np.random.default_rng(1).random(200)
    first, again, other = estimate(values), estimate(values), estimate(values, seed=1)
    assert first == again
    assert first != other
    assert first.low == pytest.approx(other.low, abs=0.01)


def test_the_interval_agrees_with_the_normal_one_for_many_values() -> None:
    values = np.random.default_rng(2).random(2_000)
    seen = estimate(values)
    half = 1.96 * seen.std / math.sqrt(seen.n)
    assert seen.low == pytest.approx(seen.mean - half, abs=0.002)
    assert seen.high == pytest.approx(seen.mean + half, abs=0.002)


def test_intervals_hold_the_true_mean_about_as_often_as_they_say() -> None:
    generator = np.random.default_rng(3)
    held = 0
    for _ in range(400):
        seen = estimate(generator.beta(0.5, 0.5, size=60), resamples=300)
        held += seen.low <= 0.5 <= seen.high
    assert 0.91 <= held / 400 <= 0.98


def test_a_value_that_is_no_number_makes_no_number_of_the_mean() -> None:
    seen = estimate([0.5, math.nan, 1.0])
    assert math.isnan(seen.mean)
    assert math.isnan(seen.low)
    assert seen.n == 3


def test_measures_stay_apart_and_keep_the_order_of_their_first_row() -> None:
    rows = [Row("b", "recall", 1.0), Row("a", "iou", 0.5), Row("a", "recall", 0.0)]
    assert by_measure(rows) == {"recall": {"a": 0.0, "b": 1.0}, "iou": {"a": 0.5}}
    assert list(by_measure(rows)) == ["recall", "iou"]
    assert list(by_measure(rows)["recall"]) == ["a", "b"]
    assert estimates(rows)["recall"].n == 2


def test_a_question_with_two_rows_of_one_measure_is_an_error() -> None:
    with pytest.raises(InputError, match=r"'a' has two rows of iou"):
        estimates([Row("a", "iou", 0.5), Row("a", "iou", 0.5)])


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([], 1.0),
        ([0.0, 0.0], 1.0),
        ([0.3], 1.0),  # 2 of 2 patterns
        ([0.3, 0.3], 0.5),  # ++ and --
        ([1.0, 2.0, 4.0], 0.25),  # only all alike reach 7
        ([1.0, 2.0, -4.0], 1.0),  # the least sum there is
        ([-1.0, 2.0, 4.0], 0.5),  # 7 and 5, both ways
        ([0.1, 0.2, -0.3], 1.0),  # 0 but for rounding
        ([0.1] * 16, 2 / 2**16),
        ([0.1, 0.0] * 10, 2 / 2**10),  # no difference, no part in it
    ],
)
def test_known_exact_p_values(differences: list[float], p: float) -> None:
    assert randomisation_test(differences, [0.0] * len(differences)) == p


@settings(max_examples=50, deadline=None)
@given(PAIRS)
def test_few_differences_give_the_p_value_of_the_definition(pairs: list[tuple[float, float]]) -> None:
    ours, theirs = [a for a, _ in pairs], [b for _, b in pairs]
    assert randomisation_test(ours, theirs) == _by_hand([a - b for a, b in pairs])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(UNIT, UNIT), min_size=1, max_size=40), st.randoms())
def test_p_depends_neither_on_the_order_nor_on_who_is_the_baseline(
    pairs: list[tuple[float, float]], order: random.Random
) -> None:
    mixed = list(pairs)
    order.shuffle(mixed)
    p = randomisation_test([a for a, _ in pairs], [b for _, b in pairs], permutations=200)
    assert 0.0 < p <= 1.0
    assert p == randomisation_test([b for _, b in mixed], [a for a, _ in mixed], permutations=200)


def test_random_patterns_estimate_the_exact_p_value() -> None:
    """Seventeen equal differences, three of them negative: p is a sum of binomial coefficients."""
    differences = [0.1] * 14 + [-0.1] * 3
    exact = 2 * sum(math.comb(17, k) for k in range(4)) / 2**17
    assert randomisation_test(differences, [0.0] * 17) == pytest.approx(exact, abs=0.003)


def test_the_least_estimated_p_value_is_one_in_all_patterns_and_the_one_seen() -> None:
    assert randomisation_test([0.5] * 300, [0.0] * 300) == 1 / 10_001


def test_under_the_null_the_test_rejects_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(4)
    p_values = np.array(
        [
            randomisation_test(generator.random(30), generator.random(30), seed=number, permutations=400)
            for number in range(1_000)
        ]
    )
    assert 0.03 <= np.mean(p_values <= 0.05) <= 0.07
    assert 0.17 <= np.mean(p_values <= 0.20) <= 0.23


def test_memory_stays_flat_however_many_questions_there_are() -> None:
    """20,000 differences: the patterns, 1.6 GB if drawn at once, come in blocks."""
    values = np.random.default_rng(5).random(20_000)
    assert 0.0 < randomisation_test(values, values[::-1].copy() - 0.001, permutations=100) <= 1.0


def test_runs_of_unequal_length_and_values_that_are_no_numbers() -> None:
    with pytest.raises(InputError, match="2 values against 1 of the baseline"):
        randomisation_test([0.1, 0.2], [0.1])
    assert math.isnan(randomisation_test([math.nan, 1.0], [0.0, 0.0]))


@pytest.mark.parametrize(
    ("raw", "adjusted"),
    [
        ([], []),
        ([0.03], [0.03]),
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),  # 3 x .01, 2 x .03 twice, 4 x .005
        ([0.5, 0.6, 0.7], [1.0, 1.0, 1.0]),
    ],
)
def test_holm_by_hand(raw: list[float], adjusted: list[float]) -> None:
    assert holm(raw) == pytest.approx(adjusted)


@given(P_VALUES)
def test_holm_only_enlarges_keeps_the_order_and_stays_a_probability(raw: list[float]) -> None:
    adjusted = holm(raw)
    assert all(p <= q <= 1.0 for p, q in zip(raw, adjusted, strict=True))
    for (p, q), (other_p, other_q) in itertools.combinations(zip(raw, adjusted, strict=True), 2):
        assert q <= other_q if p <= other_p else q >= other_q


def test_holm_counts_a_missing_p_value_as_a_test() -> None:
    adjusted = holm([math.nan, 0.01])
    assert math.isnan(adjusted[0])
    assert adjusted[1] == 0.02
