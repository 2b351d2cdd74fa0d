"""What the parts of the report have in common, computed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ragwright.eval.compare import Comparison, Difference, compare
from ragwright.eval.gate import GateResult
from ragwright.eval.measures import PERTURBED
from ragwright.eval.statistics import Estimate, by_measure, estimates
from ragwright.eval.values import Outcome, Run

Values = Mapping[str, Mapping[str, float]]
"""Value by measure and question id."""

# The measures that say most about a run, in the order in which they are asked first.
_LEADING = (
    "iou",
    "recall",
    "nDCG@10",
    "citation_recall",
    "token_f1",
    "quote_fidelity",
    "answered_unanswerable",
    "faithfulness",
    "chunk_iou",
    "chunk_recall",
    "R@10",
    "RR@10",
    "compat_iou",
    "compat_recall",
)
_CERTAIN = 0.05


@dataclass(frozen=True, slots=True)
class Facts:
    """A run with its aggregates.

    Attributes:
        run: What is reported.
        baseline: What it is compared with.
        gate: What was required of it.
        estimates: By measure, in the order of the rows.
        comparison: With the baseline; perturbed measures are left out.
        values: Of the run.
        baseline_values: Of the baseline; empty without one.
        leading: The measures shown first, best known first; at most four.
    """

    run: Run
    baseline: Run | None
    gate: GateResult | None
    estimates: Mapping[str, Estimate]
    comparison: Comparison | None
    values: Values
    baseline_values: Values
    leading: tuple[str, ...]

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """The run's outcomes, in the data set's order."""
        return self.run.outcomes

    @property
    def main(self) -> str | None:
        """The measure that decides which questions count as failed or changed."""
        return self.leading[0] if self.leading else None

    def difference(self, measure: str) -> Difference | None:
        """How the run differs from the baseline in one measure."""
        differences = self.comparison.differences if self.comparison else ()
        return next((each for each in differences if each.measure == measure), None)

    def manifest(self, key: str) -> Mapping[str, Any]:
        """A part of the manifest; empty where there is none."""
        part = self.run.manifest.get(key)
        return part if isinstance(part, Mapping) else {}


def gather(run: Run, *, baseline: Run | None, gate: GateResult | None) -> Facts:
    """Compute what the report shows of a run.

    Raises:
        InputError: Run and baseline cannot be compared.
    """
    values = by_measure(run.rows)
    plain = [measure for measure in values if PERTURBED not in measure]
    shared = by_measure(baseline.rows) if baseline else {}
    either = [*plain, *(measure for measure in shared if PERTURBED not in measure)]
    comparison = compare(run, baseline, measures=either) if baseline else None
    return Facts(
        run=run,
        baseline=baseline,
        gate=gate,
        estimates=estimates(run.rows),
        comparison=comparison,
        values=values,
        baseline_values=shared,
        leading=_leading(plain),
    )


def _leading(measures: list[str]) -> tuple[str, ...]:
    known = [measure for measure in _LEADING if measure in measures]
    return tuple((known or measures)[:4])


def is_certain(difference: Difference) -> bool:
    """Whether the paired test, adjusted for the number of measures, finds a difference at 5 %."""
    return difference.p_adjusted < _CERTAIN
