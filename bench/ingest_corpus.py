"""The corpus of the ingest benchmarks: the five public corpora as many small files, and changes to them."""

from __future__ import annotations

import csv
import json
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rows import DATA

CORPORA = DATA / "chroma" / "corpora"
QUESTIONS = DATA / "chroma" / "questions_df.csv"

FILE_CHARACTERS = 8000
ADDED = " The committee met twice that week and moved the vote to the first of March."
DETERMINERS = ("the", "this", "that", "each", "every", "some", "any", "its", "our", "their")
_DETERMINER = re.compile(r"\bthe\b")


@dataclass(frozen=True)
class Piece:
    """One file of the corpus.

    Attributes:
        name: File name.
        corpus: Which of the five it was cut from.
        start: Its first character there.
        text: Its characters.
    """

    name: str
    corpus: str
    start: int
    text: str


@dataclass(frozen=True)
class Asked:
    """A question, and the letters of the corpus that answer it: file, first letter, one past the last."""

    text: str
    answers: tuple[tuple[str, int, int], ...]


def letters(text: str) -> str:
    """The letters and digits alone: what no splitter may lose, whatever it does to white space and marks."""
    return "".join(character for character in text if character.isalnum())


def pieces(share: float = 1.0) -> list[Piece]:
    """The first `share` of each of the five corpora, cut at ends of lines or sentences.

    Returns:
        About 200 files of at most 8,000 characters for a share of 1, in order of corpus and position.
    """
    found: list[Piece] = []
    for path in sorted(CORPORA.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        text = text[: int(len(text) * share)]
        start = 0
        while start < len(text):
            end = _cut(text, start)
            found.append(Piece(f"{path.stem}-{len(found):03}.txt", path.stem, start, text[start:end]))
            start = end
    return found


def _cut(text: str, start: int) -> int:
    """Where a file that starts here ends: after the last line, or else sentence, that fits."""
    end = start + FILE_CHARACTERS
    if end >= len(text):
        return len(text)
    for mark in ("\n", ". "):
        found = text.rfind(mark, start + FILE_CHARACTERS // 2, end)
        if found >= 0:
            return found + len(mark)
    return end


def write(files: Sequence[Piece], folder: Path) -> None:
    """Write the files into a new folder."""
    folder.mkdir(parents=True)
    for piece in files:
        (folder / piece.name).write_text(piece.text, encoding="utf-8", newline="")


def change(files: Sequence[Path]) -> list[Path]:
    """Add one sentence to the middle of every hundredth file, at least one; the changed ones."""
    count = max(1, round(len(files) / 100))
    chosen = [files[(2 * number + 1) * len(files) // (2 * count)] for number in range(count)]
    for path in chosen:
        text = path.read_bytes().decode()
        middle = text.find(". ", len(text) // 2) + 1 or len(text)
        path.write_bytes((text[:middle] + ADDED + text[middle:]).encode())
    return chosen


def write_varied(files: Sequence[Piece], folder: Path, *, copies: int) -> None:
    """Write several copies, each with another word for every "the": as long, and no chunk like another."""
    for number in range(copies):
        word = DETERMINERS[number % len(DETERMINERS)]
        varied = [Piece(p.name, p.corpus, p.start, _DETERMINER.sub(word, p.text)) for p in files]
        write(varied, folder / f"copy-{number}")


def questions(files: Sequence[Piece], count: int) -> list[Asked]:
    """Evenly chosen questions whose answers stand in these files."""
    with QUESTIONS.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    found = [asked for row in rows if (asked := _asked(row, files)) is not None]
    step = max(1, len(found) // count)
    return found[::step][:count]


def _asked(row: dict[str, str], files: Sequence[Piece]) -> Asked | None:
    own = [piece for piece in files if piece.corpus == row["corpus_id"]]
    references = json.loads(row["references"])
    answers = [_placed(own, each["start_index"], each["end_index"]) for each in references]
    if not own or any(each is None for each in answers):
        return None
    return Asked(row["question"], tuple(each for each in answers if each is not None))


def _placed(own: Sequence[Piece], start: int, end: int) -> tuple[str, int, int] | None:
    """The part of a reference that stands in the file where it begins; None beyond the last file."""
    piece = own[bisect_right([each.start for each in own], start) - 1] if own else None
    if piece is None or end > own[-1].start + len(own[-1].text):
        return None
    first = len(letters(piece.text[: start - piece.start]))
    return piece.name, first, first + len(letters(piece.text[start - piece.start : end - piece.start]))
