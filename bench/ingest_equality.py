"""What the stores of the ingest comparison hold: whether all systems did the same work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ingest_corpus import Asked, letters
from numpy.typing import NDArray

from ragwright.core.protocols import Tokenizer

Place = tuple[str, int, int]
"""File, and a half-open range of its letters and digits."""


@dataclass(frozen=True)
class Audit:
    """One store, measured on letters and digits, so that white space and marks do not matter.

    Attributes:
        chunks: How many are stored.
        tokens: Their tokens, special tokens included.
        unread: How many of these lie beyond what the model reads: the encoder cuts them off silently.
        covered: Share of the corpus that stands in a stored chunk, 0 to 1.
        lost: Chunks whose letters stand nowhere in their file.
        nearest: Where the nearest chunk to each question stands; None for one that is lost.
    """

    chunks: int
    tokens: int
    unread: int
    covered: float
    lost: int
    nearest: tuple[Place | None, ...]


def audited(printed: Mapping[str, Any], texts: Mapping[str, str], *, tokenizer: Tokenizer) -> Audit:
    """Hold what a store gave back against the files.

    Args:
        printed: `stored` and `nearest`, as `bench/ingest_system.py` prints them.
        texts: Text by file name.
        tokenizer: Of the model.
    """
    whole = {name: letters(text) for name, text in texts.items()}
    sizes = [len(tokenizer.starts(text)) + tokenizer.special_tokens for _, text in printed["stored"]]
    covered, lost = _covered(printed["stored"], whole)
    return Audit(
        chunks=len(sizes),
        tokens=sum(sizes),
        unread=sum(max(0, size - tokenizer.max_tokens) for size in sizes),
        covered=covered,
        lost=lost,
        nearest=tuple(_place(name, text, whole) for name, text in printed["nearest"]),
    )


def agreement(one: Audit, other: Audit) -> list[float]:
    """By question, 1.0 where the nearest chunks of two stores share at least one letter."""
    return [float(_overlap(a, b)) for a, b in zip(one.nearest, other.nearest, strict=True)]


def answering(audit: Audit, asked: Sequence[Asked]) -> list[float]:
    """By question, 1.0 where the nearest chunk holds some of the answer."""
    return [
        float(any(_overlap(place, answer) for answer in question.answers))
        for place, question in zip(audit.nearest, asked, strict=True)
    ]


def _covered(stored: Sequence[tuple[str, str]], whole: Mapping[str, str]) -> tuple[float, int]:
    """Share of all letters that stand in a chunk, and how many chunks stand nowhere."""
    marks = {name: np.zeros(len(text), dtype=bool) for name, text in whole.items()}
    lost = 0
    for name, text in stored:
        wanted = letters(text)
        start = _free_place(whole[name], wanted, marks[name])
        if start < 0:
            lost += 1
        else:
            marks[name][start : start + len(wanted)] = True
    return float(np.concatenate(list(marks.values())).mean()), lost


def _free_place(text: str, wanted: str, taken: NDArray[np.bool_]) -> int:
    """Where a chunk stands: first where no other does, else where it first stands; -1 for nowhere."""
    first = start = text.find(wanted)
    while start >= 0 and wanted and taken[start : start + len(wanted)].any():
        start = text.find(wanted, start + 1)
    return start if start >= 0 else first


def _place(name: str, text: str, whole: Mapping[str, str]) -> Place | None:
    wanted = letters(text)
    start = whole[name].find(wanted)
    return None if start < 0 else (name, start, start + len(wanted))


def _overlap(one: Place | None, other: Place | None) -> bool:
    if one is None or other is None or one[0] != other[0]:
        return False
    return one[1] < other[2] and other[1] < one[2]
