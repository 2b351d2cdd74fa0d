"""`ragwright quantize`: measured against the float model, kept or refused, and never mixed with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.small_models import small_transformer
from typer.testing import Result

Run = Callable[..., Result]

THINGS = ("pump", "valve", "gate", "crane", "ferry", "hoist", "winch", "buoy")
WORK = ("is oiled in spring", "is checked by the harbour master", "was painted red last year")


def sentence(number: int) -> str:
    """One of many different sentences."""
    return f"The {THINGS[number % 8]} of berth {number} {WORK[number % 3]} and costs {number * 7} crowns."


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with made-up weights."""
    return small_transformer(tmp_path_factory.mktemp("small"))


@pytest.fixture
def berths(folder: Path, encoder: Path, small: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> Path:
    """Forty ingested documents of four sentences; the converted models are this test's own."""
    monkeypatch.setenv("RAGWRIGHT_ENCODER__CACHE", str(folder / "cache"))
    monkeypatch.setenv("RAGWRIGHT_ENCODER__MODEL", str(small))
    (folder / "docs").mkdir()
    for number in range(40):
        text = " ".join(sentence(4 * number + place) for place in range(4))
        (folder / "docs" / f"{number}.txt").write_text(text + "\n", encoding="utf-8")
    assert run("ingest", "docs").exit_code == 0
    return folder


def told(result: Result, code: int = 0) -> dict[str, Any]:
    """The JSON of a command that ended so."""
    assert result.exit_code == code, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_an_accepted_model_is_kept_with_its_verdict_and_wants_a_rebuilt_index(
    berths: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragwright.app.int8_verdict.MOST_LOSS", 1.0)
    refused = run("search", "pump", "--set", "encoder.precision=int8")
    assert refused.exit_code == 1
    assert "run: ragwright quantize" in refused.stderr
    verdict = told(run("quantize", "--samples", "8", "--json"))
    assert (verdict["accepted"], verdict["dataset"], verdict["samples"]) == (True, "known items", 8)
    assert [each["measure"] for each in verdict["losses"]] == ["R@10", "nDCG@10"]
    for each in verdict["losses"]:
        assert each["loss"] == pytest.approx(each["usual"] - each["int8"])
        assert each["low"] <= each["loss"] <= each["high"]
    (written,) = (berths / "cache").glob("*-int8/verdict.json")
    assert json.loads(written.read_text(encoding="utf-8")) == verdict
    assert {"ragwright", "openvino", "nncf"} <= verdict["versions"].keys()

    other = run("search", "pump", "--set", "encoder.precision=int8")
    assert other.exit_code == 1
    assert verdict["fingerprint"] in other.stderr
    assert "ragwright ingest --rebuild" in other.stderr
    assert run("ingest", "--rebuild", "--set", "encoder.precision=int8").exit_code == 0
    assert run("search", "pump", "--set", "encoder.precision=int8").exit_code == 0
    assert run("search", "pump").exit_code == 1, "bf16 questions are not compared with int8 chunks"


def test_a_model_that_loses_more_than_half_a_point_is_deleted_and_ends_with_4(
    berths: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragwright.app.int8_verdict.MOST_LOSS", -1.1)
    result = run("quantize", "--samples", "8")
    assert result.exit_code == 4
    assert "refused: a measure loses more than half a point" in result.stdout
    assert [path.name for path in (berths / "cache").iterdir() if "int8" in path.name] == []


def test_questions_of_a_data_set_are_asked(berths: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ragwright.app.int8_verdict.MOST_LOSS", 1.0)
    rows = [
        {
            "id": str(number),
            "question": f"What does berth {number} cost?",
            "references": [{"source": f"docs/{number // 4}.txt", "text": sentence(number)}],
        }
        for number in range(60)
    ]
    dataset = berths / "prices.jsonl"
    dataset.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    verdict = told(run("quantize", str(dataset), "--samples", "8", "--json"))
    assert (verdict["dataset"], verdict["questions"], verdict["chunks"]) == ("prices", 60, 40)


def test_too_few_questions_are_refused_before_anything_is_quantised(project: Path, run: Run) -> None:
    result = run("quantize")
    assert result.exit_code == 1
    assert "wanted at least 50 to tell half a point" in result.stderr
    assert list(project.glob("**/.quantise-*")) == []


def test_an_empty_workspace_names_the_next_step(folder: Path, encoder: Path, run: Run) -> None:
    result = run("quantize")
    assert result.exit_code == 1
    assert "run: ragwright ingest PATH" in result.stderr
