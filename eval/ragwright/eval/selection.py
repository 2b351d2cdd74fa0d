"""Choosing among configurations: on some questions, told on others.

A configuration that was chosen on questions looks better on them than it is. So documents are parted, the
choice is made on one part, and what it is worth is told on the other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragwright.core.errors import InputError
from ragwright.eval.gate import Requirement
from ragwright.eval.measures import measure_of


@dataclass(frozen=True, slots=True)
class Candidate:
    """A configuration and what it reached.

    Attributes:
        settings: The settings that were varied, by dotted key.
        values: Measure, then question id, to value.
        seconds: What asking took for each question, on average.
    """

    settings: Mapping[str, Any]
    values: Mapping[str, Mapping[str, float]]
    seconds: float

    def mean(self, measure: str, questions: Collection[str]) -> float:
        """Mean of a measure over those of the questions that have it.

        Raises:
            InputError: None of them has it.
        """
        known = self.values.get(measure, {})
        found = [known[each] for each in sorted(questions) if each in known]
        if not found:
            has = ", ".join(sorted(self.values)) or "none"
            raise InputError(f"no question has a value of {measure}; measures with values: {has}")
        return sum(found) / len(found)

    def meets(self, rules: Sequence[Requirement], questions: Collection[str]) -> bool:
        """Whether every rule holds over the questions."""
        return all(rule.met_by(self.mean(rule.measure, questions)) for rule in rules)


def choose(
    candidates: Sequence[Candidate],
    *,
    objective: str,
    rules: Sequence[Requirement],
    questions: Collection[str],
) -> Candidate | None:
    """The best candidate that keeps the rules, or None when none does.

    Args:
        candidates: The first of equals wins.
        objective: The measure to make best, in its own direction.
        rules: Bounds on means, such as `recall>=0.75`.
        questions: Those that the choice may look at.

    Raises:
        InputError: A measure has no values.
    """
    known = measure_of(objective)
    sign = -1.0 if known is not None and known.better == "lower" else 1.0
    allowed = [each for each in candidates if each.meets(rules, questions)]
    return max(allowed, key=lambda each: sign * each.mean(objective, questions), default=None)
