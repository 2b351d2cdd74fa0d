"""Checking quotes against the canonical text before they are shown."""

from __future__ import annotations

import re
import unicodedata

from ragwright.core.types import CitationState, Document, Span

_TYPOGRAPHY = {
    **dict.fromkeys(map(ord, "‘’‚"), "'"),
    **dict.fromkeys(map(ord, "“”„«»"), '"'),
    **dict.fromkeys(map(ord, "‐‑–—−"), "-"),
    ord("…"): "...",
    # Invisible: soft hyphen, zero-width space and joiners, word joiner, byte order mark.
    **dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff"), ""),
}


def check_quote(quote: str, span: Span, document: Document) -> CitationState:
    """How a quote relates to the place it is said to stand at.

    Args:
        quote: What is about to be shown.
        span: Where it is said to stand.
        document: The span's document.

    Returns:
        See `CitationState`.

    >>> text = Document("d", "a.md", "A", "Torque: 35 Nm. Check twice.")
    >>> quotes = ("Torque: 35 Nm.", "torque:  35 nm.", "Check twice.", "Torque: 53 Nm.")
    >>> [check_quote(quote, Span("d", 0, 14), text) for quote in quotes]
    ['exact', 'normalised', 'elsewhere', 'missing']
    """
    wanted = normalise(quote)
    if span.document_id != document.id or not wanted:
        return "missing"
    inside = 0 <= span.start < span.end <= len(document.text)
    there = document.text[span.start : span.end] if inside else ""
    if there == quote:
        return "exact"
    if normalise(there) == wanted:
        return "normalised"
    return "elsewhere" if _stands_in(wanted, normalise(document.text)) else "missing"


def _stands_in(wanted: str, text: str) -> bool:
    """Whether a text holds another one without cutting a number: `5 Nm` does not stand in `35 Nm`."""
    before = r"(?<!\d)(?<!\d[.,])" if wanted[0].isdigit() else ""
    behind = r"(?!\d)(?![.,]\d)" if wanted[-1].isdigit() else ""
    return re.search(before + re.escape(wanted) + behind, text) is not None


def normalise(text: str) -> str:
    """A text with white space, case, compatibility forms and typographic signs made equal."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(unicodedata.normalize("NFKC", plain).translate(_TYPOGRAPHY).split())
