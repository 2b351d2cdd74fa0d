"""Pieces of an answer, put together."""

from __future__ import annotations

from collections.abc import Iterable

from ragwright.core.types import Citation, Delta, Mark


def join(deltas: Iterable[Delta]) -> Delta:
    """Several pieces as one, its marks where they stand then.

    >>> join([Delta("Red. "), Delta("[1]", marks=(Mark(0, 3, 1),))]).marks
    (Mark(start=5, end=8, marker=1),)
    """
    texts: list[str] = []
    marks: list[Mark] = []
    citations: list[Citation] = []
    length = 0
    for delta in deltas:
        marks += [Mark(mark.start + length, mark.end + length, mark.marker) for mark in delta.marks]
        citations += delta.citations
        texts.append(delta.text)
        length += len(delta.text)
    return Delta("".join(texts), tuple(citations), tuple(marks))
