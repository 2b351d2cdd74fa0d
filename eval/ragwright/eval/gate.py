"""Requirements on a run: what may get worse, by how much, and what must be reached.

iou>=-0.01                  against a baseline: IoU may fall by one point at most
refused_answerable<=0.02    against a baseline: two more refusals in a hundred are allowed
nDCG@10>=0.35               as a floor: the value itself
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from ragwright.core.errors import InputError
from ragwright.eval.compare import Comparison, Difference, name_of
from ragwright.eval.measures import MEASURES, PERTURBED, measure_of
from ragwright.eval.statistics import Estimate, by_measure, estimate
from ragwright.eval.values import Run

Relation = Literal[">=", "<=", ">", "<"]

_FORM = re.compile(
    r"\s*([^\s<>=]+)\s*(>=|<=|>|<)\s*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*"
)
_OF_ANSWERS_GIVEN = ("quote_fidelity", "citation_precision")  # and the judged ones: no answer, no value
_RANKING_EXAMPLES = ("nDCG@10", "RR@10", "AP@100", "R@5", "R@10", "P@5", "Judged@10")
_ROUNDING = 1e-9  # 0.49 - 0.5 is a little below -0.01; it must pass `>=-0.01` all the same


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a measure, or its difference to a baseline, must be."""

    measure: str
    relation: Relation
    bound: float

    def __str__(self) -> str:
        """As it is written, such as `iou>=-0.01`."""
        return f"{self.measure}{self.relation}{self.bound:g}"

    def met_by(self, seen: float) -> bool:
        """Whether a number fulfils it; NaN never does, and differences below 1e-9 are rounding."""
        if math.isnan(seen):
            return False
        if abs(seen - self.bound) <= _ROUNDING:
            return self.relation in (">=", "<=")
        return (seen > self.bound) == (self.relation in (">=", ">"))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one requirement.

    Attributes:
        requirement: What was wanted.
        seen: The difference to the baseline, or the value itself.
        passed: Whether it is fulfilled.
        kind: Which of the two `seen` is.
        low: Lower end of the 95 % interval of `seen`; None if unknown.
        high: Its upper end.
        n: Number of questions it rests on.
        unpaired: Questions left out because only one of the runs has a value.
        missing: Questions that must have a value, as the baseline has one, and lack it: the verdict fails.
        sure: Whether the whole interval had to fulfil it.
    """

    requirement: Requirement
    seen: float
    passed: bool
    kind: Literal["difference", "value"] = "difference"
    low: float | None = None
    high: float | None = None
    n: int = 0
    unpaired: int = 0
    missing: int = 0
    sure: bool = False

    def sentence(self) -> str:
        """The verdict for people.

        >>> Verdict(Requirement("iou", ">=", -0.01), -0.03, False, low=-0.05, high=-0.01, n=472).sentence()
        'failed: iou changed by -0.0300 (95 % interval -0.0500 to -0.0100, 472 questions), wanted >= -0.01'
        """
        if self.missing:
            questions = _questions(self.missing)
            return f"failed: {self.requirement.measure} is missing for {questions} that the baseline has"
        verdict = "passed" if self.passed else "failed"
        verb = "changed by" if self.kind == "difference" else "is"
        whole = " with the whole interval" if self.sure else ""
        wanted = f"wanted {self.requirement.relation} {self.requirement.bound:g}{whole}"
        return f"{verdict}: {self.requirement.measure} {verb} {self._seen()} ({self._basis()}), {wanted}"

    def _seen(self) -> str:
        rounded = self._number(self.seen)
        if math.isnan(self.seen) or self.sure:
            return rounded
        # Rounding must not make a failed value look as if it had met the bound, or the other way round.
        return rounded if self.requirement.met_by(float(rounded)) == self.passed else repr(self.seen)

    def _basis(self) -> str:
        parts = [_questions(self.n)]
        if self.low is not None and self.high is not None:
            parts.insert(0, f"95 % interval {self._number(self.low)} to {self._number(self.high)}")
        if self.unpaired:
            parts.append(f"{self.unpaired} left out that only one run has")
        return ", ".join(parts)

    def _number(self, value: float) -> str:
        if math.isnan(value):
            return "not a number"
        return f"{value:+.4f}" if self.kind == "difference" else f"{value:.4f}"


@dataclass(frozen=True, slots=True)
class GateResult:
    """The verdicts in the order of their requirements."""

    verdicts: tuple[Verdict, ...]

    @property
    def passed(self) -> bool:
        """Whether every requirement is fulfilled; without any there is nothing to pass."""
        return bool(self.verdicts) and all(verdict.passed for verdict in self.verdicts)

    def sentences(self) -> list[str]:
        """One for each verdict: what was seen, on how many questions, how sure, and what was wanted."""
        return [verdict.sentence() for verdict in self.verdicts]


def parse_requirement(text: str) -> Requirement:
    """Read a requirement such as `iou>=-0.01`; white space around its parts is allowed.

    Raises:
        InputError: It has another form, names an unknown measure, or its bound is beyond -1 and 1.

    >>> parse_requirement("refused_answerable <= 0.02")
    Requirement(measure='refused_answerable', relation='<=', bound=0.02)
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise InputError(
            f"requirement {text!r} cannot be read; wanted is a measure, one of >= <= > <, and a number, such "
            "as 'iou>=-0.01' or 'refused_answerable<=0.02'"
        )
    measure, bound = found[1], float(found[3])
    if measure_of(measure) is None:
        raise InputError(f"requirement {text!r} names the unknown measure {measure!r}; {_possible(measure)}")
    if not -1.0 <= bound <= 1.0:
        raise InputError(
            f"requirement {text!r} has the bound {bound:g}, but every measure lies between 0 and 1: write "
            "0.01 for one point"
        )
    return Requirement(measure, cast(Relation, found[2]), bound)


def check_side(requirement: Requirement) -> None:
    """Refuse a requirement that only stops improvements: it would pass whatever gets worse.

    Raises:
        InputError: It is one.
    """
    known = measure_of(requirement.measure)
    better = "higher" if known is None else known.better
    if requirement.relation.startswith(">") != (better == "higher"):
        right = ">=" if better == "higher" else "<="
        raise InputError(
            f"the rule {requirement} lets {requirement.measure} get worse without end: {better} is better, "
            f"so write {right}"
        )


def check_gate(
    comparison: Comparison, requirements: Sequence[Requirement], *, sure: bool = False
) -> GateResult:
    """Hold the differences to the baseline against requirements.

    A measure that every question of its kind has fails where the run lacks a value that the baseline has:
    questions must not pass by vanishing. Quote fidelity, citation precision and the judged measures exist
    for answers that were given only and rest on the questions that both runs have.

    Args:
        comparison: The differences.
        requirements: Bounds on them.
        sure: Whether the 95 % interval must fulfil them as a whole, not only the mean: the end of it that is
            nearer to the bound decides.

    Raises:
        InputError: There are no requirements, or one is on a measure that was not compared.
    """
    _require_some(requirements)
    differences = {each.measure: each for each in comparison.differences}
    for requirement in requirements:
        if requirement.measure not in differences:
            raise InputError(_not_compared(requirement, comparison))
    return GateResult(
        tuple(_against_baseline(each, differences[each.measure], sure=sure) for each in requirements)
    )


def check_floors(run: Run, requirements: Sequence[Requirement], *, seed: int = 0) -> GateResult:
    """Hold the means of a run against requirements.

    Args:
        run: The run.
        requirements: Bounds on the values themselves.
        seed: Of the bootstrap intervals that the sentences show.

    Raises:
        InputError: There are no requirements, or one is on a measure that was not computed.
    """
    _require_some(requirements)
    values = by_measure(run.rows)
    for requirement in requirements:
        if requirement.measure not in values:
            raise InputError(
                f"requirement '{requirement}': run {name_of(run)!r} has no values of {requirement.measure}; "
                + _computed(values)
            )
    return GateResult(
        tuple(
            _by_itself(each, estimate(list(values[each.measure].values()), measure=each.measure, seed=seed))
            for each in requirements
        )
    )


def _against_baseline(requirement: Requirement, seen: Difference, *, sure: bool) -> Verdict:
    missing = 0 if _may_be_absent(seen.measure) else seen.missing
    numbers = (seen.difference, seen.low, seen.high) if sure else (seen.difference,)
    return Verdict(
        requirement,
        seen.difference,
        all(map(requirement.met_by, numbers)) and not missing,
        kind="difference",
        low=seen.low,
        high=seen.high,
        n=seen.n,
        unpaired=seen.unpaired,
        missing=missing,
        sure=sure,
    )


def _may_be_absent(measure: str) -> bool:
    """Whether a question may lack a value though nothing is wrong with the run."""
    known = measure_of(measure)
    judged = known is not None and known.group == "judged"
    return judged or measure.partition(PERTURBED)[0] in _OF_ANSWERS_GIVEN


def _questions(count: int) -> str:
    return f"{count} question{'' if count == 1 else 's'}"


def _by_itself(requirement: Requirement, seen: Estimate) -> Verdict:
    passed = requirement.met_by(seen.mean)
    return Verdict(requirement, seen.mean, passed, kind="value", low=seen.low, high=seen.high, n=seen.n)


def _require_some(requirements: Sequence[Requirement]) -> None:
    if not requirements:
        raise InputError("no requirement was given, so nothing could fail; add one, such as 'iou>=-0.01'")


def _not_compared(requirement: Requirement, comparison: Comparison) -> str:
    reason = comparison.left_out.get(requirement.measure, "neither run was asked for it")
    return (
        f"requirement '{requirement}': {requirement.measure} was not compared between {comparison.run!r} and "
        f"{comparison.baseline!r}: {reason}; " + _computed(each.measure for each in comparison.differences)
    )


def _computed(measures: Iterable[str]) -> str:
    names = ", ".join(measures)
    return f"require one of {names}, or compute it" if names else "no measure was computed"


def _possible(measure: str) -> str:
    """What could have been meant by an unknown name."""
    plain, mark, perturbation = measure.partition(PERTURBED)
    by_lower = {name.lower(): name for name in (*MEASURES, *_RANKING_EXAMPLES)}
    near = difflib.get_close_matches(plain.lower(), by_lower, n=1, cutoff=0.6)
    meant = f"did you mean {by_lower[near[0]]}{mark}{perturbation}? " if near else ""
    return f"{meant}known are {', '.join((*MEASURES, *_RANKING_EXAMPLES))} (ranking measures with any depth)"
