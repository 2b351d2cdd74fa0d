"""Two runs are compared question by question, and only when they can be."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragwright.core.errors import InputError
from ragwright.core.types import Question
from ragwright.eval.compare import Change, changes, compare
from ragwright.eval.statistics import holm, randomisation_test
from ragwright.eval.values import Outcome, Row, Run


def _run(
    values: Mapping[str, Mapping[str, float]],
    *,
    name: str = "new",
    digest: str = "d1",
    units: str = "characters",
    **facts: Any,
) -> Run:
    """A run with these values by measure and question."""
    dataset = {"name": "wells", "digest": digest, **facts.pop("dataset", {})}
    manifest: dict[str, Any] = {"name": name, "dataset": dataset, "units": units, **facts}
    ids = dict.fromkeys(question_id for by_question in values.values() for question_id in by_question)
    return Run(
        manifest,
        tuple(Outcome(Question(question_id, "Which?")) for question_id in ids),
        tuple(Row(q, measure, value) for measure, by in values.items() for q, value in by.items()),
    )


OLD = {"iou": {"a": 0.5, "b": 0.25, "c": 1.0, "d": 0.0}, "answered_unanswerable": {"x": 0.0, "y": 1.0}}
NEW = {"iou": {"a": 0.75, "b": 0.25, "c": 0.5, "d": 0.5}, "answered_unanswerable": {"x": 1.0, "y": 1.0}}


def test_differences_are_those_of_the_pairs() -> None:
    seen = compare(_run(NEW), _run(OLD, name="old"))
    iou = seen.differences[0]
    assert (seen.run, seen.baseline) == ("new", "old")
    assert (iou.measure, iou.value, iou.baseline, iou.difference, iou.n) == ("iou", 0.5, 0.4375, 0.0625, 4)
    assert (iou.wins, iou.losses, iou.unchanged, iou.unpaired) == (2, 1, 1, 0)
    assert -0.5 <= iou.low < 0.0625 < iou.high <= 0.5
    assert iou.p == randomisation_test([0.75, 0.25, 0.5, 0.5], [0.5, 0.25, 1.0, 0.0])
    assert [each.p_adjusted for each in seen.differences] == holm([each.p for each in seen.differences])


def test_a_win_is_a_win_in_the_measures_own_direction() -> None:
    worse = compare(_run(NEW), _run(OLD)).differences[1]
    assert (worse.measure, worse.difference) == ("answered_unanswerable", 0.5)
    assert (worse.wins, worse.losses, worse.unchanged) == (0, 1, 1)


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.text("abcdef", min_size=1), st.floats(0.0, 1.0), min_size=1, max_size=30))
def test_a_run_differs_from_itself_by_exactly_nothing(values: dict[str, float]) -> None:
    seen = compare(_run({"iou": values}), _run({"iou": values})).differences[0]
    assert (seen.difference, seen.low, seen.high, seen.p, seen.p_adjusted) == (0.0, 0.0, 0.0, 1.0, 1.0)
    assert (seen.wins, seen.losses, seen.unchanged) == (0, 0, len(values))


def test_the_order_of_the_rows_does_not_matter() -> None:
    run = _run(NEW)
    turned = Run(run.manifest, run.outcomes[::-1], run.rows[::-1])
    chosen = ["iou", "answered_unanswerable"]
    assert compare(turned, _run(OLD), measures=chosen) == compare(run, _run(OLD), measures=chosen)


def test_questions_of_one_run_only_are_listed_and_not_counted() -> None:
    new = _run({"iou": {"a": 1.0, "b": 1.0, "z": 0.0}})
    seen = compare(new, _run({"iou": {"b": 0.0, "a": 0.0, "c": 1.0, "d": 1.0}}))
    assert (seen.only_in_run, seen.only_in_baseline) == (("z",), ("c", "d"))
    iou = seen.differences[0]
    assert (iou.n, iou.value, iou.baseline, iou.unpaired, iou.missing) == (2, 1.0, 0.0, 3, 2)


def test_a_measure_that_cannot_be_compared_is_named_with_its_reason() -> None:
    new = _run({"iou": {"a": 1.0}, "recall": {"a": 1.0}, "token_f1": {"a": 1.0}, "speed": {"a": 3.0}})
    old = _run({"iou": {"a": 1.0}, "rouge_l": {"a": 1.0}, "token_f1": {"b": 1.0}, "speed": {"a": 2.0}})
    seen = compare(new, old)
    assert [each.measure for each in seen.differences] == ["iou"]
    assert seen.left_out == {
        "recall": "only the run has it",
        "token_f1": "no question has it in both runs",
        "speed": "no measure of this name is known, so neither direction is better",
        "rouge_l": "only the baseline has it",
    }


def test_holm_counts_only_the_measures_that_were_asked_for() -> None:
    every = compare(_run(NEW), _run(OLD)).differences
    alone = compare(_run(NEW), _run(OLD), measures=["iou"]).differences
    assert len(every) == 2
    assert [each.p_adjusted for each in alone] == [every[0].p]


def test_measures_that_differ_alike_on_the_same_questions_are_one_hypothesis() -> None:
    plain = compare(_run(NEW), _run(OLD))
    twice = compare(
        _run({**NEW, "iou_penalised": {each: value - 0.25 for each, value in NEW["iou"].items()}}),
        _run({**OLD, "iou_penalised": {each: value - 0.25 for each, value in OLD["iou"].items()}}),
    )
    assert {each.measure: each.p_adjusted for each in twice.differences} == {
        **{each.measure: each.p_adjusted for each in plain.differences},
        "iou_penalised": plain.differences[0].p_adjusted,
    }


def test_equal_differences_on_other_questions_are_another_hypothesis() -> None:
    new = _run({"iou": {"a": 1.0, "b": 1.0}, "recall": {"a": 1.0, "c": 1.0}})
    old = _run({"iou": {"a": 0.0, "b": 0.0}, "recall": {"a": 0.0, "c": 0.0}})
    assert [(each.p, each.p_adjusted) for each in compare(new, old).differences] == [(0.5, 1.0)] * 2


ASKED = {"published": 5, "perturbations": ["typos"], "answers": True, "seed": 0}
PERTURBED = {"iou": {"a": 1.0}, "iou~typos": {"a": 1.0}, "compat_iou": {"a": 1.0}, "faithfulness": {"a": 1.0}}


@pytest.mark.parametrize(
    ("facts", "left_out"),
    [
        ({"request": {**ASKED, "answers": False, "perturbations": []}}, {}),
        (
            {"request": {**ASKED, "published": 10}},
            {"compat_iou": "it was measured over the first 10 chunks in the run, 5 in the baseline"},
        ),
        (
            {"request": {**ASKED, "seed": 7}},
            {"iou~typos": "its questions were perturbed with seed 7 in the run, 0 in the baseline"},
        ),
        (
            {"config": {"judge.model": "small"}},
            {"faithfulness": "it was judged by small in the run, large in the baseline"},
        ),
        ({"request": {}, "config": {}}, {}),
    ],
)
def test_what_was_not_measured_alike_is_left_out_with_its_reason(
    facts: dict[str, Any], left_out: dict[str, str]
) -> None:
    old = _run(PERTURBED, name="old", request=ASKED, config={"judge.model": "large"})
    new = _run(PERTURBED, **facts)
    seen = compare(new, old)
    assert seen.left_out == left_out
    assert {each.measure for each in seen.differences} == PERTURBED.keys() - left_out.keys()
    for measure, reason in left_out.items():
        with pytest.raises(InputError, match=f"{measure} of 'new' and 'old' cannot be compared: {reason}"):
            changes(new, old, measure)


def test_runs_of_before_requests_were_recorded_are_compared_on_everything() -> None:
    assert compare(_run(PERTURBED), _run(PERTURBED, request=ASKED)).left_out == {}


def test_a_note_says_when_other_documents_were_searched() -> None:
    def notes(mine: dict[str, str], theirs: dict[str, str]) -> tuple[str, ...]:
        return compare(_run(NEW, dataset=mine), _run(OLD, dataset=theirs)).notes

    first, second = {"documents_digest": "e1"}, {"documents_digest": "e2"}
    assert notes(first, second) == ("the runs searched different documents",)
    assert notes(first, first) == notes(first, {}) == notes({}, {}) == ()


def test_a_measure_of_neither_run_is_an_error_that_says_what_there_is() -> None:
    with pytest.raises(InputError, match=r"'recall'; computed were iou, answered_unanswerable"):
        compare(_run(NEW), _run(OLD), measures=["recall"])


def test_runs_of_two_data_sets_are_not_compared() -> None:
    with pytest.raises(InputError, match=r"'new' .*'wells' \(digest d1\), baseline 'old' .*\(digest d2\)"):
        compare(_run(NEW), _run(OLD, name="old", digest="d2"))
    with pytest.raises(InputError, match="no digest of its data set"):
        changes(_run(NEW, digest=""), _run(OLD), "iou")


def test_overlap_in_other_units_is_not_compared_but_answers_are() -> None:
    old = _run(OLD, units="tokens of all-MiniLM-L6-v2")
    with pytest.raises(InputError, match=r"in characters, baseline 'new' in tokens of .*; iou need"):
        compare(_run(NEW), old)
    assert len(compare(_run(NEW), old, measures=["answered_unanswerable"]).differences) == 1


def test_a_value_that_is_no_number_is_neither_a_win_nor_a_loss_and_shows() -> None:
    new = _run({"iou": {"a": math.nan, "b": 1.0}})
    seen = compare(new, _run({"iou": {"a": 0.5, "b": 0.5}})).differences[0]
    assert (seen.wins, seen.losses, seen.unchanged, seen.n) == (1, 0, 0, 2)
    assert math.isnan(seen.difference)
    assert math.isnan(seen.p_adjusted)


def test_changes_come_largest_first_in_both_directions() -> None:
    assert changes(_run(NEW), _run(OLD), "iou") == [
        Change("c", 0.5, 1.0, -0.5),
        Change("d", 0.5, 0.0, 0.5),
        Change("a", 0.75, 0.5, 0.25),
    ]
    assert changes(_run(NEW), _run(NEW), "iou") == []
    with pytest.raises(InputError, match="run 'new' has no values of 'recall'"):
        changes(_run(NEW), _run(OLD), "recall")


@pytest.mark.slow
def test_five_hundred_questions_and_thirty_measures_are_compared_in_seconds() -> None:
    generator = np.random.default_rng(0)
    names = [f"nDCG@{depth}" for depth in range(1, 31)]
    runs = [
        _run({name: {f"q{n}": float(v) for n, v in enumerate(generator.random(500))} for name in names})
        for _ in range(2)
    ]
    started = time.perf_counter()
    seen = compare(*runs)
    assert len(seen.differences) == 30
    assert time.perf_counter() - started < 10.0  # about one second on an idle core
