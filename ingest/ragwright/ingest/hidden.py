"""Invisible characters: hidden from the reader but not from a model, so they never enter a document."""

from __future__ import annotations

import re
import unicodedata

# Zero-width space and joiners, invisible operators, byte order mark, soft hyphen, bidirectional embeddings,
# overrides and isolates, interlinear annotation, tag characters, and the variation selectors that only
# ideographs use. The directional marks U+200E and U+200F stay: right-to-left text needs them, and they can
# neither hide nor reorder more than one character.
INVISIBLE = (
    "\u00ad\u180e\u200b-\u200d\u2060-\u2064\u206a-\u206f\ufeff\ufff9-\ufffb"
    "\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f\U000e0100-\U000e01ef"
)
"""The inside of a character class."""

_SUSPECT = re.compile(f"[{INVISIBLE}]+")
_JOINERS = "\u200c\u200d"
_JOINING_SCRIPTS = (
    "ARABIC", "SYRIAC", "MONGOLIAN", "NKO", "DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI", "ORIYA", "TAMIL",
    "TELUGU", "KANNADA", "MALAYALAM", "SINHALA", "KHMER", "MYANMAR", "TIBETAN", "THAANA",
)  # fmt: skip
_VARIATION_SELECTOR_16 = "\ufe0f"


def remove_hidden(text: str) -> tuple[str, int]:
    """Take invisible characters out of a text.

    Joiners stay where a script or an emoji sequence needs them, and variation selectors after ideographs.

    Returns:
        The text without them, and how many were removed.
    """
    if _SUSPECT.search(text) is None:
        return text, 0
    removed = 0

    def keep(match: re.Match[str]) -> str:
        nonlocal removed
        run = match.group()
        kept = run if len(run) == 1 and _needed(run, text, match.start()) else ""
        removed += len(run) - len(kept)
        return kept

    return _SUSPECT.sub(keep, text), removed


def _needed(character: str, text: str, index: int) -> bool:
    """Whether an invisible character changes how its visible neighbours are read."""
    before = text[index - 1] if index else ""
    after = text[index + 1] if index + 1 < len(text) else ""
    if character in _JOINERS:
        return _joins(before) and _joins(after)
    return character >= "\U000e0100" and unicodedata.name(before, "").startswith("CJK ") if before else False


def _joins(character: str) -> bool:
    """Whether a character belongs to a joining script or is an emoji."""
    if not character:
        return False
    if character == _VARIATION_SELECTOR_16 or "\U0001f3fb" <= character <= "\U0001f3ff":
        return True
    return unicodedata.category(character) == "So" or unicodedata.name(character, "").startswith(
        _JOINING_SCRIPTS
    )
