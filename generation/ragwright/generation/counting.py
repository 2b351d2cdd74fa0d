"""Lengths in tokens of a model, estimated where its tokenizer is not known."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ragwright.core.types import Message
from ragwright.generation.language_model import LanguageModel

_BYTES_PER_TOKEN = 3  # of UTF-8: a careful guess for every script, and a third too many tokens for English

Count = Callable[[str], int]


def estimate(text: str) -> int:
    """About how many tokens a text has: rather too many than too few.

    >>> estimate("The bolts get 35 Nm.")
    7
    """
    return -(-len(text.encode("utf-8", "surrogatepass")) // _BYTES_PER_TOKEN)


def counter(model: LanguageModel) -> Count:
    """Counts tokens of a model, or estimates them where it cannot."""

    def count(text: str) -> int:
        known = model.count_tokens(text)
        return estimate(text) if known is None else known

    return count


def known_length(model: LanguageModel, messages: Iterable[Message]) -> int | None:
    """Tokens of messages, without what a chat template puts between them; None where nobody can tell."""
    lengths = [model.count_tokens(message.text) for message in messages]
    return None if None in lengths else sum(length for length in lengths if length is not None)
