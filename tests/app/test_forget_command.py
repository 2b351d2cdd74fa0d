"""`ragwright forget`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Run = Callable[..., Result]
ALL = ["docs/harbour.md", "docs/mail/crane.txt", "docs/mail/ferry.txt"]


def remaining(run: Run) -> list[str]:
    sources: list[str] = json.loads(run("status", "--documents", "--json").stdout)["documents"]
    return sources


@pytest.mark.parametrize(
    ("named", "gone"),
    [
        ("docs/harbour.md", ALL[:1]),
        ("docs/mail", ALL[1:]),
        ("docs/mail/", ALL[1:]),
        ("./docs/../docs/mail", ALL[1:]),
        (".", ALL),
    ],
)
def test_file_or_folder_is_forgotten_and_its_files_stay(
    project: Path, run: Run, named: str, gone: list[str]
) -> None:
    result = run("forget", named, "--dry-run")
    assert result.stdout.splitlines() == [f"would forget {source}" for source in gone]
    assert remaining(run) == ALL
    result = run("forget", named)
    assert (result.exit_code, result.stdout.splitlines()) == (0, [f"forgot {source}" for source in gone])
    assert remaining(run) == [source for source in ALL if source not in gone]
    assert all((project / source).is_file() for source in ALL)
    assert f"sound: {3 - len(gone)} documents" in run("doctor").stdout


def test_forgotten_document_is_found_no_more_until_the_next_ingest(project: Path, run: Run) -> None:
    document = json.loads(run("forget", "docs/harbour.md", "--json").stdout)
    assert document == {"forgotten": ["docs/harbour.md"], "chunks": 1, "dry_run": False}
    assert "harbour.md" not in run("search", "key of the tide gate").stdout
    run("ingest", "docs")
    assert "harbour.md" in run("search", "key of the tide gate").stdout


@pytest.mark.slow
def test_failure_is_forgotten_too(project: Path, run: Run) -> None:
    (project / "docs" / "bad.txt").touch()
    assert run("ingest", "docs").exit_code == 1
    assert run("forget", "docs/bad.txt").exit_code == 0
    assert "bad.txt" not in run("status").stdout


@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        (
            "docs/harbor.md",
            'no document has the source "docs/harbor.md"; did you mean "docs/harbour.md"?',
        ),
        ("zzz", 'no document has the source "zzz"; for a list run: ragwright status --documents'),
        ("", 'no document has the source ""; for a list run: ragwright status --documents'),
        ("/", 'no document has the source "/"; for a list run: ragwright status --documents'),
        ("doc", 'no document has the source "doc"'),
    ],
)
def test_unknown_source_forgets_nothing(project: Path, run: Run, named: str, sentence: str) -> None:
    result = run("forget", named)
    assert (result.exit_code, result.stdout) == (1, "")
    assert sentence in result.stderr
    assert remaining(run) == ALL


def test_nothing_to_forget_before_any_ingest(folder: Path, run: Run) -> None:
    result = run("forget", "docs")
    assert result.exit_code == 1
    assert "holds no documents" in result.stderr
    assert list(folder.iterdir()) == []
