"""Ingest and rebuild through objects, as a program uses them, on a server's engine too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ragwright.app.console import Console
from ragwright.app.indexing import discover_failed, discover_paths, ingest_files, rebuild_index
from ragwright.app.progress import Progress
from ragwright.app.workspace import Workspace
from ragwright.core.config import load_config

SILENT = Console(quiet=True)


@pytest.fixture(params=[None, ":memory:"], ids=["embedded", "server"])
def workspace(request: pytest.FixtureRequest, tmp_path: Path, model_cache: Path) -> Iterator[Workspace]:
    """An empty workspace; the server is the client's own engine."""
    flags = {
        "workspace": tmp_path / ".ragwright",
        "encoder.cache": model_cache,
        "index.url": request.param,
    }
    made = Workspace(load_config(flags=flags, file=None, environ={}).config)
    yield made
    made.close()


def _ingest(workspace: Workspace, *paths: Path) -> tuple[int, int, int]:
    with Progress(SILENT) as progress:
        report = ingest_files(workspace, discover_paths(workspace, paths), progress)
    return report.added, report.deleted, report.failed


def test_a_rebuilt_index_answers_as_the_one_before(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "disc.md").write_text("# Brakes\n\nThe disc is replaced at 112 mm.\n")
    (tmp_path / "docs" / "bad.pdf").write_text("%PDF-1.7 cut")
    assert _ingest(workspace, tmp_path / "docs") == (1, 0, 1)
    version, manifest = workspace.live()
    assert workspace.retriever.search("disc")[0].chunk.text.endswith("112 mm.")
    with Progress(SILENT) as progress:
        assert rebuild_index(workspace, progress).updated == 1
    assert workspace.live()[0] != version
    assert workspace.live()[1] == manifest
    (hit,) = workspace.retriever.search("When is the disc replaced?")
    assert "112 mm" in hit.chunk.text
    assert [file.source for file in discover_failed(workspace).files] == ["docs/bad.pdf"]


def test_a_document_whose_newer_file_failed_stays_known_as_failed(
    workspace: Workspace, tmp_path: Path
) -> None:
    path = tmp_path / "disc.md"
    path.write_text("The disc is replaced at 112 mm.\n")
    assert _ingest(workspace, path) == (1, 0, 0)
    path.write_bytes(b"\x00\x01\x02\x03" * 50)
    assert _ingest(workspace, path) == (0, 0, 1)
    failures = workspace.catalog.failures()
    with Progress(SILENT) as progress:
        rebuild_index(workspace, progress)
    assert workspace.catalog.failures() == failures != {}


def test_a_file_that_is_passed_over_now_is_not_forgotten(workspace: Workspace, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    named = [docs / "server.log", docs / ".hidden.md"]
    for path in named:
        path.write_text("The pump starts at noon.\n")
    (docs / "plain.md").write_text("The pump stops at night.\n")
    assert _ingest(workspace, *named, docs)[0] == 3
    assert _ingest(workspace, docs) == (0, 0, 0)
    named[0].unlink()
    assert _ingest(workspace, docs) == (0, 1, 0)
