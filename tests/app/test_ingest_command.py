"""`ragwright ingest`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.app.conftest import MAIN
from typer.testing import Result

from ragwright.core.lock import workspace_lock

Run = Callable[..., Result]


def counts(result: Result) -> str:
    return result.stdout.splitlines()[-1]


def test_every_file_is_counted_once_as_added_updated_skipped_or_deleted(project: Path, run: Run) -> None:
    assert counts(run("ingest", "docs")) == "added 0, updated 0, skipped 3, deleted 0, failed 0"
    (project / "docs" / "harbour.md").write_text("The key is lost.", encoding="utf-8")
    (project / "docs" / "new.txt").write_text("The buoy is red.", encoding="utf-8")
    (project / "docs" / "mail" / "ferry.txt").unlink()
    result = run("ingest", "docs")
    assert counts(result) == "added 1, updated 1, skipped 1, deleted 1, failed 0"
    assert result.exit_code == 0
    assert "sound: 3 documents, 3 chunks" in run("doctor").stdout


def test_documents_of_deleted_files_stay_without_pruning(project: Path, run: Run) -> None:
    (project / "docs" / "harbour.md").unlink()
    assert counts(run("ingest", "docs", "--no-prune")).startswith("added 0, updated 0, skipped 2, deleted 0")
    assert "harbour.md" in run("search", "key of the tide gate").stdout
    assert "deleted 1" in counts(run("ingest", "docs"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "nothing to ingest; name files or folders, or give --retry-failed or --rebuild"),
        (["no where"], "no where does not exist; name a file or a folder"),
        (["https://host/a.pdf"], "https://host/a.pdf is a URL; only files and folders can be ingested"),
        ([""], 'a path is empty; name a file or a folder, such as "."'),
        ([".", "--jobs", "-1"], "ingest.jobs is -1; wanted a whole number from 0 to 1024"),
        ([".", "--domain", "cooking"], "unknown profile 'cooking'; built in are"),
        (["--rebuild"], "holds no documents; run: ragwright ingest PATH"),
        (["--retry-failed"], "holds no documents; run: ragwright ingest PATH"),
    ],
)
def test_wrong_request_is_one_sentence(
    folder: Path, encoder: Path, run: Run, arguments: list[str], sentence: str
) -> None:
    result = run("ingest", *arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1


def test_request_that_cannot_be_met_makes_no_workspace(folder: Path, run: Run) -> None:
    for arguments in (["nowhere"], ["--rebuild"], ["--retry-failed"], [".", "--dry-run"]):
        run("ingest", *arguments)
        assert list(folder.iterdir()) == []


def test_folder_without_documents_is_told(folder: Path, encoder: Path, run: Run) -> None:
    (folder / "empty").mkdir()
    result = run("ingest", "empty")
    assert (result.exit_code, counts(result)[:7]) == (0, "added 0")
    assert "no documents were found in empty" in result.stderr


def test_pictures_are_left_alone_and_counted_when_they_are_many(
    folder: Path, encoder: Path, run: Run
) -> None:
    (folder / "one.png").write_bytes(b"\x89PNG")
    assert "left alone one.png: its type is not supported" in run("ingest", ".").stderr
    for number in range(7):
        (folder / f"{number}.jpg").write_bytes(b"\xff\xd8\xff")
    result = run("ingest", ".")
    assert result.exit_code == 0
    assert "left alone 8 files whose type is not supported (7 .jpg, 1 .png)" in result.stderr


def test_dry_run_tells_and_changes_nothing(project: Path, run: Run) -> None:
    (project / "docs" / "harbour.md").write_text("The key is lost.", encoding="utf-8")
    (project / "docs" / "new.txt").write_text("The buoy is red.", encoding="utf-8")
    (project / "docs" / "mail" / "ferry.txt").unlink()
    before = run("status", "--json").stdout
    assert run("ingest", "docs", "--dry-run").stdout.splitlines() == [
        "would add docs/new.txt",
        "would update docs/harbour.md",
        "would delete docs/mail/ferry.txt",
        "would add 1, update 1, skip 1, delete 1",
    ]
    plan = json.loads(run("ingest", "docs", "--dry-run", "--json").stdout)
    assert (plan["add"], plan["skip"]) == (["docs/new.txt"], ["docs/mail/crane.txt"])
    assert run("status", "--json").stdout == before


@pytest.mark.parametrize(
    "setting", ["encoder.dimension=128", "chunk.tokens=64", "encoder.model=nowhere", "encoder.precision=int8"]
)
def test_dry_run_is_refused_as_the_run_itself_would_be(project: Path, run: Run, setting: str) -> None:
    (project / "docs" / "new.txt").write_text("The buoy is red.", encoding="utf-8")
    told = ["ingest", "docs", "--set", setting]
    dry, real = run(*told, "--dry-run"), run(*told)
    assert (dry.exit_code, dry.stdout, dry.stderr) == (real.exit_code, real.stdout, real.stderr)
    assert (dry.exit_code, dry.stderr[:7], dry.stderr.count("\n")) == (1, "error: ", 1)
    assert json.loads(run(*told, "--dry-run", "--json").stdout)["error"]["message"] == dry.stderr[7:-1]
    assert "would add docs/new.txt" in run("ingest", "docs", "--dry-run").stdout


def test_dry_run_of_a_rebuild_fits_other_settings(project: Path, run: Run) -> None:
    changed = ["--set", "chunk.tokens=64", "--dry-run"]
    result = run("ingest", "--rebuild", "docs", *changed)
    assert (result.exit_code, result.stdout.splitlines()[0][:17]) == (0, "would rebuild the")
    assert run("ingest", "--retry-failed", *changed).exit_code == 1


def test_what_a_killed_quantize_left_is_removed(project: Path, run: Run) -> None:
    left = project / ".ragwright" / "models" / ".quantise-killed" / "made"
    left.mkdir(parents=True)
    (left / "model.bin").touch()
    arguments = ["ingest", "docs", "--set", f"encoder.cache={left.parents[1]}"]
    assert run(*arguments, "--dry-run").exit_code == 0
    assert left.is_dir(), "a dry run changes nothing"
    assert run(*arguments).exit_code == 0
    assert not left.parent.exists()


def test_json_is_one_document_with_every_count_and_reason(folder: Path, encoder: Path, run: Run) -> None:
    (folder / "good.txt").write_text("The buoy is red.", encoding="utf-8")
    (folder / "bad.txt").touch()
    result = run("ingest", ".", "--json")
    report = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (report["added"], report["failed"], report["rebuilt"]) == (1, 1, None)
    assert report["failures"] == {"bad.txt": "empty: no text found"}
    assert json.loads(run("ingest", "nowhere", "--json").stdout)["error"]["type"] == "InputError"


def test_quiet_run_says_only_its_counts(folder: Path, encoder: Path, run: Run) -> None:
    (folder / "good.txt").write_text("The buoy is red.", encoding="utf-8")
    result = run("ingest", ".", "--quiet")
    assert (result.stdout, result.stderr) == ("added 1, updated 0, skipped 0, deleted 0, failed 0\n", "")


def test_failed_file_is_tried_again_when_it_is_asked_for(folder: Path, encoder: Path, run: Run) -> None:
    (folder / "large.txt").write_text("The buoy is red. " * 70_000, encoding="utf-8")
    result = run("ingest", ".", RAGWRIGHT_INGEST__FILE_MEGABYTES="1")
    assert result.exit_code == 1
    assert "failed large.txt: is 1.2 MB" in result.stderr
    (folder / "large.txt").write_text("The buoy is red.", encoding="utf-8")
    assert "added 1" in counts(run("ingest", "--retry-failed"))
    result = run("ingest", "--retry-failed")
    assert (result.exit_code, "nothing to try again" in result.stderr) == (0, True)


def test_changed_chunk_settings_are_refused_until_the_index_is_rebuilt(project: Path, run: Run) -> None:
    changed = {"RAGWRIGHT_CHUNK__TOKENS": "64"}
    result = run("ingest", "docs", **changed)
    assert result.exit_code == 1
    assert "other chunk settings" in result.stderr
    assert "run: ragwright ingest --rebuild" in result.stderr
    result = run("ingest", "--rebuild", **changed)
    assert (result.exit_code, result.stdout) == (0, "rebuilt the index: 3 documents, 3 chunks\n")
    assert counts(run("ingest", "docs", **changed)) == "added 0, updated 0, skipped 3, deleted 0, failed 0"
    assert "sound: 3 documents" in run("doctor", **changed).stdout
    assert [path.name for path in (project / ".ragwright" / "indexes").iterdir() if path.is_dir()] == ["v2"]


def test_rebuild_can_be_followed_by_files(project: Path, run: Run) -> None:
    (project / "docs" / "new.txt").write_text("The buoy is red.", encoding="utf-8")
    assert run("ingest", "--rebuild", "docs", "--dry-run").stdout.splitlines() == [
        "would rebuild the index from 3 documents",
        "would add docs/new.txt",
        "would add 1, update 0, skip 3, delete 0",
    ]
    report = json.loads(run("ingest", "--rebuild", "docs", "--json").stdout)
    assert (report["rebuilt"]["updated"], report["added"], report["skipped"]) == (3, 1, 3)
    assert "sound: 4 documents" in run("doctor").stdout


def test_second_writer_is_told_who_holds_the_workspace(project: Path, run: Run) -> None:
    with workspace_lock(project / ".ragwright", purpose="ragwright ingest"):
        for command in (["ingest", "docs"], ["forget", "docs"]):
            result = run(*command)
            assert result.exit_code == 1
            assert f"is held by process {os.getpid()} (ragwright ingest, since " in result.stderr
            assert result.stderr.count("\n") == 1
        assert run("status").exit_code == 0
        assert run("ingest", "docs", "--dry-run").exit_code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_stopped_run_ends_with_130_and_can_be_repeated(
    folder: Path, encoder: Path, run: Run, number: signal.Signals
) -> None:
    for each in range(60):
        text = "".join(f"Buoy {each} {line} is painted red and white.\n\n" for line in range(300))
        (folder / f"{each}.md").write_text(text, encoding="utf-8")
    command = [sys.executable, "-c", MAIN, "ingest", ".", "--jobs", "1"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        wait_for(lambda: (folder / ".ragwright" / "indexes" / "v1").is_dir())
        process.send_signal(number)
        output, errors = process.communicate(timeout=20)
    assert (process.returncode, output) == (130, "")
    assert errors.endswith(
        "stopped; what is indexed stays, and the same command goes on from there\ninterrupted\n"
    )
    assert "Traceback" not in errors
    wait_for(lambda: not living(process.pid))
    for path in folder.glob("[2-9]*.md"):
        path.unlink()
    for path in folder.glob("1?.md"):
        path.unlink()
    result = run("ingest", ".")
    assert (result.exit_code, "failed 0" in counts(result)) == (0, True)
    assert "sound: 2 documents" in run("doctor").stdout


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def living(group: int) -> list[str]:
    """Processes of a group that still run."""
    states = [path.read_text(encoding="utf-8") for path in Path("/proc").glob("[0-9]*/stat")]
    fields = [state.rpartition(")")[2].split() for state in states]
    return [each[0] for each in fields if int(each[2]) == group and each[0] not in "ZX"]
