"""Each kind of damage is named, and a sound workspace is called sound."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.ingest.workbench import Workbench, bench_in, parse_here, prose

from ragwright.core.types import Chunk, Encoding, IndexEntry, Span
from ragwright.ingest import pipeline
from ragwright.ingest.doctor import Finding, examine


@pytest.fixture
def bench(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workbench]:
    monkeypatch.setattr(pipeline, "parse_files", parse_here)
    (project / "guide.md").write_text("# A guide\n\n" + prose(1, sentences=20))
    (project / "other.md").write_text(prose(2, sentences=20))
    with bench_in(project) as made:
        made.ingest()
        assert _findings(made) == []
        yield made


def _findings(bench: Workbench) -> list[Finding]:
    return list(examine(bench.catalog, bench.index, bench.version))


def _only(bench: Workbench) -> Finding:
    (finding,) = _findings(bench)
    assert finding.remedy
    return finding


def _chunk(bench: Workbench) -> Chunk:
    """The second chunk of guide.md."""
    rows = bench.catalog.ledger(bench.version, [bench.catalog.sources()["guide.md"]])
    return bench.index.fetch([rows[1].id])[rows[1].id].chunk


def _write(
    bench: Workbench, chunk: Chunk, *, source: str = "guide.md", encoding: Encoding | None = None
) -> None:
    (vectors,) = bench.index.encodings([_chunk(bench).id]).values()
    bench.index.upsert([IndexEntry(chunk, source, "A guide", {}, encoding or vectors)])


def _sql(bench: Workbench, statement: str, *values: object) -> None:
    database = sqlite3.connect(bench.folder / "catalog.sqlite3")
    with database:
        assert database.execute(statement, values).rowcount > 0
    database.close()


def test_a_chunk_missing_from_the_index_is_named_with_its_source(bench: Workbench) -> None:
    chunk = _chunk(bench)
    bench.index.delete([chunk.id])
    finding = _only(bench)
    assert finding.part == "index"
    assert finding.problem == f"chunk {chunk.id} of guide.md is missing from the index"


def test_a_point_of_no_document_is_named(bench: Workbench) -> None:
    _write(bench, replace(_chunk(bench), id="00000000-0000-0000-0000-000000000001"))
    finding = _only(bench)
    assert "belongs to no document" in finding.problem
    assert "--rebuild" in finding.remedy


def test_what_a_stopped_run_left_is_told_from_damage(bench: Workbench) -> None:
    stray = replace(_chunk(bench), id="00000000-0000-0000-0000-000000000001")
    _sql(bench, "insert into strays values ('v1', ?, 'x')", stray.id)
    _write(bench, stray)
    finding = _only(bench)
    assert "belongs to no document" in finding.problem
    assert "--rebuild" not in finding.remedy
    bench.ingest()
    assert _findings(bench) == []


def test_another_text_in_the_index_is_named(bench: Workbench) -> None:
    chunk = _chunk(bench)
    _write(bench, replace(chunk, text=chunk.text[:-1] + "?"))
    assert "is not the text at" in _only(bench).problem


def test_another_place_in_the_index_is_named(bench: Workbench) -> None:
    chunk = _chunk(bench)
    _write(bench, replace(chunk, span=replace(chunk.span, start=chunk.span.start - 1)))
    assert "other offsets" in _only(bench).problem


def test_another_source_in_the_index_is_named(bench: Workbench) -> None:
    _write(bench, _chunk(bench), source="other.md")
    assert "is a chunk of guide.md in the catalog" in _only(bench).problem


def test_a_sentence_outside_its_chunk_is_named(bench: Workbench) -> None:
    chunk = _chunk(bench)
    beyond = Span(chunk.span.document_id, chunk.span.end, chunk.span.end + 5)
    _write(bench, replace(chunk, sentences=(*chunk.sentences[:-1], beyond)))
    assert "sentences outside" in _only(bench).problem


def test_other_headings_than_those_that_were_encoded_are_named(bench: Workbench) -> None:
    _write(bench, replace(_chunk(bench), context="Another title\n"))
    assert "was not encoded from" in _only(bench).problem


@pytest.mark.parametrize("damage", ["length", "number", "nan"])
def test_damaged_vectors_are_named(damage: str, bench: Workbench) -> None:
    (vectors,) = bench.index.encodings([_chunk(bench).id]).values()
    rows = vectors.sentences.copy()
    if damage == "length":
        rows[0] *= 2
    elif damage == "nan":
        rows[0, 0] = np.nan
    else:
        rows = rows[:1]
    _write(bench, _chunk(bench), encoding=replace(vectors, sentences=rows))
    assert "damaged vectors" in _only(bench).problem


def test_another_text_in_the_catalog_is_named_for_every_chunk(bench: Workbench) -> None:
    other = zlib.compress(b"Something else. " * 100)
    _sql(bench, "update documents set text = ? where source = 'guide.md'", other)
    chunks = len(bench.catalog.ledger(bench.version, [bench.catalog.sources()["guide.md"]]))
    found = _findings(bench)
    assert len(found) == chunks
    assert all("guide.md is not the text at" in finding.problem for finding in found)


def test_a_text_that_cannot_be_read_is_named(bench: Workbench) -> None:
    _sql(bench, "update documents set text = x'0102' where source = 'guide.md'")
    found = _findings(bench)
    assert (found[0].part, found[0].remedy) == ("catalog", "forget it and ingest it again")
    assert "guide.md is damaged" in found[0].problem
    bench.forget("guide.md")
    bench.ingest()
    assert _findings(bench) == []


def test_a_removed_ledger_row_and_a_removed_document_are_named(bench: Workbench) -> None:
    chunk = _chunk(bench)
    _sql(bench, "delete from chunks where id = ?", chunk.id)
    assert "belongs to no document" in _only(bench).problem
    _sql(bench, "delete from documents where source = 'guide.md'")
    assert "its document is missing" in _findings(bench)[0].problem or len(_findings(bench)) > 1
