"""The values of an evaluation, from a data set's rows to the rows of a run.

In evaluation a span names its document by its *source*, so that data sets and runs can be read by people and
compared between workspaces: `Span("manuals/pump.md", 10, 20)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ragwright.core.types import Citation, Evidence, Place, Question, Span, Usage


@dataclass(frozen=True, slots=True)
class Reference:
    """A label as a data set states it, not yet checked against the document.

    Attributes:
        source: The document's source, or the end of it from a folder name on.
        start: First character.
        end: One past the last character; None: the whole document, a document-level judgement.
        text: The characters that must stand there; None when the data set does not tell.
        grade: How relevant, from 1.
    """

    source: str
    start: int = 0
    end: int | None = None
    text: str | None = None
    grade: int = 1


@dataclass(frozen=True, slots=True)
class Item:
    """A question as a data set states it.

    Attributes:
        id: Unique in its data set.
        text: The question.
        references: What answers it; empty when nothing in the documents does.
        answer: A reference answer, or "".
        answerable: Whether the documents answer it.
        metadata: Anything else: `corpus`, `kind`, `language` and `domain` become slices of the report.
        filters: Field and value that every hit must have, where the question is asked within a part.
        row: Where it stands, for error messages: `questions.jsonl:12`.
    """

    id: str
    text: str
    references: tuple[Reference, ...] = ()
    answer: str = ""
    answerable: bool = True
    metadata: Mapping[str, Any] = field(default_factory=dict)
    filters: Mapping[str, str] = field(default_factory=dict)
    row: str = ""


@dataclass(frozen=True, slots=True)
class SourceText:
    """A document that a data set brings along; the suffix of its source says how its text is read."""

    source: str
    text: str
    title: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a person said about a document for a question: grade 0 or below is not relevant."""

    question_id: str
    source: str
    grade: int


@dataclass(frozen=True, slots=True)
class Dataset:
    """Questions with labels, and the documents they are about if the data set has them.

    Attributes:
        name: Shown in reports.
        format: `native`, `chroma`, `squad`, `beir`, `trec`, `legalbench` or `ragas`.
        items: In file order.
        texts: The documents; empty when they are those of a workspace or a folder.
        judgements: Document-level judgements, the non-relevant ones included; empty for span labels.
        digest: SHA-256 of items, texts and judgements, as hexadecimal text: the same wherever the data lies.
    """

    name: str
    format: str
    items: tuple[Item, ...]
    texts: tuple[SourceText, ...] = ()
    judgements: tuple[Judgement, ...] = ()
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A hit as a run records it; `span`, `places` and the evidence name the document by its source.

    Attributes:
        chunk_id: Of the chunk.
        span: Where it stands.
        title: Its document's title.
        headings: Titles above it, outermost first.
        page: From 1; None without pages.
        text: Its characters.
        score: What hits are sorted by.
        scores: Every stage's part.
        evidence: Spans inside it, in text order, not overlapping those of other hits.
        places: Other places with exactly this text.
    """

    chunk_id: str
    span: Span
    title: str
    headings: tuple[str, ...]
    page: int | None
    text: str
    score: float
    scores: Mapping[str, float] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()
    places: tuple[Place, ...] = ()

    @property
    def source(self) -> str:
        """The document's source."""
        return self.span.document_id


@dataclass(frozen=True, slots=True)
class Ranked:
    """A chunk in the ranking that the hits were chosen from, which is longer and holds equal texts apart."""

    chunk_id: str
    span: Span
    score: float


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as a run records it; citations name the document by its source in their spans."""

    text: str
    citations: tuple[Citation, ...]
    refused: bool
    support: float
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the system did with one question.

    Attributes:
        question: Its references name documents by their source. No references: unanswerable.
        gold: The characters of each reference, in their order.
        around: For each reference what stands before and after it, shortened.
        found: Best first.
        ranked: The ranking that the hits were chosen from, best first.
        reply: The answer; None when no answer was asked for.
        dial: Evidence at other positions of the dial, by share of the best score; not kept on disk.
        seconds: Wall time by stage, such as `encode`, `search`, `evidence`, `answer`.
        error: Why there is no result, or "": the question then scores zero and is listed.
    """

    question: Question
    gold: tuple[str, ...] = ()
    around: tuple[tuple[str, str], ...] = ()
    found: tuple[Found, ...] = ()
    ranked: tuple[Ranked, ...] = ()
    reply: Reply | None = None
    dial: Mapping[float, tuple[Span, ...]] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One question's value of one measure; every aggregate is made from these."""

    question_id: str
    measure: str
    value: float


@dataclass(frozen=True, slots=True)
class Run:
    """An evaluation of one system on one data set.

    Attributes:
        manifest: What was run on what: see `ragwright.eval.runs`.
        outcomes: One for each question, in the data set's order.
        rows: Values by question and measure.
    """

    manifest: Mapping[str, Any]
    outcomes: tuple[Outcome, ...]
    rows: tuple[Row, ...]
