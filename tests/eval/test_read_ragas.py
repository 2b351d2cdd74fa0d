"""JSON lines with the field names of ragas."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragwright.core.errors import InputError
from ragwright.core.types import Span
from ragwright.eval.binding import bind
from ragwright.eval.datasets import load_dataset
from ragwright.eval.values import Reference

TEXTS = {"a.md": "One fish. Two fish.", "b.md": "Red fish. Blue fish."}


def write(path: Path, *rows: dict[str, object]) -> Path:
    file = path / "set.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def test_reference_contexts_are_looked_up_when_bound(tmp_path: Path) -> None:
    row: dict[str, object] = {
        "user_input": "Which?",
        "reference": "The blue one",
        "reference_contexts": ["Blue fish"],
        "retrieved_contexts": ["left out"],
        "response": None,
        "persona_name": "angler",
    }
    dataset = load_dataset(write(tmp_path, row))
    assert dataset.format == "ragas"
    (item,) = dataset.items
    assert item.references == (Reference("", text="Blue fish"),)
    assert (item.id, item.answer, item.metadata) == ("1", "The blue one", {"persona_name": "angler"})
    assert bind(dataset, TEXTS, TEXTS.get)[0].references == (Span("b.md", 10, 19),)


@pytest.mark.parametrize(
    ("context", "seen"),
    [(" fish", "stands in several places"), ("Green fish", "does not stand in any of 2 documents")],
)
def test_a_context_found_never_or_twice_is_an_error_that_names_the_row(
    tmp_path: Path, context: str, seen: str
) -> None:
    dataset = load_dataset(write(tmp_path, {"user_input": "Which?", "reference_contexts": [context]}))
    with pytest.raises(InputError) as error:
        bind(dataset, TEXTS, TEXTS.get)
    assert seen in str(error.value)
    assert "set.jsonl:1: " in str(error.value)


def test_ids_alone_name_documents_and_no_contexts_mean_unanswerable(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"user_input": "Which?", "reference_context_ids": ["a.md"]},
        {"user_input": "When?", "reference_contexts": []},
    ]
    first, second = load_dataset(write(tmp_path, *rows)).items
    assert first.references == (Reference("a.md"),)
    assert not second.answerable


@pytest.mark.parametrize(
    ("row", "seen"),
    [
        ({"user_input": "Which?"}, '"reference_contexts" is missing'),
        ({"user_input": [{"content": "hi"}], "reference_contexts": ["x"]}, "conversation"),
        ({"user_input": "Which?", "reference_contexts": [""]}, "an empty text"),
        ({"user_input": "Which?", "reference_contexts": [1]}, "only whole texts"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, row: dict[str, object], seen: str) -> None:
    with pytest.raises(InputError) as error:
        load_dataset(write(tmp_path, row))
    assert seen in str(error.value)
    assert "set.jsonl:1: " in str(error.value)
