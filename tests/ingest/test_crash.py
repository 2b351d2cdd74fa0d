"""A process that dies at any moment loses nothing that was committed, and leaves nothing behind."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest
from tests.ingest.crash_worker import SLICE, STEPS, edit_files
from tests.ingest.crashes import Crashes
from tests.ingest.workbench import (
    Workbench,
    bench_in,
    parse_here,
    prose,
    write_files,
)

from ragwright.ingest import pipeline, writer

QUERIES = [
    "river bank", "winter engine", "copper signal", "garden harbour", "mirror planet", "velvet thunder",
    "zinc amber", "candle desert", "glacier island", "number 7",
]  # fmt: skip


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_MOST_CHUNKS", SLICE)
    monkeypatch.setattr(pipeline, "parse_files", parse_here)


def _clean(project: Path) -> tuple[list[str], list[list[tuple[str, float]]]]:
    """Chunks and rankings of a project that was ingested in one go."""
    write_files(project, 20)
    edit_files(project)
    with bench_in(project) as bench:
        bench.ingest()
        bench.check()
        return bench.chunk_ids(), bench.ranking(QUERIES)


@pytest.mark.parametrize("turns", [2, pytest.param(30, marks=pytest.mark.slow)])
def test_after_kill_9_at_any_moment_the_next_run_ends_as_a_clean_one(
    crashes: Crashes, project: Path, turns: int
) -> None:
    """R-01: same chunks, same results of ten queries, nothing damaged."""
    expected = _clean(project / "clean")
    whole = min(crashes.updated(project / f"whole{turn}", kill_after=60) for turn in range(2))
    chance = random.Random(turns)
    for turn in range(turns):
        killed = project / f"killed{turn}"
        crashes.updated(killed, kill_after=chance.uniform(0, whole))
        with bench_in(killed) as bench:
            bench.ingest()
            bench.check()
            assert (bench.chunk_ids(), bench.ranking(QUERIES)) == expected, f"turn {turn}"


@pytest.mark.parametrize("step", STEPS)
def test_while_a_document_is_updated_its_old_or_its_new_version_answers(
    step: str, project: Path, crashes: Crashes
) -> None:
    """R-02: killed between any two steps; what the ledger names is a slice of the catalog's text."""
    path = project / "guide.md"
    path.write_text("The zebra stood at the river. " + prose(1, sentences=30))
    with bench_in(project) as bench:
        bench.ingest()
    path.write_text("The walrus swam to the island. " + prose(2, sentences=30))
    assert crashes.killed(project, step) == -signal.SIGKILL
    with bench_in(project) as bench:
        document = bench.catalog.document(bench.catalog.sources()["guide.md"])
        assert document is not None
        current = "walrus" if "walrus" in document.text else "zebra"
        assert (current == "walrus") == (step in ("committed", "deleted"))
        assert any(current in text for text in bench.found(f"{current} river island"))
        ledger = {row.id: row for row in bench.catalog.ledger(bench.version)}
        stored = bench.index.fetch(list(ledger))
        assert stored.keys() == ledger.keys()
        for key, row in ledger.items():
            assert stored[key].chunk.text == document.text[row.start : row.end]
        bench.ingest()
        bench.check()
        assert not any("zebra" in text for text in bench.found("zebra river"))
        assert any("walrus" in text for text in bench.found("walrus island"))


@pytest.mark.parametrize("step", STEPS)
def test_a_file_put_back_after_a_crash_is_indexed_as_it_is_now(
    step: str, project: Path, crashes: Crashes
) -> None:
    """Chunks that keep their ids are overwritten in place; neither they nor their vectors may survive."""
    path = project / "guide.md"
    former = "# Alpha\n\n" + prose(1, sentences=40)
    path.write_text(former)
    with bench_in(project) as bench:
        bench.ingest()
        expected = _stored(bench)
    path.write_text(former.replace("# Alpha", "# Gamma"))
    crashes.killed(project, step)
    path.write_text(former)
    (project / "copy.md").write_text(former)
    with bench_in(project) as bench:
        bench.ingest()
        bench.check()
        found = _stored(bench)
        assert {key: found[key] for key in expected} == expected
        assert {each[2:] for each in found.values()} == {each[2:] for each in expected.values()}


def _stored(bench: Workbench) -> dict[str, tuple[object, ...]]:
    """What the index holds of each chunk, its vectors as bytes."""
    ids = bench.chunk_ids()
    chunks, vectors = bench.index.fetch(ids), bench.index.encodings(ids)
    return {
        key: (
            chunks[key].source,
            chunks[key].chunk.span,
            chunks[key].title,
            chunks[key].chunk.context,
            chunks[key].chunk.text,
            vectors[key].vector.tobytes(),
            vectors[key].sentences.tobytes(),
        )
        for key in ids
    }
