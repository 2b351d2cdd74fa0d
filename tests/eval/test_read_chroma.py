"""The Chroma set."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from ragwright.core.errors import InputError
from ragwright.eval.binding import bind
from ragwright.eval.datasets import load_dataset
from ragwright.eval.values import Item, Reference, SourceText

CHROMA = Path(__file__).parents[3] / "shared" / "data" / "chroma"


def write(folder: Path, references: object, corpus: str = "finance") -> Path:
    (folder / "corpora").mkdir()
    (folder / "corpora" / "finance.md").write_bytes("Größe\r\nzählt.".encode())
    with (folder / "questions_df.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["question", "references", "corpus_id"])
        text = references if isinstance(references, str) else json.dumps(references)
        writer.writerow(["What\ncounts?", text, corpus])
    return folder


def test_questions_and_corpora_are_read_with_universal_newlines(tmp_path: Path) -> None:
    folder = write(tmp_path, [{"content": "zählt", "start_index": 6, "end_index": 11}])
    for path in (folder, folder / "questions_df.csv"):
        dataset = load_dataset(path)
        assert dataset.format == "chroma"
        assert dataset.texts == (SourceText("finance.md", "Größe\nzählt.", "finance", {"corpus": "finance"}),)
        assert dataset.items == (
            Item(
                "0",
                "What\ncounts?",
                (Reference("finance.md", 6, 11, "zählt"),),
                metadata={"corpus": "finance"},
                row="questions_df.csv:3",
            ),
        )


@pytest.mark.parametrize(
    ("references", "corpus", "seen"),
    [
        ("[{", "finance", "references are not JSON"),
        ([], "finance", "no references"),
        ([{"content": "x", "start_index": 3, "end_index": 3}], "finance", "the reference is empty"),
        ([{"content": "x", "start_index": 3, "end_index": 4}], "law", "no corpora/law.md"),
        ({"content": "x"}, "finance", "a list is wanted"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, references: object, corpus: str, seen: str) -> None:
    with pytest.raises(InputError) as error:
        load_dataset(write(tmp_path, references, corpus))
    assert seen in str(error.value)
    assert "questions_df.csv:3: " in str(error.value)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("question,references\nWhat?,[]\n", encoding="utf-8")
    with pytest.raises(InputError, match="no column corpus_id"):
        load_dataset(file, format="chroma")


@pytest.mark.slow
@pytest.mark.skipif(not CHROMA.exists(), reason="the shared data is not here")
def test_all_472_questions_and_790_references_bind() -> None:
    dataset = load_dataset(CHROMA)
    texts = {text.source: text.text for text in dataset.texts}
    questions = bind(dataset, texts, texts.get)
    assert len(questions) == 472
    assert sum(len(question.references) for question in questions) == 790
    assert sum(map(len, texts.values())) == 1_444_328
