"""BEIR folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragwright.core.errors import InputError
from ragwright.eval.binding import bind, bind_judgements
from ragwright.eval.datasets import load_dataset
from ragwright.eval.values import Judgement, Reference, SourceText

HEADER = "query-id\tcorpus-id\tscore\n"


def write(folder: Path, qrels: str, name: str = "test.tsv") -> Path:
    corpus = [
        {"_id": "d1", "title": "One", "text": "first text", "metadata": {"year": 2020}},
        {"_id": "d2", "title": "Only a title", "text": " "},
        {"_id": "d3", "title": "", "text": ""},
    ]
    queries = [
        {"_id": "q1", "text": "First?"},
        {"_id": "q2", "text": "Second?"},
        {"_id": "q3", "text": "Third?"},
    ]
    for file, rows in (("corpus", corpus), ("queries", queries)):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{file}.jsonl").write_text(lines, encoding="utf-8")
    (folder / "qrels").mkdir(exist_ok=True)
    (folder / "qrels" / name).write_text(HEADER + qrels, encoding="utf-8")
    return folder


def test_judged_queries_get_whole_documents_for_grades_from_one(tmp_path: Path) -> None:
    dataset = load_dataset(write(tmp_path, "q2\td1\t2\nq2\td2\t0\nq1\td2\t1\n"))
    assert dataset.format == "beir"
    assert [item.id for item in dataset.items] == ["q1", "q2"]
    assert dataset.items[1].references == (Reference("d1", grade=2),)
    assert dataset.items[1].row == "queries.jsonl:2"
    assert dataset.judgements == (
        Judgement("q1", "d2", 1),
        Judgement("q2", "d1", 2),
        Judgement("q2", "d2", 0),
    )
    assert dataset.texts == (
        SourceText("d1", "first text", "One", {"year": "2020"}),
        SourceText("d2", "Only a title", "Only a title"),
    )
    texts = {text.source: text.text for text in dataset.texts}
    assert bind(dataset, texts, texts.get)[1].metadata == {"grades": [2]}


def test_documents_without_text_lose_their_references_and_are_listed(tmp_path: Path) -> None:
    dataset = load_dataset(write(tmp_path, "q1\td1\t1\nq1\td3\t1\nq2\td3\t1\n"))
    first, second = dataset.items
    assert first.references == (Reference("d1"),)
    assert first.metadata == {"empty_documents": ["d3"]}
    assert not second.answerable
    texts = {text.source: text.text for text in dataset.texts}
    assert len(bind(dataset, texts, texts.get)) == 2
    assert bind_judgements(dataset, texts) == list(dataset.judgements)


def test_an_absent_document_is_an_error_that_names_the_row(tmp_path: Path) -> None:
    dataset = load_dataset(write(tmp_path, "q1\td9\t1\n"))
    texts = {text.source: text.text for text in dataset.texts}
    with pytest.raises(InputError, match=r'queries.jsonl:1: no document "d9"'):
        bind(dataset, texts, texts.get)


def test_test_is_the_default_and_another_file_can_be_named(tmp_path: Path) -> None:
    write(tmp_path, "q1\td1\t1\n")
    write(tmp_path, "q2\td1\t1\n", "dev.tsv")
    assert load_dataset(tmp_path).items[0].id == "q1"
    assert load_dataset(tmp_path / "qrels" / "dev.tsv").items[0].id == "q2"
    (tmp_path / "qrels" / "test.tsv").rename(tmp_path / "qrels" / "train.tsv")
    with pytest.raises(InputError, match=r"qrels/dev\.tsv, qrels/train\.tsv; wanted"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("qrels", "seen"),
    [
        ("q9\td1\t1\n", 'test.tsv:2: there is no query "q9"'),
        ("q1 d1 1\n", "test.tsv:2: 1 columns"),
        ("q1\td1\tgood\n", 'test.tsv:2: the grade "good"'),
        ("q1\td1\t1\nq1\td1\t0\n", "has grade 0, but 1 at test.tsv:2"),
        ("", "no query is judged"),
    ],
)
def test_wrong_judgements_are_named(tmp_path: Path, qrels: str, seen: str) -> None:
    with pytest.raises(InputError) as error:
        load_dataset(write(tmp_path, qrels))
    assert seen in str(error.value)
