"""The native format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ragwright.core.errors import InputError
from ragwright.eval.datasets import load_dataset
from ragwright.eval.values import Judgement, Reference, SourceText

DEMO = Path(__file__).parents[2] / "demo" / "questions.jsonl"


def row(**changes: Any) -> dict[str, Any]:
    reference = {"source": "a.md", "start": 0, "end": 4, "text": "text"}
    return {"id": "1", "question": "What?", "references": [reference]} | changes


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(each) + "\n" for each in rows), encoding="utf-8")
    return path


def test_the_demo_loads_as_it_is() -> None:
    dataset = load_dataset(DEMO)
    assert dataset.format == "native"
    assert dataset.name == "demo"
    assert len(dataset.items) == 60
    assert sum(not item.answerable for item in dataset.items) == 10
    assert dataset.items[0].metadata == {"kind": "number"}
    assert dataset.items[0].row == "questions.jsonl:1"


def test_other_keys_and_a_metadata_object_become_metadata(tmp_path: Path) -> None:
    file = write(
        tmp_path / "a.jsonl", row(kind="fact", metadata={"language": "de"}, filters={"source": "a.md"})
    )
    item = load_dataset(file).items[0]
    assert item.metadata == {"kind": "fact", "language": "de"}
    assert item.filters == {"source": "a.md"}


def test_a_source_alone_is_the_whole_document_and_a_text_alone_is_looked_up_later(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", row(references=[{"source": "a.md", "grade": 2}, {"text": "here"}]))
    assert load_dataset(file).items[0].references == (
        Reference("a.md", grade=2),
        Reference("", text="here"),
    )


def test_a_row_without_id_is_known_by_its_line(tmp_path: Path) -> None:
    first = row()
    del first["id"]
    assert load_dataset(write(tmp_path / "a.jsonl", first)).items[0].id == "1"


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({"question": None}, '"question" is missing'),
        ({"question": "  "}, '"question" is blank'),
        ({"question": 3}, '"question" is the number 3'),
        ({"references": []}, "answerable, but without references"),
        ({"answerable": False}, "not answerable, but with references"),
        ({"answerable": "no"}, '"answerable" is a text'),
        ({"references": [{"source": "a", "start": 3, "end": 3}]}, "the reference is empty"),
        ({"references": [{"source": "a", "start": -3, "end": 3}]}, "negative offset"),
        ({"references": [{"source": "a", "start": 4, "end": 3}]}, "ends before it starts"),
        ({"references": [{"source": "a", "start": "4", "end": 9}]}, '"start" is a text'),
        ({"references": [{"source": "a", "start": 4}]}, '"start" alone'),
        ({"references": [{"start": 4, "end": 9}]}, 'no "source"'),
        ({"references": [{}]}, 'neither "source" nor "text"'),
        ({"references": [{"source": "a", "start": 0, "end": 9, "text": "ab"}]}, "a text of 2 characters"),
        ({"references": [{"source": "a", "grade": 0}]}, "grade 0"),
        ({"references": ["a"]}, "only objects"),
        ({"filters": {"source": 1}}, '"source" is the number 1'),
        ({"kind": "a", "metadata": {"kind": "b"}}, "once is wanted"),
    ],
)
def test_a_wrong_row_is_named_with_what_was_seen(tmp_path: Path, changes: dict[str, Any], seen: str) -> None:
    file = write(tmp_path / "questions.jsonl", row(id="0"), row(**changes))
    with pytest.raises(InputError) as error:
        load_dataset(file)
    assert seen in str(error.value)
    assert "questions.jsonl:2: " in str(error.value)
    assert "questions.jsonl:1: " not in str(error.value)


def test_bad_json_and_repeated_ids_are_named_together(tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text(f"{{oops\n{json.dumps(row())}\n{json.dumps(row())}\n", encoding="utf-8")
    with pytest.raises(InputError) as error:
        load_dataset(file)
    assert "questions.jsonl:1: not JSON" in str(error.value)
    assert 'questions.jsonl:3: the id "1" stands at questions.jsonl:2 as well' in str(error.value)


def test_an_empty_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="it holds no question"):
        load_dataset(write(tmp_path / "questions.jsonl"))


def test_a_folder_brings_its_documents_and_judgements(tmp_path: Path) -> None:
    write(tmp_path / "questions.jsonl", row())
    write(
        tmp_path / "documents.jsonl",
        {"source": "a.md", "text": "text and more", "title": "A", "metadata": {"year": "2024"}},
        {"source": "empty.md", "text": ""},
    )
    write(tmp_path / "judgements.jsonl", {"question_id": 1, "source": "a.md", "grade": 0})
    dataset = load_dataset(tmp_path)
    assert dataset.texts == (SourceText("a.md", "text and more", "A", {"year": "2024"}),)
    assert dataset.judgements == (Judgement("1", "a.md", 0),)
    assert load_dataset(tmp_path / "questions.jsonl").texts == ()


def test_repeated_sources_and_judgements_of_unknown_questions_are_errors(tmp_path: Path) -> None:
    write(tmp_path / "questions.jsonl", row())
    write(tmp_path / "documents.jsonl", {"source": "a", "text": "x"}, {"source": "a", "text": "y"})
    write(tmp_path / "judgements.jsonl", {"question_id": "9", "source": "a", "grade": 1})
    with pytest.raises(InputError) as error:
        load_dataset(tmp_path)
    assert "documents.jsonl:2: " in str(error.value)
    assert 'judgements.jsonl:1: there is no question "9"' in str(error.value)
