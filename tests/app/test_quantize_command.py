"""`ragwright quantize`: measured against the float model, kept or refused, and never mixed with it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.small_models import small_transformer
from typer.testing import Result

from ragwright.app.commands.quantize import _tell
from ragwright.app.console import Console
from ragwright.app.int8_verdict import Loss, Verdict
from ragwright.retrieval.encoder import load_encoder

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


def test_int8_without_an_accepted_model_names_the_command(project: Path, run: Run) -> None:
    refused = run("search", "crane", "--set", "encoder.precision=int8")
    assert refused.exit_code == 1
    assert "run: ragwright quantize" in refused.stderr


@pytest.mark.slow
def test_an_accepted_model_is_kept_with_its_verdict_and_wants_a_rebuilt_index(
    berths: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragwright.app.int8_verdict.MOST_LOSS", 1.0)
    verdict = told(run("quantize", "--samples", "8", "--json"))
    assert (verdict["accepted"], verdict["dataset"], verdict["samples"]) == (True, "known items", 8)
    assert [each["measure"] for each in verdict["losses"]] == ["R@10", "nDCG@10"]
    for each in verdict["losses"]:
        assert each["loss"] == pytest.approx(each["usual"] - each["int8"])
        assert each["low"] <= each["loss"] <= each["high"]
    (path,) = (berths / "cache").glob("*-int8/verdict.json")
    written = json.loads(path.read_text(encoding="utf-8"))
    assert (path.parent / written.pop("folder") / "model.bin").is_file()
    assert written == verdict
    assert {"ragwright", "openvino", "nncf"} <= verdict["versions"].keys()

    other = run("search", "pump", "--set", "encoder.precision=int8")
    assert other.exit_code == 1
    assert verdict["fingerprint"] in other.stderr
    assert "ragwright ingest --rebuild" in other.stderr
    assert run("ingest", "--rebuild", "--set", "encoder.precision=int8").exit_code == 0
    assert run("search", "pump", "--set", "encoder.precision=int8").exit_code == 0
    assert run("search", "pump").exit_code == 1, "bf16 questions are not compared with int8 chunks"
    assert re.search(r"precision +int8\n", run("status").stdout)


@pytest.mark.slow
def test_an_accepted_model_is_replaced_only_when_asked_and_the_rebuild_is_told(
    berths: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragwright.app.int8_verdict.MOST_LOSS", 1.0)
    first = told(run("quantize", "--samples", "8", "--json"))
    assert run("ingest", "--rebuild", "--set", "encoder.precision=int8").exit_code == 0
    kept = run("quantize", "--samples", "16")
    assert kept.exit_code == 1
    assert f"accepted on {first['created']}" in kept.stderr
    assert "--again" in kept.stderr
    assert run("search", "pump", "--set", "encoder.precision=int8").exit_code == 0

    monkeypatch.setattr("ragwright.retrieval.encoder.load_encoder", load_encoder)  # that remembers none
    again = run("quantize", "--samples", "16", "--again")
    assert f"it replaces the one accepted on {first['created']}" in again.stdout
    assert again.stdout.endswith(
        'put precision = "int8" under [encoder] in ragwright.toml, then run: ragwright ingest --rebuild\n'
    )
    stale = run("search", "pump", "--set", "encoder.precision=int8").stderr
    assert f"({first['fingerprint']}, int8)" in stale
    assert "set encoder.model, encoder.precision and encoder.dimension back" in stale

    monkeypatch.setattr("ragwright.app.int8_verdict.MOST_LOSS", -1.1)
    (before,) = (berths / "cache").glob("*-int8/*/model.bin")
    refused = run("quantize", "--samples", "8", "--again")
    assert refused.exit_code == 4
    assert "the new int8 model is deleted\nthe int8 model accepted on " in refused.stdout
    assert " is untouched and stays; more documents" in refused.stdout
    assert " stays until another one is accepted\n" in refused.stderr
    (weights,) = (berths / "cache").glob("*-int8/*/model.bin")
    assert weights == before
    assert run("ingest", "--rebuild", "--set", "encoder.precision=int8").exit_code == 0

    weights.write_bytes(b"damaged")
    monkeypatch.setattr("ragwright.app.int8_verdict.MOST_LOSS", 1.0)
    assert run("quantize", "--samples", "8").exit_code == 0, "a damaged one is replaced without --again"


@pytest.mark.slow
def test_an_index_of_other_dimensions_is_told_with_both(berths: Path, run: Run) -> None:
    error = run("search", "pump", "--set", "encoder.dimension=16").stderr
    assert ", 32 dimensions)" in error
    assert ", 16 dimensions)" in error
    assert "int8" not in error


@pytest.mark.slow
def test_a_model_that_loses_more_than_half_a_point_is_deleted_and_ends_with_4(
    berths: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragwright.app.int8_verdict.MOST_LOSS", -1.1)
    result = run("quantize", "--samples", "8")
    assert result.exit_code == 4
    assert "refused: a measure loses more than half a point; the new int8 model is deleted" in result.stdout
    assert "the float model stays; more documents, more --samples" in result.stdout
    assert [path.name for path in (berths / "cache").iterdir() if "int8" in path.name] == []


@pytest.mark.slow
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


@pytest.mark.parametrize("precision", ["auto", "int8"])
def test_an_empty_workspace_names_the_three_commands(
    folder: Path, encoder: Path, run: Run, precision: str
) -> None:
    result = run("quantize", "--set", f"encoder.precision={precision}")
    assert result.exit_code == 1
    steps = (
        "ragwright ingest PATH --set encoder.precision=auto",
        "ragwright quantize",
        "ragwright ingest --re",
    )
    places = [result.stderr.index(step) for step in steps]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--sample", "60"], "it belongs to a DATASET"),
        (["--format", "native"], "it belongs to a DATASET"),
        (["questions.jsonl", "--sample", "49"], "49 questions, wanted at least 50"),
    ],
)
def test_options_that_would_do_nothing_are_wrong_usage(
    folder: Path, run: Run, arguments: list[str], reason: str
) -> None:
    result = run("quantize", *arguments, COLUMNS="200")
    assert result.exit_code == 2
    assert arguments[-2] in result.stderr
    assert reason in result.stderr


def test_a_missing_package_and_another_backend_are_told_before_anything_is_gathered(
    folder: Path, encoder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = run("quantize", "none.jsonl", "--set", "encoder.backend=torch")
    assert (other.exit_code, "set encoder.backend=openvino" in other.stderr) == (1, True)
    monkeypatch.setitem(sys.modules, "nncf", None)
    missing = run("quantize", "none.jsonl")
    assert (missing.exit_code, "nncf is not installed" in missing.stderr) == (1, True)


def test_an_interval_that_includes_the_limit_is_told_with_its_far_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    losses = (
        Loss("R@10", 0.9, 0.898, 0.002, -0.01, 0.02),
        Loss("nDCG@10", 0.8, 0.799, 0.001, -0.001, 0.003),
    )
    verdict = Verdict(
        accepted=True,
        losses=losses,
        agreement=0.9,
        cosine=0.99,
        cosine_low=0.9,
        dataset="prices",
        questions=60,
        chunks=100,
        samples=8,
        corpus="c",
        model="m",
        model_fingerprint="a",
        fingerprint="b",
        seed=0,
        created="2026-01-01T00:00:00+00:00",
        versions={},
    )
    assert verdict.doubts() == [("R@10", 0.02)]
    _tell(verdict, Console())
    output = capsys.readouterr().out
    assert "not certain: the interval of R@10 reaches +0.0200" in output
    assert "fewer than some 200 questions" in output
    lost = replace(losses[0], loss=0.006)
    assert replace(verdict, losses=(lost,)).doubts() == [("R@10", -0.01)]
