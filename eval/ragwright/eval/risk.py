"""Risk and coverage: how often answers are wrong when only the surest ones are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from ragwright.eval.replies import asked, citation_recall, given
from ragwright.eval.values import Outcome


@dataclass(frozen=True, slots=True)
class RiskPoint:
    """What answering from some support on would give.

    Attributes:
        coverage: Questions answered over all questions asked, in (0, 1].
        risk: Wrong answers over answers, 0..1.
        support: The threshold: the least support among the answers.
    """

    coverage: float
    risk: float
    support: float


def risk_coverage(outcomes: Sequence[Outcome]) -> list[RiskPoint]:
    """The risk at every coverage that a threshold on support can give.

    El-Yaniv and Wiener 2010, "On the Foundations of Noise-free Selective Classification", with support as
    the confidence. An answer is wrong when its question is unanswerable, or when no citation touches a
    reference (citation recall 0). Refused and failed questions count as asked and never as answered, since
    what the system would have said is not known: the curve ends at the coverage of the run, and reaches 1
    only if nothing was refused; a run with the support threshold at 0 shows all of it. Equal supports cannot
    be told apart by a threshold and make one point.

    Args:
        outcomes: Those that no answer was asked for are left out.

    Returns:
        Points in ascending order of coverage, which is descending order of support; empty without answers.
    """
    questions = asked(outcomes)
    answers = [(reply.support, _is_wrong(each)) for each in questions if (reply := given(each))]
    answers.sort(key=lambda answer: -answer[0])
    points: list[RiskPoint] = []
    answered = wrong = 0
    for support, tied in groupby(answers, key=lambda answer: answer[0]):
        errors = [error for _, error in tied]
        answered += len(errors)
        wrong += sum(errors)
        points.append(RiskPoint(answered / len(questions), wrong / answered, support))
    return points


def area_under_risk(points: Sequence[RiskPoint]) -> float | None:
    """The mean risk over the coverages that a curve reaches, 0..1; lower is better.

    The area under the risk-coverage curve (AURC) of Geifman, Uziel and El-Yaniv 2019, "Bias-Reduced
    Uncertainty Estimation for Deep Neural Classifiers": the risk after each answer, averaged over the
    answers; tied answers share the risk at their point. It is divided by the last coverage, so that refusing
    does not lower it by itself; compare runs that reach about the same coverage.

    Args:
        points: As `risk_coverage` gives them.

    Returns:
        None for a curve without points.

    >>> curve = [RiskPoint(0.25, 0.0, 0.9), RiskPoint(0.75, 0.5, 0.4)]
    >>> area_under_risk(curve)  # (0.25 * 0 + 0.5 * 0.5) / 0.75
    0.3333333333333333
    """
    if not points:
        return None
    first = points[0].coverage * points[0].risk
    rest = sum((after.coverage - before.coverage) * after.risk for before, after in pairwise(points))
    return (first + rest) / points[-1].coverage


def _is_wrong(outcome: Outcome) -> bool:
    references = outcome.question.references
    return not references or citation_recall(given(outcome), references) == 0.0
