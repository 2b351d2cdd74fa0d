"""Recall, precision, IoU and Precision Omega as the published code computes them: the `compat` mode.

Reproduces brandonstarxel/chunking_evaluation, the code behind "Evaluating Chunking Strategies for Retrieval"
(Smith and Troynikov, Chroma, 2024), so that numbers can be set beside the published ones. It differs from the
report's formulas, and where it errs this does as well: it counts characters, not tokens; a chunk that only
touches a reference counts as one that contains some of it; overlapping chunks are summed in the denominators
of precision and IoU, but united in Omega's; and a chunk is placed where its text is found first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ragwright.core.errors import InputError
from ragwright.core.types import Span
from ragwright.eval.overlap import Characters, ChunkMap
from ragwright.eval.spans import length, shared, union

_CHARACTERS = Characters()


def compat_overlap(references: Sequence[Span], retrieved: Sequence[Span]) -> tuple[float, float, float]:
    """Recall, precision and IoU of one question's chunks in retrieval order.

    The published loop takes each chunk's matched characters out of a list of references. What is left, and so
    the result, does not depend on the order; references that overlap each other are summed as there.
    """
    wanted, found = _CHARACTERS.ranges(references), _CHARACTERS.ranges(retrieved)
    united = union(found)
    hit = shared(union(wanted), united)
    relevant, summed = length(wanted), length(found)
    missed = relevant - sum(shared([each], united) for each in wanted)
    return _ratio(hit, relevant), _ratio(hit, summed), _ratio(hit, summed + missed)


def compat_omega(references: Sequence[Span], chunks: ChunkMap | Iterable[Span]) -> float:
    """Precision Omega of one question over all chunks, those that only touch a reference included."""
    cut = chunks if isinstance(chunks, ChunkMap) else ChunkMap(chunks)
    wanted = _CHARACTERS.ranges(references)
    found = _CHARACTERS.ranges(cut.touching(references))
    return _ratio(shared(union(wanted), union(found)), length(union(wanted + found)))


def place_by_find(texts: Iterable[str], document_text: str, source: str) -> list[Span]:
    """Spans of chunks that came without offsets, each where its text stands first.

    As published, a full stop that ends a chunk is left out of its span, and a repeated text is placed at its
    first occurrence, wherever the chunk was cut.

    Raises:
        InputError: A text does not stand in the document.
    """
    spans = []
    for text in texts:
        wanted = text.removesuffix(".")
        start = document_text.find(wanted)
        if start < 0:
            raise InputError(
                f"the chunk {text[:60]!r} does not stand in {source!r}; chunks must be cut from its text "
                "without any change"
            )
        spans.append(Span(source, start, start + len(wanted)))
    return spans


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
