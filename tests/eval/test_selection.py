"""Choosing a configuration on some questions."""

from __future__ import annotations

import pytest

from ragwright.core.errors import InputError
from ragwright.eval.gate import parse_requirement
from ragwright.eval.selection import Candidate, choose


def candidate(name: str, **values: dict[str, float]) -> Candidate:
    return Candidate({"search.mode": name}, values, 0.0)


PRECISE = candidate("precise", iou={"a": 0.9, "b": 0.1}, recall={"a": 0.5, "b": 0.5})
WIDE = candidate("wide", iou={"a": 0.2, "b": 0.8}, recall={"a": 1.0, "b": 1.0})


def best(questions: set[str], *rules: str, objective: str = "iou") -> str | None:
    found = choose(
        [PRECISE, WIDE],
        objective=objective,
        rules=[parse_requirement(rule) for rule in rules],
        questions=questions,
    )
    return None if found is None else str(found.settings["search.mode"])


def test_the_choice_looks_at_no_other_questions() -> None:
    assert best({"a"}) == "precise"
    assert best({"b"}) == "wide"


def test_a_rule_leaves_out_what_breaks_it() -> None:
    assert best({"a"}, "recall>=0.75") == "wide"
    assert best({"a"}, "recall>=0.75", "iou>=0.5") is None


def test_of_equals_the_first_wins() -> None:
    assert best({"a", "b"}) == "precise"


def test_a_measure_of_which_less_is_better_is_made_small() -> None:
    few = candidate("few", refused_answerable={"a": 0.1})
    many = candidate("many", refused_answerable={"a": 0.4})
    assert choose([many, few], objective="refused_answerable", rules=[], questions={"a"}) == few


def test_a_measure_without_values_is_an_error() -> None:
    with pytest.raises(InputError, match="measures with values: iou, recall"):
        best({"a"}, objective="nDCG@10")
