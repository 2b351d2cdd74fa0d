"""Encoding ahead of writing: in order, bounded, each text once, and nothing left behind when it stops."""

from __future__ import annotations

import gc
import threading
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.fakes import HashEncoder
from tests.ingest.workbench import Silent, Workbench, bench_in, prose

from ragwright.core.types import Block, Document, Encoding, Passage
from ragwright.ingest import pipeline, writer
from ragwright.ingest.discover import document_id
from ragwright.ingest.prepare import PreparedDocument
from ragwright.ingest.report import IngestReport
from ragwright.ingest.texts import as_document, ingest_texts
from ragwright.ingest.writer import IndexWriter

SLICE = 5


class Gated(HashEncoder):
    """An encoder whose calls wait for a gate, or fail at one.

    Attributes:
        begun: Calls so far.
        fails: The number of the call that fails, from 1; 0 for none.
    """

    def __init__(self, *, fails: int = 0) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.begun = 0
        self.fails = fails

    def encode_passages(self, passages: Sequence[Passage]) -> list[Encoding]:
        self.begun += 1
        number = self.begun
        assert self.gate.wait(20)
        if number == self.fails:
            raise OSError("the device is gone")
        return super().encode_passages(passages)


@pytest.fixture
def bench(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workbench]:
    monkeypatch.setattr(writer, "_MOST_CHUNKS", SLICE)
    before = set(threading.enumerate())
    with bench_in(project) as made:
        yield made
    assert set(threading.enumerate()) <= before


def _prepared(bench: Workbench, source: str, seed: int, *, chunks: int = SLICE) -> PreparedDocument:
    """A document of so many chunks."""
    text = prose(seed, sentences=40)
    document = Document(document_id(source), source, "T", text, (Block("paragraph", 0, len(text)),))
    made = tuple(bench.chunker(document))[:chunks]
    assert len(made) == chunks
    return PreparedDocument(document, made, "digest", len(text), "general")


def _writer(bench: Workbench, report: IngestReport | None = None) -> IndexWriter:
    bench.observer = Silent()
    return IndexWriter(bench.target, former=(), report=report or IngestReport(), observer=bench.observer)


def test_two_slices_are_encoded_while_a_third_waits_and_no_document_is_taken_beyond(bench: Workbench) -> None:
    encoder = bench.encoder = Gated()
    taken: list[int] = []

    def write() -> None:
        with _writer(bench) as made:
            for number in range(6):
                made.add(_prepared(bench, f"{number}.md", number))
                taken.append(number)
            made.finish()

    thread = threading.Thread(target=write)
    thread.start()
    while len(taken) < 3:
        time.sleep(0.01)
    time.sleep(0.1)
    assert (encoder.begun, len(taken), bench.index.count()) == (2, 3, 0)
    encoder.gate.set()
    thread.join()
    assert [source for source, _ in bench.observer.outcomes] == [f"{number}.md" for number in range(6)]
    bench.check()


def test_an_encoder_without_work_gets_a_small_slice_and_a_busy_one_a_full_one(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_MOST_CHUNKS", 1000)
    encoder = bench.encoder = Gated()
    first = _prepared(bench, "0.md", 0)
    tokens = sum(chunk.tokens for chunk in first.chunks)
    monkeypatch.setattr(HashEncoder, "call_tokens", 4 * tokens)
    with _writer(bench) as made:
        made.add(first)
        while encoder.begun < 1:
            time.sleep(0.01)
        for number in range(1, 3):
            made.add(_prepared(bench, f"{number}.md", number))
        assert encoder.begun == 1
        encoder.gate.set()
        made.finish()
    assert encoder.begun == 2
    bench.check()


def test_a_text_that_is_being_encoded_in_an_earlier_slice_is_not_encoded_again(bench: Workbench) -> None:
    encoder = bench.encoder = Gated()
    report = IngestReport()
    with _writer(bench, report) as made:
        for number in range(3):
            made.add(_prepared(bench, f"{number}.md", seed=1))
        encoder.gate.set()
        for number in range(3, 6):
            made.add(_prepared(bench, f"{number}.md", seed=1))
        made.finish()
    assert (len(encoder.encoded), report.reused, report.chunks) == (SLICE, 5 * SLICE, 6 * SLICE)
    vectors = bench.index.encodings(bench.chunk_ids())
    assert len({each.vector.tobytes() for each in vectors.values()}) == SLICE
    bench.check()


def test_a_text_of_a_written_slice_is_found_before_its_document_is_committed(bench: Workbench) -> None:
    one = _prepared(bench, "a.md", 1, chunks=1)
    ids = [f"00000000-0000-4000-8000-{number:012}" for number in range(40)]
    report = IngestReport()
    with _writer(bench, report) as made:
        made.add(replace(one, chunks=tuple(replace(one.chunks[0], id=each) for each in ids)))
        made.finish()
    assert (len(bench.encoder.encoded), report.reused, report.added) == (1, 39, 1)
    assert bench.chunk_ids() == ids


@pytest.mark.parametrize("call", [1, 2, 4])
def test_an_error_of_the_encoder_is_raised_and_what_was_committed_stays(call: int, bench: Workbench) -> None:
    encoder = bench.encoder = Gated(fails=call)
    encoder.gate.set()
    prepared = [_prepared(bench, f"{number}.md", number, chunks=7) for number in range(5)]

    def write() -> None:
        with _writer(bench) as made:
            for each in prepared:
                made.add(each)
            made.finish()

    with pytest.raises(OSError, match="the device is gone"):
        write()
    committed = list(bench.catalog.sources())
    assert committed == [f"{number}.md" for number in range(len(committed))]
    assert len(committed) < 5
    ledger = {row.id for row in bench.catalog.ledger(bench.version)}
    assert len(ledger) == 7 * len(committed)
    assert bench.index.fetch(list(ledger)).keys() == ledger
    write()
    bench.check()
    assert len(bench.catalog.sources()) == 5


def test_ctrl_c_while_slices_are_encoded_leaves_no_thread_and_the_next_run_goes_on(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = [as_document(f"{number}.txt", prose(number, sentences=20)) for number in range(12)]

    class Interrupting(Silent):
        def chunks_done(self, count: int, tokens: int) -> None:
            if len(self.outcomes) == 2:
                raise KeyboardInterrupt

    def run(observer: Silent) -> IngestReport:
        return ingest_texts(
            documents, bench.target, total=12, chunker=bench.chunker, domain="general", observer=observer
        )

    with pytest.raises(KeyboardInterrupt):
        run(Interrupting())
    assert 2 <= len(bench.catalog.sources()) < 12
    run(Silent())
    assert len(bench.catalog.sources()) == 12
    bench.check()


class Constant(HashEncoder):
    """The same vectors for everything, of the default encoder's size."""

    dimension = 384
    call_tokens = 2_048

    def encode_passages(self, passages: Sequence[Passage]) -> list[Encoding]:
        vector = np.full(self.dimension, 384**-0.5, np.float32)
        return [Encoding(vector.copy(), np.tile(vector, (len(passage.sentences), 1))) for passage in passages]


class Slow(Silent):
    """Holds up what writes, so that all that may wait does; SQLAlchemy leaves small cycles behind."""

    def chunks_done(self, count: int, tokens: int) -> None:
        gc.collect()
        time.sleep(0.02)


class NoIndex:
    """An index that keeps nothing, so that what the pipeline keeps is seen alone."""

    def __getattr__(self, name: str) -> object:
        return lambda *_: {}


@pytest.mark.slow
def test_memory_is_flat_in_the_size_of_the_corpus(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """The smaller corpus is already several times what may be in flight."""
    monkeypatch.setattr(writer, "_MOST_CHUNKS", 4096)
    monkeypatch.setattr(pipeline, "_AHEAD", 20_000)

    def peak(first: int, documents: int) -> int:
        target = replace(bench.target, encoder=Constant(), index=NoIndex())  # type: ignore[arg-type]
        numbers = range(first, first + documents)
        made = (as_document(f"{number}.txt", prose(number, sentences=40)) for number in numbers)
        options = {"chunker": bench.chunker, "domain": "general", "observer": Slow()}
        tracemalloc.start()
        try:
            ingest_texts(made, target, total=documents, **options)  # type: ignore[arg-type]
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(0, 5)  # what is loaded once
    gc.freeze()  # makes collecting quick
    request.addfinalizer(gc.unfreeze)
    assert peak(1000, 600) < 1.3 * peak(10, 60)
