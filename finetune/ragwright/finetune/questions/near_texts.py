"""Which texts are nearly the same: they share half of the word sequences of the shorter one."""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping
from typing import TypeVar

from ragwright.finetune.corpus import words

CONTAINED = 0.5
"""Texts are near-duplicates from this share of the shorter one's word sequences on."""

LENGTH = 8
"""Words of a sequence."""

_EVERYWHERE = 200  # texts: a sequence that more of them hold is a formula, and counts for none
Key = TypeVar("Key", bound=Hashable)


def near_texts(texts: Mapping[Key, str], *, share: float = CONTAINED) -> list[tuple[Key, Key]]:
    """Pairs of texts that are nearly the same, in the order of the texts.

    The containment of Broder 1997, "On the resemblance and containment of documents", over sequences of eight
    words; a shorter text is one sequence.

    Args:
        texts: By whatever names them.
        share: Of the shorter text's sequences that the other holds too, above 0.
    """
    sequences = {key: _sequences(text) for key, text in texts.items()}
    holding: dict[int, list[Key]] = defaultdict(list)
    for key, found in sequences.items():
        for sequence in found:
            holding[sequence].append(key)
    common: Counter[tuple[Key, Key]] = Counter()
    for keys in holding.values():
        if len(keys) <= _EVERYWHERE:
            common.update((one, other) for place, one in enumerate(keys) for other in keys[place + 1 :])
    return [
        (one, other)
        for (one, other), count in common.items()
        if count >= share * min(len(sequences[one]), len(sequences[other]))
    ]


def _sequences(text: str) -> frozenset[int]:
    found = words(text).split()
    length = min(LENGTH, len(found))
    starts = range(len(found) - length + 1) if found else ()
    return frozenset(zlib.crc32(" ".join(found[start : start + length]).encode()) for start in starts)
