"""The chunks that questions are asked of, found by id and by place, and the words of texts."""

from __future__ import annotations

import random
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable
from functools import lru_cache

from ragwright.core.types import Chunk, Span
from ragwright.finetune.values import TrainingPassage

SHINGLE = 5
"""Words in a row that texts are compared by."""

_SAMPLE = 2000  # chunks: the share of a common phrase is known to a percent
_WORD = re.compile(r"\w+")


class Corpus:
    """The chunks of documents, in text order; spans name the document by its source."""

    def __init__(self, chunks: Iterable[tuple[Chunk, str]], *, seed: int = 0) -> None:
        """Put the chunks in order.

        Args:
            chunks: Each with the source of its document; those of a document that is asked about must all be
                here, or neighbours are not known.
            seed: Of the sample by which it is told how common a phrase is.
        """
        shelves: dict[str, list[Chunk]] = {}
        for chunk, source in chunks:
            shelves.setdefault(source, []).append(chunk)
        for shelf in shelves.values():
            shelf.sort(key=lambda chunk: (chunk.span.start, chunk.span.end, chunk.id))
        self._shelves = shelves
        # how far the chunks up to each one reach: ascending even where chunks overlap, so it can be bisected
        self._reach = {source: _reach(shelf) for source, shelf in shelves.items()}
        self._places = {
            chunk.id: (source, number)
            for source, shelf in shelves.items()
            for number, chunk in enumerate(shelf)
        }
        self._sample = _words_of_some(shelves, seed)
        self._shares: dict[str, float] = {}

    def place(self, chunk_id: str) -> tuple[str, int] | None:
        """Source and number, from 0 in text order, of a chunk; None for one that is not here."""
        return self._places.get(chunk_id)

    def answering(self, references: Iterable[Span]) -> list[Chunk]:
        """The chunks that hold a visible character of a reference, each once, in text order by document."""
        found = {}
        for span in sorted(references):
            shelf = self._shelves.get(span.document_id, [])
            for number in range(
                bisect_left(self._reach.get(span.document_id, []), span.start + 1), len(shelf)
            ):
                chunk = shelf[number]
                if chunk.span.start >= span.end:
                    break
                if evidence_in(chunk, [span], source=span.document_id):
                    found[chunk.id] = chunk
        return list(found.values())

    def share_holding(self, phrase: str) -> float:
        """Share of the chunks, 0..1, that hold a phrase, estimated from at most 2,000 of them.

        Args:
            phrase: As `words` writes it.
        """
        if phrase not in self._shares:
            holding = sum(phrase in text for text in self._sample)
            self._shares[phrase] = holding / max(1, len(self._sample))
        return self._shares[phrase]


def evidence_in(chunk: Chunk, references: Iterable[Span], *, source: str) -> tuple[tuple[int, int], ...]:
    """Where references stand in what the encoder reads of a chunk.

    Args:
        chunk: Of a document.
        references: Those of other documents are passed over.
        source: Of the chunk's document.

    Returns:
        Half-open character ranges of context and text together, ascending, neither overlapping nor touching,
        white space at their ends left out; none is blank.
    """
    ranges: list[tuple[int, int]] = []
    shift = chunk.span.start
    for span in sorted(span for span in references if span.document_id == source):
        start, end = max(0, span.start - shift), min(len(chunk.text), span.end - shift)
        if ranges and start <= ranges[-1][1]:
            start = ranges.pop()[0] if end > ranges[-1][1] else end
        if start < end:
            ranges.append((start, end))
    trimmed = (_trimmed(chunk.text, start, end) for start, end in ranges)
    context = len(chunk.context)
    return tuple((start + context, end + context) for start, end in trimmed if start < end)


def passage_of(chunk: Chunk, source: str, references: Iterable[Span] = ()) -> TrainingPassage:
    """What a model reads of a chunk, with the places of the references in it."""
    evidence = evidence_in(chunk, references, source=source)
    return TrainingPassage(chunk.id, source, chunk.context + chunk.text, evidence)


def words(text: str) -> str:
    """The words of a text in one line, so that texts that differ in signs, case and white space are equal.

    Returns:
        Each word with a space on both sides, so that a phrase is found by whole words; "" without any.

    >>> words("Tide-gate: KEY"), words(" gate  key ") in words("The gate key.")
    (' tide gate key ', True)
    """
    found = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    return f" {' '.join(found)} " if found else ""


def overlap_of_words(one: str, other: str) -> float:
    """How much of the shorter text stands in the other: the share of its runs of five words, 0..1.

    Texts of fewer words are the same or not. This is the containment of Broder 1997, "On the resemblance and
    containment of documents".

    >>> overlap_of_words("one two three four five six", "zero one two three four five six seven")
    1.0
    """
    few, many = sorted((_shingles(one), _shingles(other)), key=len)
    return len(few & many) / len(few) if few else 0.0


@lru_cache(maxsize=20_000)
def _shingles(text: str) -> frozenset[str]:
    found = words(text).split()
    if not found:
        return frozenset()
    return frozenset(
        " ".join(found[start : start + SHINGLE]) for start in range(max(1, len(found) - SHINGLE + 1))
    )


def _reach(shelf: list[Chunk]) -> list[int]:
    reach, ends = 0, []
    for chunk in shelf:
        reach = max(reach, chunk.span.end)
        ends.append(reach)
    return ends


def _words_of_some(shelves: dict[str, list[Chunk]], seed: int) -> list[str]:
    """The words of chunks, drawn where there are many."""
    every = [chunk for source in sorted(shelves) for chunk in shelves[source]]
    drawn = random.Random(seed).sample(every, _SAMPLE) if len(every) > _SAMPLE else every
    return [words(chunk.text) for chunk in drawn]


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The range without white space at its ends."""
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), start + len(part.rstrip())
