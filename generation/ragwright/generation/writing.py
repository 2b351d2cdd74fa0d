"""The text of an answer as it is put together: words, quotes, markers, and what is left out between them."""

from __future__ import annotations

from ragwright.core.types import Mark

_CLOSES = frozenset(".,;:!?)]}…")  # no space stands before these
_QUOTATION_MARKS = frozenset("\"'“”„«»‘’")


class AnswerWriter:
    """Collects text, and holds back white space until it is known what follows.

    The text does not depend on how the words were split. It neither begins nor ends with white space, and
    where something is left out no space stays behind.
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._marks: list[Mark] = []
        self._length = 0  # of the parts
        self._last = ""  # character that was written, ever
        self._spaces = ""  # held back
        self._gap = False  # something was left out behind the spaces
        self._new_paragraph = False
        self._adjacent: set[int] = set()  # markers with nothing but spaces behind them

    def take(self) -> tuple[str, tuple[Mark, ...]]:
        """What was written since the last call, and the marks in it."""
        taken = "".join(self._parts), tuple(self._marks)
        self._parts, self._marks, self._length = [], [], 0
        return taken

    def say(self, text: str) -> None:
        """Write words as they are."""
        words = text.lstrip()
        self._space(text[: len(text) - len(words)])
        if not words:
            return
        if self._gap and words[0] in _CLOSES:
            self._spaces = ""
        elif self._adjacent and not self._spaces and words[0] == "(":
            self._spaces = " "  # else `[1](address)` would be a link
        body = words.rstrip()
        self._put(body)
        self._adjacent.clear()
        self._spaces = words[len(body) :]

    def quote(self, text: str, marker: int) -> None:
        """Write a quote in quotation marks, where it has none yet, and its marker."""
        marked = not self._spaces and self._last in _QUOTATION_MARKS and bool(self._last)
        self._put(text if marked else f"“{text}”")
        self._adjacent.clear()
        self._spaces = " "
        self.mark(marker)

    def mark(self, marker: int) -> None:
        """Write a marker, unless it stands here already."""
        if marker in self._adjacent:
            self.leave_out()
            return
        text = f"[{marker}]"
        self._put(text)
        self._marks.append(Mark(self._length - len(text), self._length, marker))
        self._adjacent.add(marker)

    def leave_out(self) -> None:
        """Something that stood here is not shown."""
        self._gap = True

    def paragraph(self) -> None:
        """Begin a new paragraph."""
        self._spaces, self._new_paragraph = "\n\n", True

    def _space(self, spaces: str) -> None:
        if not spaces or self._new_paragraph:
            return
        if self._gap and "\n" not in self._spaces:
            self._spaces = ""
        self._gap = False
        self._spaces += spaces

    def _put(self, text: str) -> None:
        text = self._spaces + text if self._last else text
        self._parts.append(text)
        self._length += len(text)
        self._last, self._spaces = text[-1], ""
        self._gap = self._new_paragraph = False
