"""SQuAD-style JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ragwright.core.errors import InputError
from ragwright.eval.binding import bind
from ragwright.eval.datasets import load_dataset
from ragwright.eval.values import Dataset, Reference

POLICYQA = Path(__file__).parents[3] / "shared" / "data" / "policyqa"


def article(title: str, *paragraphs: tuple[str, list[dict[str, Any]]]) -> dict[str, Any]:
    return {"title": title, "paragraphs": [{"context": text, "qas": qas} for text, qas in paragraphs]}


def question(name: str, *answers: tuple[str, int], **more: Any) -> dict[str, Any]:
    found = [{"text": text, "answer_start": start} for text, start in answers]
    return {"id": name, "question": f"{name}?", "answers": found} | more


def load(path: Path, *articles: dict[str, Any]) -> Dataset:
    (path / "dev.json").write_text(json.dumps({"version": "1", "data": articles}), encoding="utf-8")
    return load_dataset(path)


def test_spans_are_shifted_into_the_joined_paragraphs(tmp_path: Path) -> None:
    dataset = load(tmp_path, article("a.com", ("One fish.", []), ("Two fish.", [question("q", ("fish", 4))])))
    assert dataset.format == "squad"
    assert dataset.texts[0].source == "a.com.txt"
    assert dataset.texts[0].text == "One fish.\n\nTwo fish."
    item = dataset.items[0]
    assert item.references == (Reference("a.com.txt", 15, 19, "fish"),)
    assert item.filters == {"source": "a.com.txt"}
    assert item.answer == "fish"
    bound = bind(dataset, ["a.com.txt"], {"a.com.txt": dataset.texts[0].text}.get)
    assert bound[0].metadata["filters"] == {"source": "a.com.txt"}


def test_overlapping_answers_are_one_label_and_others_stay(tmp_path: Path) -> None:
    answers = [("fish", 4), ("One fish", 0), ("fish", 4), ("end", 10)]
    item = load(tmp_path, article("a", ("One fish. end", [question("q", *answers)]))).items[0]
    assert [(each.start, each.end, each.text) for each in item.references] == [
        (0, 8, "One fish"),
        (10, 13, "end"),
    ]
    assert item.answer == "fish"
    assert item.metadata == {"answers": ["fish", "One fish", "end"]}


def test_an_impossible_question_is_unanswerable(tmp_path: Path) -> None:
    item = load(tmp_path, article("a", ("One fish.", [question("q", is_impossible=True)]))).items[0]
    assert not item.answerable
    assert item.references == ()
    assert item.filters == {"source": "a.txt"}


def test_equal_titles_become_different_sources(tmp_path: Path) -> None:
    same = article("a/b", ("One fish.", []))
    dataset = load(tmp_path, same, same | article("a/b", ("Two", [question("q", ("Two", 0))])))
    assert [text.source for text in dataset.texts] == ["a_b.txt", "a_b-2.txt"]


@pytest.mark.parametrize(
    ("entry", "seen"),
    [
        (question("q", ("fish", 5)), '"fish" does not stand at 5, where "ish." stands'),
        (question("q", ("fish", 99)), "does not stand at 99"),
        (question("q", ("fish", -5)), "does not stand at -5"),
        (question("q"), "no answers"),
        ({"id": "q", "answers": [{"text": "fish", "answer_start": 4}]}, '"question" is missing'),
    ],
)
def test_a_wrong_entry_is_named(tmp_path: Path, entry: dict[str, Any], seen: str) -> None:
    with pytest.raises(InputError) as error:
        load(tmp_path, article("a", ("One fish.", [entry])))
    assert seen in str(error.value)
    assert "a.txt, paragraph 1, question 1: " in str(error.value)


def test_repeated_ids_are_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="ids must be unique"):
        load(tmp_path, article("a", ("One fish.", [question("q", ("One", 0)), question("q", ("fish", 4))])))


@pytest.mark.slow
@pytest.mark.skipif(not POLICYQA.exists(), reason="the shared data is not here")
def test_all_3809_questions_bind_within_their_policies() -> None:
    dataset = load_dataset(POLICYQA / "dev.json")
    assert dataset.name == "policyqa-dev"
    texts = {text.source: text.text for text in dataset.texts}
    questions = bind(dataset, texts, texts.get)
    assert len(texts) == 20
    assert len(questions) == 3809
    for each in questions:
        assert {span.document_id for span in each.references} == {each.metadata["filters"]["source"]}
