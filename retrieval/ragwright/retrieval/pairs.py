"""Two texts as one sequence, as a cross-encoder reads them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ragwright.retrieval.batches import Ints


@dataclass(frozen=True, slots=True)
class PairFrame:
    """What a tokenizer puts around two texts, so that each text is tokenized once for all of its pairs.

    Attributes:
        before: Ids before the first text.
        between: Ids between both.
        behind: Ids behind the second.
        types: Token types of the five parts, in their order.
    """

    before: Ints
    between: Ints
    behind: Ints
    types: tuple[int, ...]

    def join(self, first: Ints, second: Ints, *, longest: int, cuts_left: bool = False) -> tuple[Ints, Ints]:
        """The ids and token types of a pair, cut as `keep_longest_first` says.

        Args:
            first: Ids of the first text, without special tokens.
            second: Ids of the second.
            longest: Most tokens of the pair, special tokens included.
            cuts_left: Whether texts lose their beginnings instead of their ends.
        """
        room = longest - len(self.before) - len(self.between) - len(self.behind)
        one, two = keep_longest_first(len(first), len(second), room=max(room, 0))
        if cuts_left:
            first, second = first[len(first) - one :], second[len(second) - two :]
        parts = (self.before, first[:one], self.between, second[:two], self.behind)
        return np.concatenate(parts), np.repeat(self.types, [len(part) for part in parts])


def keep_longest_first(first: int, second: int, *, room: int) -> tuple[int, int]:
    """How many tokens are kept of two texts that must fit together: the longer one gives way first.

    This is the rule that Hugging Face's tokenizers call `longest_first`, to the token: the longer text is
    cut until both are equally long, then both are, and an odd token goes to the one that was longer.

    Args:
        first: Tokens of the first text.
        second: Tokens of the second text.
        room: Most tokens of both.

    >>> keep_longest_first(10, 600, room=509)
    (10, 499)
    >>> keep_longest_first(300, 600, room=509)
    (254, 255)
    """
    if first + second <= room:
        return first, second
    short, long = sorted((first, second))
    if short + short <= room:
        long = room - short
    else:
        short, long = room // 2, room - room // 2
    return (short, long) if first <= second else (long, short)
