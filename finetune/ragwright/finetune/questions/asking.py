"""What is asked about, who asks, and the protocol that every source of questions follows."""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from ragwright.core.profile import Profile
from ragwright.core.types import Block, Chunk, Document, Span
from ragwright.finetune.values import Audited, LabelledQuestion, Origin

Range = tuple[int, int]


@dataclass(frozen=True)
class Subject:
    """A document that questions are asked about.

    Attributes:
        document: With its text and blocks.
        chunks: Of the index that answers, in text order.
        profile: Of its domain.
    """

    document: Document
    chunks: tuple[Chunk, ...]
    profile: Profile

    @property
    def source(self) -> str:
        """What names the document in spans of labelled questions."""
        return self.document.source

    def text(self, start: int, end: int) -> str:
        """Characters of the document."""
        return self.document.text[start:end]

    def block_at(self, offset: int) -> Block | None:
        """The block that holds a character, a table's row rather than the table; None between blocks."""
        place = bisect_right(self._starts, offset) - 1
        block = self._leaves[place] if place >= 0 else None
        return block if block is not None and offset < block.end else None

    def blocks_in(self, start: int, end: int) -> list[Block]:
        """The blocks that begin in a range, in text order; rows, but not the tables that hold them."""
        return self._leaves[bisect_left(self._starts, start) : bisect_left(self._starts, end)]

    def header_of(self, row: Block) -> Block | None:
        """The header of the table that a row belongs to."""
        return self._headers.get(row.start)

    def chunk_at(self, offset: int) -> Chunk | None:
        """The last chunk that begins at or before a character and holds it."""
        place = bisect_right(self._chunk_starts, offset) - 1
        chunk = self.chunks[place] if place >= 0 else None
        return chunk if chunk is not None and offset < chunk.span.end else None

    @cached_property
    def openers(self) -> frozenset[str]:
        """Capital words that three sentences or more begin with, such as who speaks in the document."""
        counts = Counter(
            self.text(span.start, span.end).partition(" ")[0]
            for chunk in self.chunks
            for span in chunk.sentences
        )
        return frozenset(
            word for word, count in counts.items() if count >= 3 and word[:1].isupper() and word.isalpha()
        )

    @cached_property
    def _leaves(self) -> list[Block]:
        """Every block but the tables that hold rows."""
        return sorted(
            (block for block in self.document.blocks if block.kind != "table"), key=lambda block: block.start
        )

    @cached_property
    def _headers(self) -> dict[int, Block]:
        """By where a row starts, the header above it."""
        found: dict[int, Block] = {}
        header: Block | None = None
        for block in self._leaves:
            if block.kind != "table_row":
                header = block if block.kind == "table_header" else None
            elif header is not None:
                found[block.start] = header
        return found

    @cached_property
    def _starts(self) -> list[int]:
        return [block.start for block in self._leaves]

    @cached_property
    def _chunk_starts(self) -> list[int]:
        return [chunk.span.start for chunk in self.chunks]


@dataclass(frozen=True, slots=True)
class Request:
    """What is wanted of a source.

    Attributes:
        subject: The document.
        chunk: The questions are to be answered in it; parts of the answer may stand elsewhere.
        wanted: So many questions at most.
        asked: Wordings that were asked of it before, to be avoided.
        scarce: Tasks, the one with the fewest questions so far first; others are as welcome as the last.
    """

    subject: Subject
    chunk: Chunk
    wanted: int
    asked: frozenset[str] = frozenset()
    scarce: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """What a source made of a request.

    Attributes:
        questions: Best first.
        audit: What it made and dropped itself.
    """

    questions: tuple[LabelledQuestion, ...] = ()
    audit: tuple[Audited, ...] = ()


class QuestionSource(Protocol):
    """Where questions come from: the documents' own structure, a language model, or people."""

    origin: Origin

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        """Questions for each request, in their order; a source that has none left gives none.

        Raises:
            ServiceError: A language model behind it does not answer.
        """
        ...


def labelled(
    subject: Subject,
    text: str,
    ranges: Iterable[Range],
    *,
    origin: Origin,
    recipe: str,
    task: str,
    answer: str = "",
) -> LabelledQuestion:
    """A question about a document, with an id that is a digest of its place and words.

    Args:
        subject: The document.
        text: The question.
        ranges: Half-open character ranges of the document that answer it; put in order, and without the
            white space at their ends.
        origin: Where it comes from.
        recipe: How it was made, with a version.
        task: What kind of question it is.
        answer: A short answer, or "".
    """
    trimmed = sorted({trim(subject.document.text, *each) for each in ranges})
    spans = tuple(Span(subject.source, start, end) for start, end in trimmed if start < end)
    return LabelledQuestion(
        id=question_id(text, spans),
        text=text,
        references=spans,
        quotes=tuple(subject.text(span.start, span.end) for span in spans),
        answer=answer,
        origin=origin,
        recipe=recipe,
        task=task,
    )


def question_id(text: str, spans: Iterable[Span]) -> str:
    """16 hexadecimal digits that name a question by its words and places."""
    told = "\n".join((text, *(f"{span.document_id} {span.start} {span.end}" for span in spans)))
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def trim(text: str, start: int, end: int) -> Range:
    """A range without the white space at its ends; an empty one where nothing else stands in it."""
    part = text[start:end]
    left = len(part) - len(part.lstrip())
    return (start, start) if left == len(part) else (start + left, start + len(part.rstrip()))
