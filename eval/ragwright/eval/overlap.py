"""Recall, precision, IoU and Precision Omega of spans: the `exact` mode.

The measures of "Evaluating Chunking Strategies for Retrieval" (Smith and Troynikov, Chroma, 2024), on exact
offsets and strict overlap: spans that only touch share nothing. `compat.py` holds the published code's own
reading. All values lie between 0 and 1, and a question for which nothing was found gets 0 everywhere.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import attrgetter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ragwright.core.errors import InputError
from ragwright.core.types import Span
from ragwright.eval.spans import Range, length, shared, union


class Units(Protocol):
    """What is counted."""

    name: str

    def ranges(self, spans: Sequence[Span]) -> list[Range]:
        """The units that each span touches, in the order of the spans."""
        ...


class Characters:
    """Counts characters."""

    name = "characters"

    def ranges(self, spans: Sequence[Span]) -> list[Range]:
        """The spans as they are."""
        return [(span.document_id, span.start, span.end) for span in spans]


class TokenUnits:
    """Counts the tokens of each document's own text: one that is touched partly counts whole.

    Tokens without characters (special tokens, white space that the tokenizer drops) never count.
    """

    def __init__(self, offsets_of: Callable[[str], NDArray[np.int64]], *, name: str = "tokens") -> None:
        """Read no offsets yet: each document's are asked for once, when its first span is counted.

        Args:
            offsets_of: Source to the half-open character offsets of its tokens, in text order, shape (n, 2).
            name: Names the tokenizer in manifests and error messages.
        """
        self.name = name
        self._offsets_of = offsets_of
        self._tokens: dict[str, tuple[array[int], array[int]]] = {}

    def ranges(self, spans: Sequence[Span]) -> list[Range]:
        """The range of token numbers that share a character with each span.

        Raises:
            InputError: The offsets of a document's tokens do not ascend.
        """
        return [self._range(span) for span in spans]

    def _range(self, span: Span) -> Range:
        source = span.document_id
        if span.end <= span.start:
            return source, 0, 0
        starts, ends = self._tokens.get(source) or self._load(source)
        return source, bisect_right(ends, span.start), bisect_left(starts, span.end)

    def _load(self, source: str) -> tuple[array[int], array[int]]:
        offsets = np.asarray(self._offsets_of(source), np.int64).reshape(-1, 2)
        offsets = offsets[offsets[:, 1] > offsets[:, 0]]
        if (np.diff(offsets, axis=0) < 0).any():
            raise InputError(
                f"the token offsets of {source!r} do not ascend; give them in text order, "
                "as (start, end) in characters of the canonical text"
            )
        starts, ends = (array("q", np.ascontiguousarray(column).tobytes()) for column in offsets.T)
        self._tokens[source] = starts, ends
        return starts, ends


@dataclass(frozen=True, slots=True)
class Overlap:
    """How retrieved spans cover references. R: reference units, E: retrieved units, both as sets.

    Attributes:
        recall: |R and E| / |R|.
        precision: |R and E| / |E|.
        iou: |R and E| / |R or E|.
        precision_penalised: |R and E| / the summed lengths of all retrieved spans.
        iou_penalised: |R and E| / (the summed lengths of all retrieved spans + |R without E|).
    """

    recall: float
    precision: float
    iou: float
    precision_penalised: float
    iou_penalised: float


def overlap(references: Sequence[Span], retrieved: Sequence[Span], units: Units) -> Overlap:
    """How the retrieved spans of one question cover its references.

    Neither order nor, but for the two penalised measures, repetition matters. Retrieved spans of other
    documents count in the denominators.

    Raises:
        InputError: The references hold no unit; such a question cannot be scored.
    """
    wanted = union(units.ranges(references))
    ranges = units.ranges(retrieved)
    found = union(ranges)
    relevant, distinct, summed = length(wanted), length(found), length(ranges)
    if not relevant:
        raise _nothing_wanted(references, units)
    hit = shared(wanted, found)
    if not hit:
        return Overlap(0.0, 0.0, 0.0, 0.0, 0.0)
    missed = relevant - hit
    return Overlap(
        hit / relevant, hit / distinct, hit / (distinct + missed), hit / summed, hit / (summed + missed)
    )


class ChunkMap:
    """All chunks of an index, sorted once, to find those at a place; they may overlap and nest."""

    def __init__(self, spans: Iterable[Span]) -> None:
        by_source: dict[str, list[Span]] = {}
        for span in spans:
            if span.start < span.end:
                by_source.setdefault(span.document_id, []).append(span)
        self._documents = {source: _Sorted(own) for source, own in by_source.items()}

    def overlapping(self, spans: Iterable[Span]) -> list[Span]:
        """The chunks that share a character with a span; one that meets two spans may come twice."""
        found: list[Span] = []
        for span in spans:
            chunks = self._documents.get(span.document_id)
            if chunks and span.start < span.end:
                low, high = bisect_right(chunks.reach, span.start), bisect_left(chunks.starts, span.end)
                found += [chunk for chunk in chunks.spans[low:high] if chunk.end > span.start]
        return found

    def touching(self, spans: Iterable[Span]) -> list[Span]:
        """As `overlapping`, and the chunks that only end where a span starts or start where it ends."""
        return self.overlapping([Span(span.document_id, span.start - 1, span.end + 1) for span in spans])


class _Sorted:
    """One document's chunks by start; `reach` is the furthest end so far, which ascends where ends do not."""

    __slots__ = ("reach", "spans", "starts")

    def __init__(self, spans: list[Span]) -> None:
        self.spans = sorted(spans, key=attrgetter("start"))
        self.starts = [span.start for span in self.spans]
        self.reach = list(accumulate([span.end for span in self.spans], max))


def precision_omega(references: Sequence[Span], chunks: ChunkMap, units: Units) -> float:
    """IoU if exactly the chunks that overlap a reference were retrieved: what the cut allows at best.

    Returns:
        Units in both those chunks and the references over units in either, each counted once; 0 when no
        chunk overlaps a reference. Equals the precision where the chunks cover all references.

    Raises:
        InputError: The references hold no unit; such a question cannot be scored.
    """
    wanted = union(units.ranges(references))
    relevant = length(wanted)
    if not relevant:
        raise _nothing_wanted(references, units)
    found = union(units.ranges(chunks.overlapping(references)))
    hit = shared(wanted, found)
    return hit / (length(found) + relevant - hit)


def _nothing_wanted(references: Sequence[Span], units: Units) -> InputError:
    seen = f"references at {list(references)!r}" if references else "no reference"
    return InputError(
        f"the question has {seen}, which hold none of the {units.name} counted; "
        "leave questions without references out of these measures"
    )
