"""`ragwright tune questions`: from an ingested folder to the files of tuning, with the real index."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.openai_server import answer, failure, openai_server
from typer.testing import Result

from ragwright.app.tuning.questions import AUDIT, COVERAGE, FOLDER, QUESTIONS, SPLITS
from ragwright.eval.datasets import load_dataset
from ragwright.finetune.rows import read_lines, read_questions
from ragwright.ingest.discover import document_id

Run = Callable[..., Result]
KEY = "The harbour master keeps the key of the tide gate."
FERRY = "The ferry leaves at seven and returns at nine."


def told(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def rows(path: Path) -> list[dict[str, Any]]:
    return [row for _, row in read_lines(path)]


def endpoint(url: str) -> list[str]:
    """Settings of a language model behind a server."""
    values = ("kind=openai", f"url={url}", "model=small")
    return [part for value in values for part in ("--set", f"generator.{value}")]


@pytest.fixture
def files(project: Path) -> Path:
    return project / ".ragwright" / FOLDER


def test_structure_makes_questions_whose_quotes_stand_in_the_documents(
    project: Path, files: Path, run: Run
) -> None:
    found = told(run("tune", "questions", "--json"))
    questions = read_questions(files / QUESTIONS)
    assert found["questions"] == len(questions) > 3 and set(found["origins"]) == {"structure"}
    for question in questions:
        for span, quote in zip(question.references, question.quotes, strict=True):
            text = (project / span.document_id).read_text(encoding="utf-8")
            assert text[span.start : span.end] == quote
    splits = json.loads((files / SPLITS).read_text(encoding="utf-8"))
    assert sorted(splits["train"] + splits["dev"] + splits["test"]) == sorted(
        ["docs/harbour.md", "docs/mail/crane.txt", "docs/mail/ferry.txt"]
    )
    for question in questions:
        assert question.sources <= set(splits[question.metadata["part"]])
    assert json.loads((files / COVERAGE).read_text(encoding="utf-8"))["documents"]
    assert rows(files / AUDIT) is not None


def test_the_files_are_a_data_set_of_evaluations(project: Path, files: Path, run: Run) -> None:
    run("tune", "questions")
    dataset = load_dataset(files)
    assert [item.id for item in dataset.items] == [each.id for each in read_questions(files / QUESTIONS)]


def test_a_second_run_makes_the_same_and_a_dry_run_writes_nothing(
    project: Path, files: Path, run: Run
) -> None:
    planned = told(run("tune", "questions", "--dry-run", "--json"))
    assert planned["documents"] == 3 and planned["drafts"]["structure"] > 5 and not files.exists()
    run("tune", "questions", "--limit", "4")
    first = (files / QUESTIONS).read_bytes()
    run("tune", "questions", "--limit", "4")
    assert (files / QUESTIONS).read_bytes() == first and first.count(b"\n") <= 4


def test_a_data_set_and_reviewed_feedback_are_sources(project: Path, files: Path, run: Run) -> None:
    own = {
        "id": "o1",
        "question": "Who has the key?",
        "references": [{"source": "docs/harbour.md", "text": KEY}],
    }
    Path("own.jsonl").write_text(json.dumps(own) + "\n", encoding="utf-8")
    cited = {"document_id": document_id("docs/mail/ferry.txt", ""), "start": 0, "end": len(FERRY)}
    said = {
        "trace_id": "t",
        "question": "When does the ferry leave?",
        "answer": "At seven [1].",
        "citations": [{"marker": 1, "span": cited, "quote": FERRY, "state": "exact"}],
        "ratings": [{"marker": 1, "rating": 1}],
        "reviewed": True,
    }
    Path("feedback.jsonl").write_text(
        json.dumps(said) + "\n" + json.dumps({**said, "reviewed": False}) + "\n", encoding="utf-8"
    )
    found = told(run("tune", "questions", "--source", "own.jsonl", "--source", "feedback.jsonl", "--json"))
    assert found["origins"] == {"user": 1, "feedback": 1}
    assert {each.quotes for each in read_questions(files / QUESTIONS)} == {(KEY,), (FERRY,)}
    assert [row["rule"] for row in rows(files / AUDIT)] == ["feedback_unused"]


@pytest.mark.slow
def test_a_language_model_writes_questions_and_is_not_asked_twice(
    project: Path, files: Path, run: Run
) -> None:
    row = {"question": "When does the ferry come back to the quay?", "quotes": [FERRY], "answer": "at nine"}
    lie = {"question": "What colour is the ferry?", "quotes": ["The ferry is blue."], "answer": "blue"}
    with openai_server(answer(json.dumps(row) + "\n", json.dumps(lie))) as server:
        settings = endpoint(server.url)
        found = told(run("tune", "questions", "--source", "model", "--limit", "3", "--json", *settings))
        asked = len(server.requests)
        assert "<excerpt>" in server.requests[0].prompt
        again = told(run("tune", "questions", "--source", "model", "--limit", "3", "--json", *settings))
        assert len(server.requests) == asked and again == found
    kept = read_questions(files / QUESTIONS)
    assert [(each.origin, each.quotes) for each in kept] == [("model", (FERRY,))]
    assert {row["rule"] for row in rows(files / AUDIT)} >= {"not_located"}


@pytest.mark.slow
def test_a_model_that_does_not_answer_is_an_error(project: Path, run: Run) -> None:
    with openai_server(failure(500)) as server:
        settings = [*endpoint(server.url), "--set", "generator.retries=0"]
        result = run("tune", "questions", "--source", "model", *settings)
    assert result.exit_code == 1 and "failed (500)" in result.output


@pytest.mark.parametrize(
    ("arguments", "seen"),
    [
        (["--source", "model"], "no language model"),
        (["--source", "nowhere.jsonl"], "there is no such file"),
        (["--set", "questions.dev_share=0.6", "--set", "questions.test_share=0.5"], "less than 1 together"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    project: Path, run: Run, arguments: list[str], seen: str
) -> None:
    result = run("tune", "questions", *arguments)
    assert result.exit_code == 1 and seen in result.output


def test_an_empty_workspace_is_told_to_ingest(folder: Path, run: Run) -> None:
    result = run("tune", "questions")
    assert result.exit_code == 1 and "ragwright ingest" in result.output
