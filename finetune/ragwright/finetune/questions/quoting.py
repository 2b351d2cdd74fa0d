"""The place of a quote in a document: exactly, or with white space, case and typographic signs made equal."""

from __future__ import annotations

from collections.abc import Sequence

from ragwright.finetune.questions.asking import Range

_SIGNS = str.maketrans(
    {"“": '"', "”": '"', "„": '"', "’": "'", "‘": "'", "‚": "'", "–": "-", "—": "-", "−": "-", "…": "."}
)
_AROUND = " \"'.,;:*_`|-"


class QuoteFinder:
    """Finds quotes in one text, which is folded once."""

    def __init__(self, text: str) -> None:
        """Fold a text; offsets are kept."""
        self._text = text
        self._folded, self._origins = _folded(text)

    def find(self, quote: str, *, preferred: Range | None = None) -> Range | None:
        """Where a quote stands, as a range of the text; None where it does not, or cuts a word.

        Args:
            quote: As somebody copied it; signs around it may be others than in the text.
            preferred: A range to look in first.

        Returns:
            The first place in the preferred range, else the only one of the text; several count as none.
        """
        places = self._places(_folded(quote.strip())[0])
        places = places or self._places(_folded(quote)[0].strip(_AROUND))
        first, last = preferred or (0, 0)
        inside = [place for place in places if first <= place[0] and place[1] <= last]
        if inside:
            return inside[0]
        return places[0] if len(places) == 1 else None

    def _places(self, wanted: str) -> list[Range]:
        if not wanted.strip():
            return []
        found: list[Range] = []
        place = self._folded.find(wanted)
        while place >= 0:
            last = place + len(wanted)
            if not _is_cut(self._folded, place, last):
                found.append((self._origins[place], self._origins[last - 1] + 1))
            place = self._folded.find(wanted, place + 1)
        return found


def _folded(text: str) -> tuple[str, Sequence[int]]:
    """A text in small letters, with single spaces and plain signs, and where each character comes from."""
    characters: list[str] = []
    origins: list[int] = []
    for place, sign in enumerate(text.translate(_SIGNS)):
        if sign.isspace():
            if characters and characters[-1] != " ":
                characters.append(" ")
                origins.append(place)
            continue
        for one in sign.lower():
            characters.append(one)
            origins.append(place)
    return "".join(characters), origins


def _is_cut(text: str, start: int, end: int) -> bool:
    """Whether a range begins or ends inside a word or number."""
    before = start > 0 and text[start - 1].isalnum() and text[start].isalnum()
    return before or (end < len(text) and text[end].isalnum() and text[end - 1].isalnum())
