"""The gate lets through what is required, says why, and never passes what it did not see."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwright.core.errors import InputError
from ragwright.eval.compare import compare
from ragwright.eval.gate import (
    GateResult,
    Requirement,
    Verdict,
    check_floors,
    check_gate,
    check_side,
    parse_requirement,
)
from ragwright.eval.values import Row, Run

MANIFEST = {"name": "new", "dataset": {"name": "wells", "digest": "d1"}, "units": "characters"}


def _run(measure: str, *values: float) -> Run:
    return Run(MANIFEST, (), tuple(Row(f"q{n}", measure, value) for n, value in enumerate(values)))


def _gate(requirement: str, values: list[float], baseline: list[float]) -> GateResult:
    measure = parse_requirement(requirement).measure
    seen = compare(_run(measure, *values), _run(measure, *baseline))
    return check_gate(seen, [parse_requirement(requirement)])


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("iou>=-0.01", Requirement("iou", ">=", -0.01)),
        ("  refused_answerable <= 0.02 ", Requirement("refused_answerable", "<=", 0.02)),
        ("nDCG@10>=0", Requirement("nDCG@10", ">=", 0.0)),
        ("recall~typos > -.5", Requirement("recall~typos", ">", -0.5)),
        ("P@5<1e-2", Requirement("P@5", "<", 0.01)),
        ("iou>=+1.", Requirement("iou", ">=", 1.0)),
    ],
)
def test_requirements_are_read_with_or_without_white_space(text: str, wanted: Requirement) -> None:
    assert parse_requirement(text) == wanted
    assert parse_requirement(str(wanted)) == wanted


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("iou", "cannot be read; wanted is a measure, one of >= <= > <"),
        ("iou=0.5", "cannot be read"),
        ("iou>=nan", "cannot be read"),
        ("iou>=0.1>=0.2", "cannot be read"),
        ("", "cannot be read"),
        ("IoU>=0", r"unknown measure 'IoU'; did you mean iou\?"),
        ("ndcg@10>=0", r"did you mean nDCG@10\?"),
        ("recal~typos>=0", r"did you mean recall~typos\?"),
        ("speed>=0", "known are recall, precision"),
        ("iou>=-5", "bound -5, but every measure lies between 0 and 1"),
        ("iou<=1e999", "bound inf"),
    ],
)
def test_what_cannot_be_required_is_an_error_that_says_what_can(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        parse_requirement(text)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20))
def test_an_unchanged_run_passes_a_gate_without_any_slack(values: list[float]) -> None:
    assert _gate("iou>=0", values, values).passed
    assert _gate("iou<=0", values, values).passed
    assert not _gate("iou>0", values, values).passed


def test_a_worse_run_is_refused_and_a_slightly_worse_one_passes_with_slack() -> None:
    assert not _gate("iou>=-0.01", [0.4, 0.3], [0.5, 0.5]).passed
    assert _gate("iou>=-0.01", [0.495, 0.5], [0.5, 0.5]).passed


def test_rounding_does_not_decide_at_the_bound() -> None:
    assert 0.49 - 0.5 < -0.01
    assert _gate("iou>=-0.01", [0.49], [0.5]).passed
    assert not _gate("iou>-0.01", [0.49], [0.5]).passed


def test_a_requirement_on_the_difference_takes_the_sign_as_it_is() -> None:
    """`refused_answerable<=0.02` allows two more refusals in a hundred, no matter how many there were."""
    assert _gate("refused_answerable<=0.02", [1.0, 1.0], [1.0, 1.0]).passed
    assert not _gate("refused_answerable<=0.02", [1.0, 0.0], [0.0, 0.0]).passed


@pytest.mark.parametrize("relation", [">=", "<=", ">", "<"])
def test_what_is_no_number_never_passes(relation: str) -> None:
    result = _gate(f"iou{relation}0", [math.nan, 1.0], [0.0, 0.0])
    assert not result.passed
    assert "not a number" in result.sentences()[0]
    floor = check_floors(_run("iou", math.nan), [parse_requirement(f"iou{relation}0.5")])
    assert not floor.passed


def test_a_requirement_on_what_was_not_compared_is_an_error_and_no_pass() -> None:
    seen = compare(_run("iou", 0.5), _run("recall", 0.5))
    with pytest.raises(InputError, match=r"recall was not compared .*: only the baseline has it"):
        check_gate(seen, [parse_requirement("recall>=-1")])
    with pytest.raises(InputError, match="require one of iou, or compute it"):
        check_gate(compare(_run("iou", 0.5), _run("iou", 0.5)), [parse_requirement("nDCG@10>=-1")])
    with pytest.raises(InputError, match=r"run 'new' has no values of recall; require one of iou"):
        check_floors(_run("iou", 0.5), [parse_requirement("recall>=0")])


def test_a_gate_without_requirements_is_an_error_and_passes_nothing() -> None:
    with pytest.raises(InputError, match="no requirement was given"):
        check_floors(_run("iou", 0.5), [])
    assert not GateResult(()).passed


def test_floors_are_held_against_the_mean_itself() -> None:
    run = _run("nDCG@10", 0.25, 0.75)
    assert check_floors(run, [parse_requirement("nDCG@10>=0.5")]).passed
    result = check_floors(run, [parse_requirement("nDCG@10>=0.5"), parse_requirement("nDCG@10>0.6")])
    assert [verdict.passed for verdict in result.verdicts] == [True, False]
    assert not result.passed


def test_a_verdict_says_what_was_seen_how_sure_that_is_and_what_was_wanted() -> None:
    assert _gate("iou>=0", [0.5, 0.75], [0.5, 0.25]).sentences() == [
        "passed: iou changed by +0.2500 (95 % interval +0.0000 to +0.5000, 2 questions), wanted >= 0"
    ]
    assert check_floors(_run("iou", 0.5), [parse_requirement("iou>0.5")]).sentences() == [
        "failed: iou is 0.5000 (95 % interval 0.5000 to 0.5000, 1 question), wanted > 0.5"
    ]


def test_a_verdict_counts_the_questions_that_were_left_out() -> None:
    seen = compare(_run("iou", 0.5, 0.5, 0.5), _run("iou", 0.5))
    sentence = check_gate(seen, [parse_requirement("iou>=0")]).sentences()[0]
    assert "1 question, 2 left out that only one run has" in sentence


@pytest.mark.parametrize("measure", ["iou", "nDCG@10", "recall~typos", "citation_recall", "compat_iou"])
def test_questions_cannot_pass_by_vanishing(measure: str) -> None:
    seen = compare(_run(measure, 0.5), _run(measure, 0.5, 0.5, 0.5, 0.5))
    result = check_gate(seen, [parse_requirement(f"{measure}>=0")])
    assert not result.passed
    assert result.verdicts[0].missing == 3
    assert result.sentences() == [f"failed: {measure} is missing for 3 questions that the baseline has"]


@pytest.mark.parametrize("measure", ["quote_fidelity", "citation_precision~lower", "faithfulness"])
def test_a_measure_of_answers_that_were_given_rests_on_the_questions_of_both(measure: str) -> None:
    seen = compare(_run(measure, 0.5), _run(measure, 0.5, 0.25, 0.25))
    result = check_gate(seen, [parse_requirement(f"{measure}>=0")])
    assert result.passed
    assert result.verdicts[0].missing == 0
    assert "1 question, 2 left out that only one run has" in result.sentences()[0]


def test_questions_that_only_the_run_has_do_not_fail_it() -> None:
    assert _gate("iou>=0", [0.5, 0.5], [0.5]).passed


def test_a_requirement_on_what_was_measured_otherwise_is_an_error() -> None:
    row = (Row("q0", "compat_iou", 0.5),)
    runs = (Run({**MANIFEST, "request": {"published": depth}}, (), row) for depth in (5, 10))
    with pytest.raises(
        InputError, match=r"compat_iou was not compared .* over the first 5 chunks in the run"
    ):
        check_gate(compare(*runs), [parse_requirement("compat_iou>=0")])


def test_rounding_for_people_does_not_contradict_the_verdict() -> None:
    close = Verdict(Requirement("iou", ">=", -0.01), -0.010004, passed=False)
    assert "changed by -0.010004 " in close.sentence()


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20), st.floats(-0.5, 0.5))
def test_what_the_whole_interval_fulfils_its_mean_does_too(values: list[float], bound: float) -> None:
    measure = "nDCG@10"
    seen = compare(_run(measure, *values), _run(measure, *reversed(values)))
    requirement = Requirement(measure, ">", round(bound, 3))
    (plain,), (sure,) = (check_gate(seen, [requirement], sure=each).verdicts for each in (False, True))
    assert plain.passed or not sure.passed
    assert sure.passed == all(map(requirement.met_by, (sure.seen, sure.low, sure.high)))  # type: ignore[arg-type]
    assert sure.sentence().endswith(" with the whole interval")
    assert not plain.sentence().endswith(" with the whole interval")


def test_a_gain_that_luck_may_explain_passes_by_its_mean_and_not_by_its_interval() -> None:
    after, before = [0.9, 0.1, 0.8, 0.4], [0.2, 0.3, 0.7, 0.6]
    seen = compare(_run("iou", *after), _run("iou", *before))
    gate = [parse_requirement("iou>0")]
    assert check_gate(seen, gate).passed and not check_gate(seen, gate, sure=True).passed


@pytest.mark.parametrize(("text", "right"), [("iou<=0.1", ">="), ("refused_answerable>=0", "<=")])
def test_a_rule_that_only_stops_improvements_is_refused(text: str, right: str) -> None:
    with pytest.raises(InputError, match=f"get worse without end.*write {right}"):
        check_side(parse_requirement(text))
    check_side(parse_requirement("iou>=0"))
