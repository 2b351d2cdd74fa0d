"""What is encoded before a chunk's text: title, heading path, and the header of a cut table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from ragwright.core.protocols import Tokenizer
from ragwright.core.types import Document
from ragwright.ingest.sentences import Range, has_letter

SEPARATOR = " > "
MAX_TOKENS = 48
MAX_HEADER = 2000  # characters of a table header that are looked at


class ContextWriter:
    """Writes the contexts of one document's chunks within a limit of tokens."""

    def __init__(self, document: Document, tokenizer: Tokenizer, *, limit: int) -> None:
        self._text = document.text
        self._title = _spoken_title(document)
        self._tokenizer = tokenizer
        self._limit = max(0, limit)
        self._written: dict[tuple[tuple[str, ...], Range | None], tuple[str, int]] = {}
        self._asked: dict[tuple[tuple[str, ...], tuple[str, ...], Range | None], tuple[str, int]] = {}

    def __call__(
        self, headings: Sequence[str], *, inside: Sequence[str] = (), header: Range | None = None
    ) -> tuple[str, int]:
        """The context of a chunk.

        Args:
            headings: Titles above the chunk that do not stand in it, outermost first.
            inside: Headings that stand in it; a title that repeats one of them is left out.
            header: Header rows to repeat, as a range of the text.

        Returns:
            The context, "" or ending in a newline, and its length in tokens, at most the limit. When there
            is no room, outer headings go first, then the title; of the rest the first words stay.
        """
        asked = (tuple(headings), tuple(inside), header)
        if asked not in self._asked:
            self._asked[asked] = self._context(*asked)
        return self._asked[asked]

    def _context(
        self, headings: Sequence[str], inside: Sequence[str], header: Range | None
    ) -> tuple[str, int]:
        repeated = {_plain(words) for words in inside}
        path: list[str] = []
        for words in (self._title, *headings):
            if words and _plain(words) not in repeated:
                path.append(words)
                repeated.add(_plain(words))
        key = (tuple(path), header)
        if key not in self._written:
            self._written[key] = self._write(path, header)
        return self._written[key]

    def _write(self, path: list[str], header: Range | None) -> tuple[str, int]:
        columns = "" if header is None else self._columns(header)
        # The header says what the numbers mean: it gets up to two thirds, the path the rest.
        table_line = self._first_words(columns, self._limit * 2 // 3) if path else columns
        table_line = self._first_words(table_line, self._limit)
        path_line = self._path_line(path, self._limit - self._count(table_line))
        context = "".join(f"{line}\n" for line in (path_line, table_line) if line)
        return context, self._count(context)

    def _columns(self, header: Range) -> str:
        """Header rows in one line, without rules between them."""
        start, end = header[0], min(header[1], header[0] + MAX_HEADER)
        lines = self._text[start:end].splitlines()
        return " ".join(" ".join(line for line in lines if has_letter(line, 0, len(line))).split())

    def _path_line(self, path: list[str], limit: int) -> str:
        parts = list(path)
        while len(parts) > 1 and self._count(SEPARATOR.join(parts)) > limit:
            # Between title and innermost heading first, then the title itself.
            del parts[1 if len(parts) > 2 else 0]
        return self._first_words(parts[0], limit) if len(parts) == 1 else SEPARATOR.join(parts)

    def _first_words(self, line: str, limit: int) -> str:
        """The longest beginning of a line that keeps a limit and ends between words."""
        if limit <= 0 or not line:
            return ""
        starts = self._tokenizer.starts(line)
        if len(starts) <= limit:
            return line
        return line[: int(starts[limit])].rpartition(" ")[0].rstrip()

    def _count(self, line: str) -> int:
        return len(self._tokenizer.starts(line)) if line else 0


def _plain(words: str) -> str:
    return " ".join(words.casefold().split())


def _spoken_title(document: Document) -> str:
    """The title in one line; a file's name without its ending and with spaces between its words."""
    title = " ".join(document.title.split())
    name = PurePath(document.source)
    if title in (name.name, name.stem):
        return " ".join(name.stem.replace("_", " ").replace("-", " ").split())
    return title
