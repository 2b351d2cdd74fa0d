"""Two runs on the same questions: what changed, by how much, and whether luck explains it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ragwright.core.errors import InputError
from ragwright.eval.measures import PERTURBED, measure_of
from ragwright.eval.statistics import Values, by_measure, estimate, holm, randomisation_test
from ragwright.eval.values import Run

_IN_UNITS = ("evidence", "chunks")  # groups of measures that count characters or tokens

Table = Mapping[str, Mapping[str, float]]  # measure -> question id -> value


@dataclass(frozen=True, slots=True)
class Difference:
    """How one measure differs between two runs, over the questions that have it in both.

    Attributes:
        measure: Its name.
        value: Mean of the run over these questions.
        baseline: Mean of the baseline over the same questions.
        difference: Mean of value minus baseline; exactly 0 for equal values.
        low: Lower end of the 95 % bootstrap interval of the difference.
        high: Its upper end.
        p: Two-sided p value of the paired randomisation test.
        p_adjusted: p after Holm's correction over all measures compared with it; measures that differ alike
            on the same questions count as one.
        n: Number of questions.
        wins: Questions on which the run is better, in the measure's own direction.
        losses: Questions on which it is worse.
        unchanged: Questions with equal values; one with a NaN counts in none of the three.
        unpaired: Questions left out because only one of the runs has a value.
        missing: Those of them that only the baseline has a value for.
    """

    measure: str
    value: float
    baseline: float
    difference: float
    low: float
    high: float
    p: float
    p_adjusted: float
    n: int
    wins: int
    losses: int
    unchanged: int
    unpaired: int = 0
    missing: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """A run against its baseline.

    Attributes:
        run: Name of the run.
        baseline: Name of the baseline.
        differences: One for each measure that both have, in the order asked for, else in the run's order.
        only_in_run: Ids of the questions that the baseline does not have, sorted.
        only_in_baseline: Ids of the questions that the run does not have, sorted.
        left_out: Why a measure of either run is not among the differences, by its name.
        notes: What else makes the runs unlike, a sentence each.
    """

    run: str
    baseline: str
    differences: tuple[Difference, ...]
    only_in_run: tuple[str, ...] = ()
    only_in_baseline: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """A question whose value differs between two runs; `difference` is value minus baseline."""

    question_id: str
    value: float
    baseline: float
    difference: float


def compare(run: Run, baseline: Run, *, measures: Sequence[str] | None = None, seed: int = 0) -> Comparison:
    """Pair two runs by question and test every measure that both have and measured alike.

    Args:
        run: The run in question.
        baseline: What it is held against.
        measures: Which measures, in this order; Holm's correction counts these alone. None: all.
        seed: Of the bootstrap and of the randomisation test.

    Raises:
        InputError: The runs are of different data sets, or count overlap in different units, or neither has a
            measure that was asked for.
    """
    values, others = by_measure(run.rows), by_measure(baseline.rows)
    wanted = list(dict.fromkeys(measures if measures is not None else [*values, *others]))
    _require_same_dataset(run, baseline)
    _require_computed(wanted, values, others)
    reasons = {
        name: _why_left_out(name, values, others) or _measured_otherwise(name, run, baseline)
        for name in wanted
    }
    left_out = {name: why for name, why in reasons.items() if why}
    common = [name for name in wanted if name not in left_out]
    _require_same_units(run, baseline, common)
    tested = [_difference(name, values[name], others[name], seed=seed) for name in common]
    hypotheses = [_hypothesis(values[name], others[name]) for name in common]
    ids, other_ids = _question_ids(run), _question_ids(baseline)
    return Comparison(
        run=name_of(run),
        baseline=name_of(baseline),
        differences=_corrected(tested, hypotheses),
        only_in_run=tuple(sorted(ids - other_ids)),
        only_in_baseline=tuple(sorted(other_ids - ids)),
        left_out=left_out,
        notes=_notes(run, baseline),
    )


def changes(run: Run, baseline: Run, measure: str) -> list[Change]:
    """The questions whose value of a measure differs, in either direction, the largest change first.

    Returns:
        Sorted by absolute difference, then by question id; questions with a value in one run only or with a
        NaN are left out.

    Raises:
        InputError: The runs cannot be compared, or one of them has no values of the measure.
    """
    values, others = by_measure(run.rows), by_measure(baseline.rows)
    _require_same_dataset(run, baseline)
    for each, table in ((run, values), (baseline, others)):
        if measure not in table:
            raise InputError(f"run {name_of(each)!r} has no values of {measure!r}; {_has(table)}")
    _require_same_units(run, baseline, [measure])
    if why := _measured_otherwise(measure, run, baseline):
        raise InputError(f"{measure} of {name_of(run)!r} and {name_of(baseline)!r} cannot be compared: {why}")
    old = others[measure]
    found = [
        Change(question_id, value, old[question_id], value - old[question_id])
        for question_id, value in values[measure].items()
        if question_id in old
    ]
    changed = [change for change in found if abs(change.difference) > 0.0]
    return sorted(changed, key=lambda change: (-abs(change.difference), change.question_id))


def name_of(run: Run) -> str:
    """The name in a run's manifest, or "unnamed"."""
    return str(run.manifest.get("name") or "unnamed")


def _difference(
    measure: str, values: Mapping[str, float], baseline: Mapping[str, float], *, seed: int
) -> Difference:
    """Test one measure; `p_adjusted` is still the raw p value."""
    paired = [question_id for question_id in values if question_id in baseline]
    mine: Values = np.array([values[question_id] for question_id in paired])
    theirs: Values = np.array([baseline[question_id] for question_id in paired])
    change = estimate(mine - theirs, measure=measure, seed=seed)
    gains = (theirs - mine) if _lower_is_better(measure) else (mine - theirs)
    p = randomisation_test(mine, theirs, seed=seed)
    return Difference(
        measure=measure,
        value=float(mine.mean()),
        baseline=float(theirs.mean()),
        difference=change.mean,
        low=change.low,
        high=change.high,
        p=p,
        p_adjusted=p,
        n=len(paired),
        wins=int(np.count_nonzero(gains > 0.0)),
        losses=int(np.count_nonzero(gains < 0.0)),
        unchanged=int(np.count_nonzero(gains == 0.0)),
        unpaired=len(values) + len(baseline) - 2 * len(paired),
        missing=len(baseline) - len(paired),
    )


def _hypothesis(values: Mapping[str, float], baseline: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    """What one measure's test rests on: each question in both runs with its difference."""
    return tuple((each, value - baseline[each]) for each, value in values.items() if each in baseline)


def _corrected(
    tested: Sequence[Difference], hypotheses: Sequence[tuple[tuple[str, float], ...]]
) -> tuple[Difference, ...]:
    """The same with `p_adjusted`, equal hypotheses counted once.

    Equal differences stay equal under every pattern of signs: such measures (precision, and precision with a
    penalty where nothing was found twice) are rejected together or not at all.
    """
    raw = {key: each.p for key, each in zip(hypotheses, tested, strict=True)}
    adjusted = dict(zip(raw, holm(list(raw.values())), strict=True))
    pairs = zip(tested, hypotheses, strict=True)
    return tuple(replace(each, p_adjusted=adjusted[key]) for each, key in pairs)


def _lower_is_better(measure: str) -> bool:
    known = measure_of(measure)
    return known is not None and known.better == "lower"


def _why_left_out(measure: str, values: Table, others: Table) -> str:
    """Why a measure cannot be compared, or ""."""
    if measure not in others:
        return "only the run has it"
    if measure not in values:
        return "only the baseline has it"
    if measure_of(measure) is None:
        return "no measure of this name is known, so neither direction is better"
    if values[measure].keys().isdisjoint(others[measure]):
        return "no question has it in both runs"
    return ""


def _measured_otherwise(measure: str, run: Run, baseline: Run) -> str:
    """Why the runs' values of a measure do not mean the same, or ""; what one does not record is not held."""
    known = measure_of(measure)
    group = known.group if known else ""
    ways = (
        (group == "published", "request", "published", "it was measured over the first {} chunks"),
        (group == "judged", "config", "judge.model", "it was judged by {}"),
        (PERTURBED in measure, "request", "seed", "its questions were perturbed with seed {}"),
    )
    for concerned, part, key, words in ways:
        if concerned and (unlike := _unlike(run, baseline, part=part, key=key)):
            return f"{words.format(unlike[0])} in the run, {unlike[1]} in the baseline"
    return ""


def _notes(run: Run, baseline: Run) -> tuple[str, ...]:
    moved = _unlike(run, baseline, part="dataset", key="documents_digest")
    return ("the runs searched different documents",) if moved else ()


def _unlike(run: Run, baseline: Run, *, part: str, key: str) -> tuple[Any, Any] | None:
    """What the two manifests say, if both say something and not the same."""
    mine, theirs = ((each.manifest.get(part) or {}).get(key) for each in (run, baseline))
    recorded = mine not in (None, "") and theirs not in (None, "")
    return (mine, theirs) if recorded and mine != theirs else None


def _question_ids(run: Run) -> set[str]:
    return {outcome.question.id for outcome in run.outcomes} | {row.question_id for row in run.rows}


def _require_same_dataset(run: Run, baseline: Run) -> None:
    mine, theirs = _dataset(run), _dataset(baseline)
    if mine[1] != theirs[1]:
        raise InputError(
            f"run {name_of(run)!r} was made on data set {mine[0]!r} (digest {mine[1][:12]}), baseline "
            f"{name_of(baseline)!r} on {theirs[0]!r} (digest {theirs[1][:12]}); only runs of one data set "
            "can be compared: run the baseline again on this one"
        )


def _dataset(run: Run) -> tuple[str, str]:
    """Name and digest of the data set a run was made on."""
    facts = run.manifest.get("dataset") or {}
    if not facts.get("digest"):
        raise InputError(
            f"the manifest of run {name_of(run)!r} has no digest of its data set, so nobody can tell whether "
            "the questions are the same: make the run again with `ragwright eval run`"
        )
    return str(facts.get("name") or "unnamed"), str(facts["digest"])


def _require_same_units(run: Run, baseline: Run, measures: Iterable[str]) -> None:
    mine, theirs = run.manifest.get("units"), baseline.manifest.get("units")
    known = (measure_of(name) for name in measures)
    counted = [each.name for each in known if each is not None and each.group in _IN_UNITS]
    if mine != theirs and counted:
        raise InputError(
            f"run {name_of(run)!r} counts overlap in {mine or 'unnamed units'}, baseline "
            f"{name_of(baseline)!r} in {theirs or 'unnamed units'}; {', '.join(counted)} need the same in "
            "both: run one of them again, or compare other measures"
        )


def _require_computed(wanted: Iterable[str], values: Table, others: Table) -> None:
    for name in wanted:
        if name not in values and name not in others:
            raise InputError(f"neither run has values of {name!r}; {_has({**values, **others})}")


def _has(table: Table) -> str:
    return f"computed were {', '.join(table)}" if table else "nothing was computed"
