"""Writing: each text encoded once, everything committed, nothing left pending."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes import HashEncoder
from tests.ingest.workbench import Silent, Workbench, bench_in, prose

from ragwright.core.protocols import EncodedChunks
from ragwright.core.types import Block, Chunk, Document, Encoding, Passage, Span
from ragwright.ingest import writer
from ragwright.ingest.discover import document_id
from ragwright.ingest.prepare import PreparedDocument, encoded_digest
from ragwright.ingest.report import IngestReport
from ragwright.ingest.writer import IndexWriter


@pytest.fixture
def bench(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workbench]:
    monkeypatch.setattr(writer, "_MOST_CHUNKS", 5)
    with bench_in(project) as made:
        yield made


def _prepared(bench: Workbench, source: str, text: str) -> PreparedDocument:
    document = Document(document_id(source), source, "T", text, (Block("paragraph", 0, len(text)),))
    return PreparedDocument(document, tuple(bench.chunker(document)), "digest", len(text), "general")


def _write(bench: Workbench, *prepared: PreparedDocument) -> IngestReport:
    report = IngestReport()
    with IndexWriter(bench.target, former=(), report=report, observer=Silent()) as made:
        for each in prepared:
            made.add(each)
        made.finish()
        made.optimize()
    return report


@pytest.mark.parametrize("sentences", [[1], [60], [1, 60, 1, 1], [1] * 12, []])
def test_every_document_is_committed_however_it_falls_into_slices(
    sentences: list[int], bench: Workbench
) -> None:
    prepared = [_prepared(bench, f"{n}.md", prose(n, sentences=s)) for n, s in enumerate(sentences)]
    report = _write(bench, *prepared)
    assert report.added == len(bench.catalog.sources()) == len(sentences)
    assert report.chunks == bench.index.count() == sum(len(each.chunks) for each in prepared)
    assert report.tokens == sum(chunk.tokens for each in prepared for chunk in each.chunks)
    bench.check()


def test_a_document_without_chunks_is_committed_too(bench: Workbench) -> None:
    empty = replace(_prepared(bench, "a.md", "x"), chunks=())
    assert _write(bench, empty, _prepared(bench, "b.md", prose(1))).added == 2
    assert list(bench.catalog.sources()) == ["a.md", "b.md"]


def test_equal_texts_are_encoded_once_within_a_slice_and_across_runs(bench: Workbench) -> None:
    text = prose(1, sentences=4)
    report = _write(bench, *(_prepared(bench, f"{n}.md", text) for n in range(2)))
    assert report.chunks == 2 * len(bench.encoder.encoded) == 2 * report.reused
    _write(bench, _prepared(bench, "again.md", text))
    assert 2 * len(bench.encoder.encoded) == report.chunks
    bench.check()


def test_vectors_that_cutting_made_are_written_as_they_are(bench: Workbench) -> None:
    prepared = _prepared(bench, "a.md", prose(1, sentences=9))
    made = HashEncoder().encode_passages([Passage.of(chunk) for chunk in prepared.chunks])
    turned = [Encoding(each.vector[::-1].copy(), each.sentences) for each in made]
    ids = [chunk.id for chunk in prepared.chunks]
    encodings = dict(zip(ids, turned, strict=True))
    encoded = EncodedChunks(prepared.chunks, encodings, dict.fromkeys(ids, "origin"), tokens=7)
    report = _write(bench, replace(prepared, encoded=encoded))
    assert bench.encoder.encoded == []
    assert (report.tokens, report.reused, report.chunks) == (7, 0, len(ids))
    stored = bench.index.encodings(ids)
    assert all(np.array_equal(stored[key].vector, encodings[key].vector) for key in ids)
    assert all(row.encoded.endswith("-origin") for row in bench.catalog.ledger(bench.version))
    bench.check()
    # Nothing else read the same, so that a text of equal digest without an origin is encoded.
    assert _write(bench, _prepared(bench, "b.md", prose(1, sentences=9))).reused == 0
    bench.check()


def test_an_index_is_optimised_once_after_it_was_written_even_by_a_run_that_died(bench: Workbench) -> None:
    report = IngestReport()
    with IndexWriter(bench.target, former=(), report=report, observer=Silent()) as dying:
        dying.add(_prepared(bench, "a.md", prose(1)))
        dying.finish()
    assert not bench.catalog.is_settled(bench.version)
    assert "optimize" in _write(bench).seconds
    assert "optimize" not in _write(bench).seconds


CHUNK = Chunk("id", Span("d", 10, 20), "0123456789", "Title\n", (), None, (Span("d", 10, 20),), 5)


@given(st.sampled_from(["text", "context", "sentences"]), st.text(max_size=5))
def test_the_digest_names_all_that_the_encoder_reads_and_nothing_else(field: str, text: str) -> None:
    moved = replace(CHUNK, id="x", span=Span("e", 15, 25), sentences=(Span("e", 15, 25),), page=3, tokens=9)
    assert encoded_digest(moved) == encoded_digest(CHUNK)
    value = (Span("d", 10, 15), Span("d", 15, 20)) if field == "sentences" else text
    changed = replace(CHUNK, **{field: value})  # type: ignore[arg-type]
    assert (encoded_digest(changed) == encoded_digest(CHUNK)) == (getattr(CHUNK, field) == value)


def test_where_context_ends_and_text_begins_is_part_of_the_digest() -> None:
    one = replace(CHUNK, context="ab", text="c", sentences=())
    other = replace(CHUNK, context="a", text="bc", sentences=())
    assert encoded_digest(one) != encoded_digest(other)
