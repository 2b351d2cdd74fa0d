"""The risk-coverage curve: what a threshold on support would give."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwright.core.types import Citation, Question, Span
from ragwright.eval.risk import RiskPoint, area_under_risk, risk_coverage
from ragwright.eval.values import Outcome, Reply

HERE, THERE = Span("a.md", 0, 5), Span("a.md", 9, 12)


def _outcome(support: float, *, right: bool = True, refused: bool = False, error: str = "") -> Outcome:
    citation = Citation(1, HERE if right else THERE, "x", "exact", "a.md", "A")
    reply = Reply("x", (citation,), refused=refused, support=support)
    return Outcome(Question("q", "?", (HERE,)), reply=reply, error=error)


OUTCOMES = st.lists(
    st.builds(
        _outcome,
        st.sampled_from([0.1, 0.5, 0.9]),
        right=st.booleans(),
        refused=st.booleans(),
        error=st.sampled_from(["", "", "timeout"]),
    ),
    max_size=12,
)


def test_the_curve_by_hand() -> None:
    outcomes = [
        _outcome(0.3, right=False),
        _outcome(0.9),
        _outcome(0.6),
        _outcome(0.6, right=False),
        _outcome(0.8, refused=True),
    ]
    points = risk_coverage(outcomes)
    assert points == [RiskPoint(1 / 5, 0.0, 0.9), RiskPoint(3 / 5, 1 / 3, 0.6), RiskPoint(4 / 5, 2 / 4, 0.3)]
    # After each of the four answers: 0, then 1/3 twice as both are tied, then 1/2.
    assert area_under_risk(points) == pytest.approx((0 + 1 / 3 + 1 / 3 + 1 / 2) / 4)


def test_an_answered_unanswerable_question_is_wrong_whatever_it_cites() -> None:
    reply = _outcome(0.7).reply
    assert risk_coverage([Outcome(Question("q", "?"), reply=reply)]) == [RiskPoint(1.0, 1.0, 0.7)]


def test_refused_and_failed_questions_lower_the_coverage_only() -> None:
    answered = [_outcome(0.9), _outcome(0.4)]
    silent = [_outcome(1.0, refused=True), _outcome(1.0, error="timeout")]
    points = risk_coverage(silent + answered)
    assert [(point.coverage, point.risk) for point in points] == [(1 / 4, 0.0), (2 / 4, 0.0)]


def test_without_answers_there_is_no_curve_and_no_area() -> None:
    assert risk_coverage([Outcome(Question("q", "?"))]) == []
    assert risk_coverage([_outcome(0.5, refused=True)]) == []
    assert area_under_risk([]) is None


@given(OUTCOMES, st.randoms(use_true_random=False))
def test_the_order_of_the_questions_does_not_matter_even_among_ties(
    outcomes: list[Outcome], random: Random
) -> None:
    shuffled = list(outcomes)
    random.shuffle(shuffled)
    assert risk_coverage(shuffled) == risk_coverage(outcomes)


@given(OUTCOMES)
def test_coverage_rises_as_support_falls_and_everything_lies_between_0_and_1(outcomes: list[Outcome]) -> None:
    points = risk_coverage(outcomes)
    for before, after in pairwise(points):
        assert before.coverage < after.coverage
        assert before.support > after.support
    assert all(0.0 < point.coverage <= 1.0 and 0.0 <= point.risk <= 1.0 for point in points)
    area = area_under_risk(points)
    assert area is None or 0.0 <= area <= 1.0 + 1e-12
