"""Arithmetic of ranges: union, length and intersection, over any number of documents at once.

A range is `(source, start, end)`, half-open, in characters or tokens. `union` sorts; everything else is one
pass over what it returned. Plain lists, not arrays: a question has some ten ranges, and there they are six
times as fast as NumPy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Range = tuple[str, int, int]


def union(ranges: Iterable[Range]) -> list[Range]:
    """The same positions as sorted ranges that neither overlap nor touch; empty ranges vanish.

    >>> union([("b", 0, 3), ("a", 5, 9), ("a", 1, 5), ("a", 2, 2)])
    [('a', 1, 9), ('b', 0, 3)]
    """
    merged: list[Range] = []
    source, first, last = "", 0, 0
    for key, start, end in sorted(ranges):
        if key == source and start <= last:
            if end > last:
                last = end
            continue
        if first < last:
            merged.append((source, first, last))
        source, first, last = key, start, end
    if first < last:
        merged.append((source, first, last))
    return merged


def length(ranges: Iterable[Range]) -> int:
    """Sum of the lengths; overlapping ranges count as often as they are given.

    >>> length([("a", 0, 3), ("a", 0, 3)])
    6
    """
    return sum([end - start for _, start, end in ranges])


def shared(ranges: Sequence[Range], others: Sequence[Range]) -> int:
    """Length of the intersection; both sides sorted and disjoint, as `union` returns them.

    >>> shared([("a", 0, 4), ("b", 0, 9)], [("a", 2, 3), ("a", 3, 8), ("c", 0, 9)])
    2
    """
    total = position = 0
    for source, start, end in ranges:
        while position < len(others):
            key, first, last = others[position]
            if key == source:
                low, high = max(first, start), min(last, end)
                if low < high:
                    total += high - low
                if last > end:
                    break
            elif key > source:
                break
            position += 1
    return total
