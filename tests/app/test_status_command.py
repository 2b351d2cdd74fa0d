"""`ragwright status`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import Result

Run = Callable[..., Result]


def test_empty_workspace_names_the_next_step_and_stays_unmade(folder: Path, run: Run) -> None:
    result = run("status")
    assert result.exit_code == 0
    assert result.stdout == f"workspace {folder / '.ragwright'} is empty; next: ragwright ingest PATH\n"
    assert json.loads(run("status", "--json").stdout)["index"] is None
    assert list(folder.iterdir()) == []


def test_counts_model_and_failures_are_shown(project: Path, run: Run) -> None:
    (project / "docs" / "bad.txt").touch()
    run("ingest", "docs")
    result = run("status")
    lines = result.stdout.splitlines()
    assert lines[-1] == "failed docs/bad.txt: empty: no text found"
    width = lines[0].index("value")
    shown = {line[:width].strip(): line[width:] for line in lines[1:-1]}
    assert result.exit_code == 0
    assert shown["index"] == "v1, embedded"
    assert shown["model"].startswith("all-MiniLM-L6-v2 (")
    assert shown["model"].endswith(", 384 dimensions)")
    assert shown["precision"] == "not int8"
    assert shown["index.quantization"] == "none, as configured"
    assert (shown["domains"], shown["chunks"], shown["failed files"]) == ("general", "3", "1")
    assert shown["documents"].startswith("3 (")


def test_json_agrees_with_what_is_on_disk(project: Path, run: Run) -> None:
    document = json.loads(run("status", "--json", "--documents").stdout)
    texts = [path.read_text(encoding="utf-8") for path in (project / "docs").rglob("*.*")]
    assert document["counts"]["documents"] == len(texts)
    assert document["counts"]["characters"] == sum(map(len, texts))
    assert document["documents"] == ["docs/harbour.md", "docs/mail/crane.txt", "docs/mail/ferry.txt"]
    assert document["failures"] == {}
    assert 0 < document["bytes_on_disk"] < 500e6


def test_json_says_of_the_index_what_the_table_says(project: Path, run: Run) -> None:
    changed = {"RAGWRIGHT_INDEX__QUANTIZATION": "int8"}
    index = json.loads(run("status", "--json", **changed).stdout)["index"]
    facts = {name: index[name] for name in ("version", "engine", "precision", "configured_quantization")}
    assert facts == {
        "version": "v1",
        "engine": "embedded",
        "precision": "not int8",
        "configured_quantization": "int8",
    }
    shown = run("status", **changed).stdout
    for row in ("v1, embedded", "not int8", "int8, as configured", index["manifest"]["fingerprint"]):
        assert row in shown


def test_documents_are_listed_when_asked_for(project: Path, run: Run) -> None:
    assert "docs/harbour.md" not in run("status").stdout
    assert run("status", "--documents").stdout.endswith(
        "docs/harbour.md\ndocs/mail/crane.txt\ndocs/mail/ferry.txt\n"
    )


def test_files_that_vanish_while_they_are_counted_count_nothing(
    project: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ingest removes files at any time: here, right after they were listed."""
    size = json.loads(run("status", "--json").stdout)["bytes_on_disk"]
    listed = Path.rglob

    def with_a_vanished_file(folder: Path, pattern: str) -> Iterator[Path]:
        yield folder / "gone"
        yield from listed(folder, pattern)

    monkeypatch.setattr(Path, "rglob", with_a_vanished_file)
    result = run("status", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["bytes_on_disk"] == size
