"""LegalBench-RAG."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ragwright.core.errors import InputError
from ragwright.eval.binding import bind
from ragwright.eval.datasets import load_dataset
from ragwright.eval.values import Reference


def write(folder: Path, *snippets: dict[str, Any]) -> Path:
    (folder / "corpus" / "cuad").mkdir(parents=True)
    (folder / "corpus" / "cuad" / "a.txt").write_bytes(b"The term\r\nis a year.")
    (folder / "corpus" / "cuad" / "b.txt").write_bytes(b"Something else.")
    (folder / "benchmarks").mkdir()
    file = folder / "benchmarks" / "cuad.json"
    file.write_text(
        json.dumps({"tests": [{"query": "Term?", "snippets": snippets, "tags": ["x"]}]}), encoding="utf-8"
    )
    return file


def test_snippets_and_all_files_of_the_corpus_above_are_read(tmp_path: Path) -> None:
    file = write(tmp_path, {"file_path": "cuad/a.txt", "span": [9, 18], "answer": "is a year"})
    for path in (file, file.parent):
        dataset = load_dataset(path)
        assert dataset.format == "legalbench"
        assert [text.source for text in dataset.texts] == ["cuad/a.txt", "cuad/b.txt"]
        assert dataset.items[0].references == (Reference("cuad/a.txt", 9, 18, "is a year"),)
        assert dataset.items[0].metadata == {"corpus": "cuad", "tags": ["x"]}
        texts = {text.source: text.text for text in dataset.texts}
        assert len(bind(dataset, texts, texts.get)) == 1


@pytest.mark.parametrize(
    ("snippet", "seen"),
    [
        ({"file_path": "cuad/z.txt", "span": [0, 3]}, 'no corpus file "cuad/z.txt"'),
        ({"file_path": "cuad/a.txt", "span": [3]}, "two whole numbers"),
        ({"file_path": "cuad/a.txt", "span": [3, 3]}, "the reference is empty"),
        ({"span": [0, 3]}, '"file_path" is missing'),
    ],
)
def test_a_wrong_snippet_is_named(tmp_path: Path, snippet: dict[str, Any], seen: str) -> None:
    with pytest.raises(InputError) as error:
        load_dataset(write(tmp_path, snippet))
    assert seen in str(error.value)
    assert "cuad.json: test 1: " in str(error.value)


def test_a_query_without_snippets_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no snippets"):
        load_dataset(write(tmp_path))
