"""`ragwright doctor`: damage is found, named, and mended by the command it names."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

from tests.app.conftest import copy
from typer.testing import Result

Run = Callable[..., Result]


def test_sound_workspace_is_told_with_its_counts(in_demo: Path, run: Run) -> None:
    result = run("doctor")
    assert result.exit_code == 0
    assert result.stdout.startswith("sound: 33 documents, ")
    document = json.loads(run("doctor", "--json").stdout)
    assert (document["findings"], document["counts"]["documents"]) == ([], 33)


def flip(path: Path) -> None:
    """Change one bit in the middle of a file's written part."""
    data = bytearray(path.read_bytes())
    data[len(data.rstrip(b"\0")) // 2] ^= 1
    path.write_bytes(data)


def largest(folder: Path) -> Path:
    """The largest file in which something is written: copies of sparse files take space for nothing."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.read_bytes().strip(b"\0"))
    return max(files, key=lambda path: path.stat().st_blocks)


def test_flipped_byte_in_an_index_file_is_found_and_a_rebuild_mends_it(project: Path, run: Run) -> None:
    shard = project / ".ragwright" / "indexes" / "v1"
    damaged = largest(shard)
    flip(damaged)
    result = run("doctor")
    assert result.exit_code == 1
    assert f"damaged (index files): {shard}: {damaged.relative_to(shard)} has changed" in result.stdout
    assert "Traceback" not in result.output
    [first, *_] = json.loads(run("doctor", "--json").stdout)["findings"]
    assert first["remedy"] == "run: ragwright ingest --rebuild"
    assert run("ingest", "--rebuild").exit_code == 0
    assert "sound: 3 documents, 3 chunks" in run("doctor").stdout
    assert "harbour.md" in run("search", "tide gate").stdout


def test_deleted_index_is_found_and_a_rebuild_mends_it(project: Path, run: Run) -> None:
    shutil.rmtree(project / ".ragwright" / "indexes" / "v1")
    result = run("doctor")
    assert result.exit_code == 1
    assert "run: ragwright ingest --rebuild" in result.stdout
    for command in (["search", "crane"], ["ask", "crane"], ["ingest", "docs"], ["forget", "docs"]):
        result = run(*command)
        assert result.exit_code == 1
        assert "ragwright ingest --rebuild" in result.stderr
        assert result.stderr.count("\n") == 1
    assert run("ingest", "--rebuild").exit_code == 0
    assert "sound: 3 documents, 3 chunks" in run("doctor").stdout


def test_chunk_that_is_not_its_documents_text_is_found(project: Path, run: Run) -> None:
    with sqlite3.connect(project / ".ragwright" / "catalog.sqlite3") as catalog:
        catalog.execute("UPDATE chunks SET start = start + 1")
    catalog.close()
    result = run("doctor")
    assert result.exit_code == 1
    assert result.stdout.count("stands at other offsets in the index than in the ledger") == 3


def test_many_findings_of_a_kind_are_counted(in_demo: Path, run: Run, folder: Path) -> None:
    workspace = folder / ".ragwright"
    copy(in_demo / ".ragwright", folder)
    with sqlite3.connect(workspace / "catalog.sqlite3") as catalog:
        catalog.execute('UPDATE chunks SET "end" = "end" + 1')
    catalog.close()
    result = run("doctor", "--workspace", str(workspace))
    assert result.exit_code == 1
    assert result.stdout.count("stands at other offsets") == 10
    assert " more like the last one (chunk); --json lists them all" in result.stdout


def test_damaged_catalog_is_one_sentence_everywhere(project: Path, run: Run) -> None:
    catalog = project / ".ragwright" / "catalog.sqlite3"
    for name in ("catalog.sqlite3-wal", "catalog.sqlite3-shm"):
        catalog.with_name(name).unlink(missing_ok=True)
    catalog.write_bytes(b"SQLite format 3\0" + b"\x5a" * 8000)
    for command in ("doctor", "status", "search crane", "ask crane", "ingest docs", "forget docs"):
        result = run(*command.split())
        assert result.exit_code == 1, command
        assert "catalog" in result.output
        assert "Traceback" not in result.output
        assert result.stderr.count("\n") <= 1


def test_a_setting_that_does_not_fit_is_not_called_damage(project: Path, run: Run) -> None:
    result = run("doctor", "--set", "encoder.dimension=128")
    assert result.exit_code == 1
    assert result.stdout.startswith("does not fit (setting): index v1 was made with all-MiniLM-L6-v2 (")
    assert ", 384 dimensions), and the configured model is all-MiniLM-L6-v2 (" in result.stdout
    assert result.stdout.endswith("encoder.dimension back, or run: ragwright ingest --rebuild\n")
    assert "damaged" not in result.output
    [finding] = json.loads(run("doctor", "--json", "--set", "encoder.dimension=128").stdout)["findings"]
    assert finding["part"] == "setting"
    assert finding["remedy"].endswith("or run: ragwright ingest --rebuild")
    assert "sound" in run("doctor").stdout


def test_an_index_of_another_layout_does_not_fit(project: Path, run: Run) -> None:
    with sqlite3.connect(project / ".ragwright" / "catalog.sqlite3") as catalog:
        catalog.execute("UPDATE index_versions SET manifest = json_set(manifest, '$.schema', 1)")
    catalog.close()
    result = run("doctor")
    assert result.exit_code == 1
    assert result.stdout.startswith("does not fit (setting): index v1 has layout 1 and this version of ")
    assert result.stdout.endswith("; run: ragwright ingest --rebuild\n")
    assert run("ingest", "--rebuild").exit_code == 0
    assert "sound" in run("doctor").stdout


def test_a_model_that_cannot_be_opened_is_no_damage_of_the_index(project: Path, run: Run) -> None:
    flip(largest(project / ".ragwright" / "indexes" / "v1"))
    lines = run("doctor", "--set", "encoder.model=nowhere").stdout.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("damaged (index files): "), "these are compared without any model"
    assert lines[1].startswith('cannot be used (model): no model "nowhere"')
    assert "set encoder.model to" in lines[1]


def test_nothing_to_examine_before_any_ingest(folder: Path, run: Run) -> None:
    result = run("doctor")
    assert result.exit_code == 1
    assert "holds no documents; run: ragwright ingest PATH" in result.stderr
