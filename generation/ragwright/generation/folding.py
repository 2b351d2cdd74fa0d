"""Texts made equal character by character, so that a place in the folded text is a place in the original.

White space, case, compatibility forms, typographic signs and the look-alikes of `neutralise` are made equal.
"""

from __future__ import annotations

import unicodedata

import numpy as np
from numpy.typing import NDArray

from ragwright.generation.neutralise import LOOKALIKES

_TYPOGRAPHY = {
    **dict.fromkeys("‘’‚", "'"),
    **dict.fromkeys("“”„«»", '"'),
    **dict.fromkeys("‐‑–—−", "-"),
    "…": "...",
    # Invisible: soft hyphen, zero-width space and joiners, word joiner, byte order mark.
    **dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff", ""),
    **{lookalike: plain for plain, lookalike in LOOKALIKES.items()},
}
_MOST_TRIES = 10_000  # places where a text stands, but is cut: a text of nothing but its repeats ends there
_LAST_SPACED = 0x530  # Latin, Greek and Cyrillic: scripts that part words by spaces


class _Folds(dict[int, str]):
    """What each character becomes; filled as characters are met."""

    def __missing__(self, code: int) -> str:
        decomposed = unicodedata.normalize("NFKD", chr(code)).casefold()
        folded = "".join(map(_equal, unicodedata.normalize("NFKD", decomposed).casefold()))
        self[code] = folded
        return folded


def _equal(character: str) -> str:
    if character.isspace():
        return " "
    return unicodedata.normalize("NFKD", _TYPOGRAPHY.get(character, character))


_FOLDS = _Folds()


def fold(text: str) -> str:
    r"""A text with white space, case, compatibility forms and typographic signs made equal.

    Each character is folded by itself, to any number of them; runs of spaces stay as they are.

    >>> fold("The ﬁlter’s weight – 5\u00a0kg")
    "the filter's weight - 5 kg"
    """
    return text.translate(_FOLDS)


def normalise(text: str) -> str:
    """A folded text with one space between words and none at its ends."""
    return " ".join(fold(text).split())


def is_cut(text: str, start: int, end: int) -> bool:
    """Whether characters `[start, end)` of a folded text begin or end inside a word or a number.

    >>> is_cut("at 35 nm", 4, 8), is_cut("at 3.5 nm", 5, 9), is_cut("at 35 nm", 3, 8)
    (True, True, False)
    """
    if end < len(text) and unicodedata.combining(text[end]):
        return True
    return _joined(text, start - 1, start, step=-1) or _joined(text, end, end - 1, step=1)


def _joined(text: str, outside: int, edge: int, *, step: int) -> bool:
    """Whether the character outside belongs to the word or number at the edge."""
    if not 0 <= outside < len(text):
        return False
    if not text[edge].isdigit():
        return _is_spaced_letter(text[edge]) and _is_spaced_letter(text[outside])
    beyond = text[outside + step : outside + step + 1] if outside + step >= 0 else ""
    if text[outside] == "-":  # a sign, where it does not stand behind a word or a number
        return step < 0 and not beyond.isalnum()
    return text[outside].isdigit() or (text[outside] in ".," and beyond.isdigit())


def _is_spaced_letter(character: str) -> bool:
    return character.isalpha() and ord(character) < _LAST_SPACED


def find_whole(text: str, wanted: str) -> int:
    """Where a folded text holds another one without cutting a word or a number; -1 where it does not.

    >>> find_whole("35 nm, then 5 nm", "5 nm")
    12
    """
    place = -1
    for _ in range(_MOST_TRIES):
        place = text.find(wanted, place + 1)
        if place < 0 or not is_cut(text, place, place + len(wanted)):
            return place
    return -1


class FoldedText:
    """A text that quotes are looked up in: folded once, in time linear to its length.

    Attributes:
        text: The normalised text.
    """

    def __init__(self, text: str) -> None:
        self._original = text
        self.text, self._origins = _with_origins(text)

    def find(self, wanted: str) -> tuple[int, int] | None:
        """The first place of a normalised text: its half-open range in the original text, or None."""
        place = find_whole(self.text, wanted) if wanted else -1
        if place < 0:
            return None
        start, end = int(self._origins[place]), int(self._origins[place + len(wanted) - 1]) + 1
        # A character that is folded to several may have been cut.
        return (start, end) if normalise(self._original[start:end]) == wanted else None


def _with_origins(text: str) -> tuple[str, NDArray[np.int32]]:
    """The normalised text, and for each of its characters the one of the original that it comes from."""
    folded = fold(text)
    origins = _origins(text)
    codes = _codes(folded)
    spaces = codes == ord(" ")
    keep = ~(spaces & np.concatenate(([True], spaces[:-1]))) if len(codes) else np.zeros(0, np.bool_)
    if not keep.all():
        folded, origins = codes[keep].tobytes().decode("utf-32-le", "surrogatepass"), origins[keep]
    return folded.rstrip(" "), origins


def _origins(text: str) -> NDArray[np.int32]:
    """For each character of the folded text the one of the original that it comes from."""
    places = np.arange(len(text), dtype=np.int32)
    if text.isascii():
        return places
    changed = {ord(character): len(fold(character)) for character in set(text)}
    changed = {code: length for code, length in changed.items() if length != 1}
    if not changed:
        return places
    lengths = np.ones(max(map(ord, set(text))) + 1, np.uint8)
    lengths[list(changed)] = list(changed.values())
    return np.repeat(places, lengths[_codes(text)])


def _codes(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.dtype("<u4"))
