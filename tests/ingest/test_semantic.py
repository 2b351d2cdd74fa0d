"""Chunks by meaning: cut where the topic changes, and nothing is encoded twice."""

from __future__ import annotations

import itertools
import random
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes import HashEncoder
from tests.ingest.crash_worker import SLICE, STEPS
from tests.ingest.crashes import Crashes
from tests.ingest.workbench import Workbench, bench_in, parse_here, prose, write_files

from ragwright.app.console import Console
from ragwright.app.indexing import discover_paths, ingest_files
from ragwright.app.progress import Progress
from ragwright.app.workspace import Workspace
from ragwright.core.config import load_config
from ragwright.core.errors import ConfigError
from ragwright.core.profile import Profile
from ragwright.core.protocols import Encoder, EncodingChunker, Tokenizer
from ragwright.core.types import Document, Encoding, Passage
from ragwright.ingest import pipeline, writer
from ragwright.ingest.chunk import build_chunker
from ragwright.ingest.doctor import examine
from ragwright.ingest.outline import Outliner
from ragwright.ingest.packing import Budget
from ragwright.ingest.parse import parse
from ragwright.ingest.ruler import TokenRuler
from ragwright.ingest.semantic import Grouper, WindowedSentences
from ragwright.retrieval.encoder import TransformerEncoder

CORPORA = Path(__file__).parents[3] / "shared/data/chroma/corpora"
BREAD = (
    "Bread dough is kneaded until it is smooth. The yeast makes the dough rise in a warm place. "
    "A hot oven gives the loaf a crisp crust. Rye flour makes a darker and heavier bread. "
)
ORBIT = (
    "The satellite circles the Earth once in ninety minutes. Its solar panels charge the batteries. "
    "A rocket carried the probe into orbit. Engineers steer the spacecraft with small thrusters."
)


class Recorder(HashEncoder):
    """Keeps the passages."""

    def __init__(self) -> None:
        super().__init__()
        self.passages: list[Passage] = []

    def encode_passages(self, passages: Sequence[Passage]) -> list[Encoding]:
        self.passages.extend(passages)
        return super().encode_passages(passages)


def semantic(tokenizer: Tokenizer, encoder: Encoder, *, tokens: int = 60) -> EncodingChunker:
    made = build_chunker(Profile(), tokenizer, encoder=encoder, strategy="semantic", tokens=tokens)
    assert isinstance(made, EncodingChunker)
    return made


@pytest.fixture
def bench(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workbench]:
    monkeypatch.setattr(writer, "_MOST_CHUNKS", SLICE)
    monkeypatch.setattr(pipeline, "parse_files", parse_here)
    with bench_in(project, strategy="semantic") as made:
        yield made


@pytest.mark.parametrize("text", [BREAD + ORBIT, ORBIT + " " + BREAD])
def test_two_topics_in_one_paragraph_are_cut_where_one_ends(
    text: str, tokenizer: Tokenizer, encoder: TransformerEncoder
) -> None:
    chunks = semantic(tokenizer, encoder, tokens=100)(Document("d", "a.txt", "", text))
    assert {chunk.text for chunk in chunks} == {BREAD.strip(), ORBIT}


def test_every_sentence_is_encoded_once_and_keeps_that_vector(tokenizer: Tokenizer) -> None:
    text = "\n\n".join(f"# Part {n}\n\n{prose(n, sentences=30)}" for n in range(5))
    document = Document("d", "a.md", "Title", text)
    encoder = Recorder()
    found = semantic(tokenizer, encoder).encode(document)
    read = [p.text[start:end] for p in encoder.passages for start, end in p.sentences]
    sentences = [text[s.start : s.end] for chunk in found.chunks for s in chunk.sentences]
    assert sentences == read
    assert found.tokens == sum(len(tokenizer.starts(p.text)) + 2 for p in encoder.passages)
    vectors = dict(zip(sentences, (HashEncoder().encode_queries(sentences)), strict=True))
    for chunk in found.chunks:
        inside = [text[s.start : s.end] for s in chunk.sentences]
        encoding = found.encodings[chunk.id]
        assert np.allclose(encoding.sentences, [vectors[each] for each in inside], atol=1e-6)
        pooled = sum(vectors[each] * len(tokenizer.starts(each)) for each in inside)
        assert np.allclose(encoding.vector, pooled / np.linalg.norm(pooled), atol=1e-6)


@pytest.mark.parametrize("tokens", [20, 60, 200])
def test_it_reads_hardly_more_tokens_than_the_default_strategy(tokenizer: Tokenizer, tokens: int) -> None:
    document = Document("d", "a.md", "Title", "\n\n".join(prose(n, sentences=9) for n in range(40)))
    chunks = build_chunker(Profile(), tokenizer)(document)
    found = semantic(tokenizer, HashEncoder(), tokens=tokens).encode(document)
    assert found.tokens <= 1.03 * sum(chunk.tokens for chunk in chunks)


@pytest.mark.slow
def test_on_the_public_corpora_it_reads_hardly_more_tokens_either(tokenizer: Tokenizer) -> None:
    if not CORPORA.exists():
        pytest.skip("the public corpora are not on this machine")
    for path in sorted(CORPORA.glob("*.md")):
        document = Document(path.stem, path.name, path.name, path.read_text(encoding="utf-8"))
        default = sum(chunk.tokens for chunk in build_chunker(Profile(), tokenizer)(document))
        encoder = Recorder()
        semantic(tokenizer, encoder, tokens=200)(document)
        read = sum(len(tokenizer.starts(p.text)) + 2 for p in encoder.passages)
        assert read <= 1.03 * default


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), budget=st.integers(25, 90))
def test_no_other_grouping_within_the_budget_is_worth_more(
    seed: int, budget: int, tokenizer: Tokenizer
) -> None:
    text = prose(seed, sentences=8)
    grouper, count = _grouper(text, Budget(budget, 0), tokenizer)
    starts, ends = grouper._sentences.starts, grouper._sentences.ends
    tables = {
        stop: (first, grouper._worths(first, stop) - grouper._costs[first:stop])
        for stop in range(1, count + 1)
        for first in [grouper._earliest(stop, 0)]
    }

    def worth(edges: Sequence[int]) -> float:
        total = 0.0
        for one, other in itertools.pairwise(edges):
            first, values = tables[other]
            if one < first:
                return -np.inf
            total += float(values[one - first])
        return total

    inner = range(1, count)
    every = (cuts for number in range(count) for cuts in itertools.combinations(inner, number))
    best = max(worth((0, *cuts, count)) for cuts in every)
    groups = grouper(0, len(text))
    found = [0, *(int(ends.searchsorted(end)) + 1 for _, end in groups)]
    assert [start for start, _ in groups] == [int(starts[place]) for place in found[:-1]]
    assert worth(found) == pytest.approx(best)


def _grouper(text: str, budget: Budget, tokenizer: Tokenizer) -> tuple[Grouper, int]:
    document = Document("d", "a.txt", "", text)
    windows = build_chunker(Profile(), tokenizer, tokens=30)(document)
    pieces = [(s.start, s.end) for window in windows for s in window.sentences]
    ruler = TokenRuler(text, tokenizer)
    sentences = WindowedSentences(pieces, windows, ruler=ruler, encoder=HashEncoder())
    return Grouper(sentences, Outliner(Profile())(document), budget), len(pieces)


def test_a_heading_begins_a_chunk_and_never_ends_one(tokenizer: Tokenizer) -> None:
    text = "\n\n".join(f"# Part {n}\n\n## Section\n\n{prose(n, sentences=9)}" for n in range(9))
    document = Document("d", "a.md", "Title", text, parse(text.encode(), "a.md").blocks)
    texts = [chunk.text for chunk in semantic(tokenizer, HashEncoder())(document)]
    assert not any(each.endswith(("Section", f"Part {n}")) for each in texts for n in range(9))
    assert sum(each.startswith("# Part") for each in texts) == sum("# Part" in each for each in texts) == 9


def test_the_fingerprint_names_the_strategy_and_the_encoder(tokenizer: Tokenizer) -> None:
    other = HashEncoder()
    other.fingerprint = "another"
    one = semantic(tokenizer, HashEncoder()).fingerprint
    assert one == semantic(tokenizer, HashEncoder()).fingerprint
    assert one.startswith("semantic-60-")
    assert one != semantic(tokenizer, other).fingerprint


def test_without_an_encoder_it_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(ConfigError, match="got no encoder"):
        build_chunker(Profile(), tokenizer, strategy="semantic")


def test_an_ingest_encodes_windows_only_and_unchanged_files_not_at_all(bench: Workbench) -> None:
    write_files(bench.project, 12, sentences=40)
    report = bench.ingest()
    assert len(bench.encoder.encoded) < report.chunks == bench.index.count()
    assert (report.reused, report.added) == (0, 12)
    assert report.tokens == sum(len(bench.encoder.tokenizer.starts(t)) + 2 for t in bench.encoder.encoded)
    bench.check()
    assert bench.ingest().skipped == 12
    assert bench.encoder.encoded == []
    assert any("Report 7" in text for text in bench.found("Report 7"))


def test_what_else_stood_in_the_window_is_part_of_the_digest(bench: Workbench) -> None:
    """A chunk keeps its id while a sentence before it changes; the ledger says that its vectors differ."""
    path = bench.project / "a.md"
    former = prose(1, sentences=14)
    path.write_text(former)
    bench.ingest()
    before = {row.id: row.encoded for row in bench.catalog.ledger(bench.version)}
    path.write_text(former[:-2].rpartition(" ")[0] + " stones.\n")
    bench.ingest()
    bench.check()
    after = {row.id: row.encoded for row in bench.catalog.ledger(bench.version)}
    kept = before.keys() & after.keys()
    assert kept
    assert any(before[key] != after[key] for key in kept)
    assert all(before[key].partition("-")[0] == after[key].partition("-")[0] for key in kept)


@pytest.mark.parametrize(
    "step", [each if each == "written" else pytest.param(each, marks=pytest.mark.slow) for each in STEPS]
)
def test_after_a_crash_the_next_run_ends_as_a_clean_one(
    step: str, bench: Workbench, crashes: Crashes
) -> None:
    """Same chunks with the same bits, whatever the run had written when it died."""
    clean, killed = bench.project / "clean", bench.project / "killed"
    for project in (clean, killed):
        write_files(project, 3, sentences=30)
        with bench_in(project, strategy="semantic") as made:
            made.ingest()
        chance = random.Random(1)
        for path in sorted(project.glob("*.md")):
            place = chance.randrange(len(path.read_text()))
            path.write_text(path.read_text().replace(". ", f". Number {place} ", 1))
        (project / "new.md").write_text(prose(99, sentences=60))
    assert crashes.killed(killed, step, strategy="semantic") == -signal.SIGKILL
    found = []
    for project in (clean, killed):
        with bench_in(project, strategy="semantic") as made:
            made.ingest()
            made.check()
            vectors = made.index.encodings(made.chunk_ids())
            bits = {key: (e.vector.tobytes(), e.sentences.tobytes()) for key, e in vectors.items()}
            found.append((bits, {row.id: row.encoded for row in made.catalog.ledger(made.version)}))
    assert found[0] == found[1]


def test_the_command_ingests_and_searches_with_it(tmp_path: Path, model_cache: Path) -> None:
    flags = {
        "workspace": tmp_path / ".ragwright",
        "encoder.cache": model_cache,
        "chunk.strategy": "semantic",
        "chunk.tokens": 100,
    }
    (tmp_path / "a.txt").write_text(BREAD + ORBIT)
    workspace = Workspace(load_config(flags=flags, file=None, environ={}).config)
    with Progress(Console(quiet=True)) as progress:
        report = ingest_files(workspace, discover_paths(workspace, [tmp_path]), progress)
    assert (report.added, report.chunks) == (1, 2)
    hits = workspace.retriever.search("What lifts a probe into space?")
    assert hits[0].chunk.text == ORBIT
    assert any("rocket" in evidence.text for evidence in hits[0].evidence)
    version, manifest = workspace.live()
    assert manifest.chunkers["general"].startswith("semantic-100-")
    assert list(examine(workspace.catalog, workspace.open_index(version, manifest), version)) == []
    workspace.close()
