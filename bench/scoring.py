"""Scoring spans against the published way of doing it: every question, every chunk, every reference.

    python bench/scoring.py

472 questions over the five corpora cut every 400 characters (3,612 chunks). Each question is scored for ten
retrieved chunks and for Precision Omega over all chunks. Both sides must give the same numbers before either
is timed; they take turns, so that a machine that changes its pace harms both alike.
"""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from rows import DATA, Bench
from stopwatch import seconds

from ragwright.core.types import Span
from ragwright.eval.overlap import Characters, ChunkMap, Overlap, overlap, precision_omega

CHUNK_CHARACTERS = 400
RETRIEVED = 10
REPEATS = 5
RUNS = 20  # of the quick side within one repeat, so that both are timed over some tenths of a second
COPIES = 10

Score = tuple[Overlap, float]
Piece = tuple[int, int]


@dataclass(frozen=True)
class Task:
    """What is to be scored: all chunks, and for each question its references and its retrieved chunks."""

    chunks: list[Span]
    questions: list[tuple[list[Span], list[Span]]]


def task(copies: int = 1) -> Task:
    """The five corpora, once or as several copies under other sources, each with its own questions.

    Of the retrieved chunks half are drawn from those beside a reference, so that there is something to score.
    """
    folder = DATA / "chroma"
    if not folder.is_dir():
        raise SystemExit(f"{folder} is not there; this benchmark needs the published corpora and questions")
    lengths = {
        path.stem: len(path.read_text(encoding="utf-8")) for path in sorted((folder / "corpora").glob("*.md"))
    }
    with (folder / "questions_df.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["corpus_id"], json.loads(row["references"])) for row in csv.DictReader(file)]
    chunks = [
        Span(f"{copy}/{source}", start, min(start + CHUNK_CHARACTERS, length))
        for copy in range(copies)
        for source, length in lengths.items()
        for start in range(0, length, CHUNK_CHARACTERS)
    ]
    references = [
        [Span(f"{copy}/{source}", each["start_index"], each["end_index"]) for each in stated]
        for copy in range(copies)
        for source, stated in rows
    ]
    return Task(chunks, _with_retrieved(references, chunks))


def _with_retrieved(
    references: list[list[Span]], chunks: Sequence[Span]
) -> list[tuple[list[Span], list[Span]]]:
    rng = np.random.default_rng(0)
    places = {(chunk.document_id, chunk.start // CHUNK_CHARACTERS): at for at, chunk in enumerate(chunks)}
    questions = []
    for wanted in references:
        nearest = places[wanted[0].document_id, wanted[0].start // CHUNK_CHARACTERS]
        beside = np.clip(nearest + rng.integers(-3, 4, RETRIEVED // 2), 0, len(chunks) - 1)
        anywhere = rng.integers(0, len(chunks), RETRIEVED - RETRIEVED // 2)
        questions.append((wanted, [chunks[at] for at in (*beside, *anywhere)]))
    return questions


def ours(given: Task) -> list[Score]:
    """Through `ragwright.eval`, the sorting of the chunks included."""
    units, chunks = Characters(), ChunkMap(given.chunks)
    return [
        (overlap(references, retrieved, units), precision_omega(references, chunks, units))
        for references, retrieved in given.questions
    ]


def quadratic(given: Task) -> list[Score]:
    """Every chunk against every reference, unions kept as lists that are sorted anew at each match."""
    return [
        (_quadratic_overlap(references, retrieved), _quadratic_omega(references, given.chunks))
        for references, retrieved in given.questions
    ]


def _quadratic_overlap(references: list[Span], retrieved: list[Span]) -> Overlap:
    matched, _, unmatched = _match(references, retrieved)
    by_source: dict[str, list[Piece]] = {}
    for chunk in retrieved:
        pieces = by_source.get(chunk.document_id, [])
        by_source[chunk.document_id] = _merged([*pieces, (chunk.start, chunk.end)])
    hit, missed = _total(matched), _total(unmatched)
    distinct = sum(_total(pieces) for pieces in by_source.values())
    summed = sum(chunk.end - chunk.start for chunk in retrieved)
    relevant = sum(each.end - each.start for each in references)
    return Overlap(
        hit / relevant, hit / distinct, hit / (distinct + missed), hit / summed, hit / (summed + missed)
    )


def _quadratic_omega(references: list[Span], chunks: list[Span]) -> float:
    matched, touched, unmatched = _match(references, chunks)
    return _total(matched) / _total(_merged(touched + unmatched))


def _match(references: list[Span], chunks: list[Span]) -> tuple[list[Piece], list[Piece], list[Piece]]:
    """What the chunks and the references share, the chunks that share it, and what no chunk holds."""
    matched: list[Piece] = []
    touched: list[Piece] = []
    unmatched = [(each.start, each.end) for each in references]
    source = references[0].document_id
    for chunk in chunks:
        if chunk.document_id != source:
            continue
        for reference in references:
            start, end = max(chunk.start, reference.start), min(chunk.end, reference.end)
            if start < end:
                unmatched = _without(unmatched, start, end)
                matched = _merged([(start, end), *matched])
                touched = _merged([(chunk.start, chunk.end), *touched])
    return matched, touched, unmatched


def _merged(pieces: list[Piece]) -> list[Piece]:
    merged: list[Piece] = []
    for start, end in sorted(pieces):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _without(pieces: list[Piece], low: int, high: int) -> list[Piece]:
    kept = []
    for start, end in pieces:
        if end <= low or start >= high:
            kept.append((start, end))
            continue
        kept += [piece for piece in ((start, low), (high, end)) if piece[0] < piece[1]]
    return kept


def _total(pieces: list[Piece]) -> int:
    return sum(end - start for start, end in pieces)


def computing(run: Callable[[Task], object], given: Task, *, runs: int = 1) -> float:
    """Processor seconds of one run: all of it is computing in one thread, and others do not count."""
    return seconds(partial(run, given), runs=runs, clock=time.process_time)


def against_quadratic(bench: Bench, given: Task) -> None:
    """Both sides on the data set as it is."""
    if ours(given) != quadratic(given):
        raise SystemExit("the two ways of scoring disagree; no time is worth measuring")
    pairs = [(computing(ours, given, runs=RUNS), computing(quadratic, given)) for _ in range(REPEATS)]
    size = (
        f"{len(given.questions)} questions, {RETRIEVED} chunks each, Omega over {len(given.chunks):,} chunks"
    )
    note = f"{size}; all six values of every question equal, to the last bit"
    ratios = [theirs / own for own, theirs in pairs]
    bench.add("scoring against every chunk times every reference", ratios, "x", bar=">= 20", note=note)
    each = [own / len(given.questions) * 1e6 for own, _ in pairs]
    bench.add("scoring one question, the sorting of all chunks shared out", each, "microseconds", note=size)


def growth(bench: Bench, given: Task) -> None:
    """The data set as it is, and ten copies of it."""
    many = task(COPIES)
    if [omega for _, omega in ours(many)] != [omega for _, omega in ours(given)] * COPIES:
        raise SystemExit("copies of the corpora score otherwise than the corpora; no time is worth measuring")
    pairs = [(computing(ours, given, runs=RUNS), computing(ours, many, runs=2)) for _ in range(REPEATS)]
    note = f"{len(many.questions):,} questions, {len(many.chunks):,} chunks; linear is {COPIES}"
    ratios = [large / own for own, large in pairs]
    bench.add("scoring time at ten times the questions and chunks", ratios, "x", bar="<= 15", note=note)


def main() -> None:
    """Run and write `bench/results/scoring.json`."""
    bench = Bench("scoring", "python bench/scoring.py")
    given = task()
    against_quadratic(bench, given)
    growth(bench, given)
    bench.write()


if __name__ == "__main__":
    main()
