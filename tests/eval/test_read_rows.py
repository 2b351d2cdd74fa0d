"""Rows, typed fields and problems."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragwright.core.errors import InputError
from ragwright.eval.read_rows import Problems, Record, json_lines, read_text, shorten, span_problem


def test_ten_problems_are_listed_and_the_rest_counted() -> None:
    problems = Problems("set")
    for number in range(13):
        problems.add(f"q.jsonl:{number}", "wrong")
    with pytest.raises(InputError) as error:
        problems.check()
    lines = str(error.value).split("\n")
    assert lines[0] == "set cannot be used, it has 13 problems:"
    assert len(lines) == 12
    assert lines[-1].strip() == "and 3 more"


@pytest.mark.parametrize(
    ("values", "seen"),
    [
        ({}, '"key" is missing'),
        ({"key": 3}, "the number 3; a text"),
        ({"key": True}, "true or false; a text"),
        ({"key": None}, '"key" is missing'),
        ({"key": "\ud800"}, "half a character"),
    ],
)
def test_a_text_of_another_type_is_noted(values: dict[str, object], seen: str) -> None:
    problems = Problems("set")
    assert Record(values, "row", problems).text("key") == ""
    assert seen in problems.found[0][1]


def test_true_is_no_number_and_one_is_no_flag() -> None:
    problems = Problems("set")
    record = Record(
        {"number": True, "flag": 1, "list": {}, "objects": [None], "facts": {"a": 1}}, "r", problems
    )
    assert record.number("number", 7) == 7
    assert record.flag("flag", False) is False
    assert record.list_of("list") == []
    assert record.objects("objects") == []
    assert record.facts("facts") == {}
    assert len(problems.found) == 5


def test_a_line_separator_inside_a_json_text_does_not_end_the_row(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes('\ufeff{"a": "x\u2028y"}\r\n\n{"a": "z"}\n[1]\n{'.encode())
    problems = Problems("set")
    records = list(json_lines(file, problems))
    assert [(each.values["a"], each.row) for each in records] == [
        ("x\u2028y", "a.jsonl:1"),
        ("z", "a.jsonl:3"),
    ]
    assert [row for row, _ in problems.found] == ["a.jsonl:4", "a.jsonl:5"]


def test_a_file_that_is_not_utf8_is_named_with_the_byte(tmp_path: Path) -> None:
    file = tmp_path / "a.md"
    file.write_bytes("Größe".encode("latin-1"))
    with pytest.raises(InputError, match=r"a\.md is not UTF-8 at byte 2"):
        read_text(file)
    assert read_text(file, fallback="latin-1") == "Größe"


def test_ranges_must_go_forward_from_zero() -> None:
    assert "negative" in span_problem(-1, 3)
    assert "empty" in span_problem(3, 3)
    assert "before it starts" in span_problem(4, 3)
    assert span_problem(0, 1) == ""


def test_a_long_text_is_shortened_on_one_line() -> None:
    assert shorten("a\nb") == '"a b"'
    assert len(shorten("word " * 100)) < 80
