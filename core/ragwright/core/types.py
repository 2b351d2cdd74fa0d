"""The values that travel between the stages.

All are frozen: a stage receives values and returns new ones. Offsets are Python string indices into the
*canonical text* of a document, half-open, and are carried along rather than found again by search.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ragwright.core.errors import InputError

Vector = NDArray[np.float32]  # (dim,)
Vectors = NDArray[np.float32]  # (n, dim)


EVERYONE = "*"
"""Stands for everyone of a tenant where documents are stored; no tenant or group has this name."""

_LONGEST_NAME = 200


def _is_name(text: str) -> bool:
    """Whether a tenant or a group can be called so."""
    # Nothing that is invisible is printable: no control, no zero-width sign, no half of a character.
    return text != EVERYONE and 0 < len(text) <= _LONGEST_NAME and text.isprintable() and text == text.strip()


@dataclass(frozen=True, slots=True)
class Access:
    """Who may see a document.

    Names are compared sign by sign: two that look alike are two names.

    Attributes:
        tenant: Whose it is; "" where nobody has been told apart.
        groups: Who of the tenant may see it, sorted, each once; empty: everyone.
    """

    tenant: str = ""
    groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse names that mean something else to a reader, or nothing to a database.

        Raises:
            InputError: A name is "*", longer than 200 characters, begins or ends with a space, or holds a
                control character, an invisible or an unassigned one; or a group's is empty.
        """
        for kind, name in (("tenant", self.tenant), *(("group", each) for each in self.groups)):
            if not _is_name(name) and (name or kind == "group"):
                raise InputError(
                    f"the {kind} {name!a} cannot be used; wanted 1 to {_LONGEST_NAME} visible characters,"
                    f' spaces only between them, and not "{EVERYONE}"'
                )
        object.__setattr__(self, "groups", tuple(sorted(set(self.groups))))


OPEN = Access()
"""What everyone of the tenant "" may see: how documents are where nobody is told apart."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a caller may see; every query of the index states one.

    Attributes:
        tenants: Documents of these only; None: of every tenant. Empty: nothing at all.
        groups: Documents that are open to everyone of their tenant, and those of any of these groups; None:
            every group's.

    Names that no `Access` can have are left out: they let nobody see anything.
    """

    tenants: frozenset[str] | None
    groups: frozenset[str] | None

    def __post_init__(self) -> None:
        """Leave out what no document can have."""
        if self.tenants is not None:
            kept = frozenset(name for name in self.tenants if not name or _is_name(name))
            object.__setattr__(self, "tenants", kept)
        if self.groups is not None:
            object.__setattr__(self, "groups", frozenset(filter(_is_name, self.groups)))

    def allows(self, access: Access) -> bool:
        """Whether the caller may see such a document."""
        if self.tenants is not None and access.tenant not in self.tenants:
            return False
        return self.groups is None or not access.groups or not self.groups.isdisjoint(access.groups)

    @property
    def is_empty(self) -> bool:
        """Whether nothing can be seen, whatever there is."""
        return self.tenants is not None and not self.tenants


OWNER = Scope(None, None)
"""Sees everything: who can read the workspace's folder."""


BlockKind = Literal[
    "title",  # the document's title or a heading; `level` counts from 1
    "paragraph",
    "list_item",
    "table",  # holds the `table_header` and `table_row` blocks inside its span
    "table_header",
    "table_row",
    "code",
    "caption",
    "furniture",  # running headers, footers and page numbers: in the text, never in a chunk
]


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Characters `[start, end)` of the canonical text of one document."""

    document_id: str
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start

    def overlaps(self, other: Span) -> bool:
        """Whether both spans share at least one character."""
        return self.document_id == other.document_id and self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True)
class Block:
    """One structural unit of a document, where it landed in the canonical text.

    Attributes:
        kind: What it is. Blocks come in text order and do not overlap, but for the header and rows of a
            table, which follow their table and lie inside its span.
        start: First character.
        end: One past the last character.
        page: Page number from 1, for paginated formats.
        level: Depth from 1, for titles and list items.
        box: Left, bottom, right, top in PDF points from the page's lower left corner.
    """

    kind: BlockKind
    start: int
    end: int
    page: int | None = None
    level: int | None = None
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a parser makes of one file, before it has an identity.

    Attributes:
        text: The canonical text, frozen: hidden characters are already gone.
        blocks: In text order.
        title: The document's title, or "" when the file states none.
        media_type: Type found by content, such as `application/pdf`.
        metadata: Flat facts that the file states about itself (author, date, subject).
        hidden_characters: How many invisible characters were removed.
    """

    text: str
    blocks: tuple[Block, ...]
    title: str = ""
    media_type: str = "text/plain"
    metadata: Mapping[str, str] = field(default_factory=dict)
    hidden_characters: int = 0


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed source.

    Attributes:
        id: Digest of tenant and source, so that it is stable while the content changes.
        source: Where it came from: a path relative to the project folder, or an absolute one.
        title: Shown in citations; never empty (the file's name when the file states none).
        text: The canonical text.
        blocks: In text order.
        metadata: Flat facts, usable as search filters.
        access: Who may see it.
    """

    id: str
    source: str
    title: str
    text: str
    blocks: tuple[Block, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    access: Access = OPEN


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document that is encoded and found as one.

    Attributes:
        id: UUID text, a digest of tenant, source, chunker settings, span and text: equal between runs.
        span: Where it stands; `text == document.text[span.start:span.end]`, always.
        text: Its characters.
        context: What is encoded before the text and never belongs to the span: title, heading path, and
            the header row of a table cut between rows. Empty, or ends in a newline.
        headings: Titles above it, outermost first.
        page: First page it touches, from 1; None without pages.
        sentences: Spans inside it, in order, not overlapping.
        tokens: Length of context and text in tokens of the encoder, special tokens included.
    """

    id: str
    span: Span
    text: str
    context: str
    headings: tuple[str, ...]
    page: int | None
    sentences: tuple[Span, ...]
    tokens: int


@dataclass(frozen=True, slots=True)
class Passage:
    """What the encoder reads of a chunk.

    Attributes:
        text: Context and text.
        sentences: Half-open character ranges of `text`, each to be given a vector of its own.
    """

    text: str
    sentences: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, chunk: Chunk) -> Passage:
        """The passage that stands for a chunk."""
        shift = len(chunk.context) - chunk.span.start
        return cls(
            chunk.context + chunk.text, tuple((s.start + shift, s.end + shift) for s in chunk.sentences)
        )


@dataclass(frozen=True, slots=True)
class Encoding:
    """The vectors of one passage.

    Attributes:
        vector: float32, shape (dim,), unit L2 norm.
        sentences: float32, shape (number of sentences, dim), rows of unit L2 norm, in sentence order.
    """

    vector: Vector
    sentences: Vectors


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """A chunk with its vectors and what is stored beside it, ready to be indexed."""

    chunk: Chunk
    source: str
    title: str
    metadata: Mapping[str, str]
    encoding: Encoding
    access: Access = OPEN


@dataclass(frozen=True, slots=True)
class Evidence:
    """A span that supports an answer.

    Attributes:
        span: Where it stands.
        text: Its characters.
        score: Between 0 and 1; comparable within one query.
    """

    span: Span
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that was found.

    Attributes:
        chunk: The chunk.
        source: Its document's source.
        title: Its document's title.
        score: What hits are sorted by, descending; its scale depends on the mode.
        scores: Every stage's part: `dense` (cosine), `sparse` (BM25), `dense_rank`, `sparse_rank`,
            `fused`, `reranked`, `reader` (how likely the chunk answers), `expert_NAME` (who encoded the
            query, and how like it is to that expert's questions); a stage that did not see the chunk is
            absent.
        evidence: Spans inside the chunk, in text order.
        duplicates: Other places with exactly this text.
        metadata: The document's flat facts.
        answer: The words in the chunk that a reader takes for the answer, with how likely the chunk answers;
            None where no reader read it, or nothing in it answers.
    """

    chunk: Chunk
    source: str
    title: str
    score: float
    scores: Mapping[str, float]
    evidence: tuple[Evidence, ...] = ()
    duplicates: tuple[Place, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    answer: Evidence | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A span with its source, for listing where a text stands as well."""

    span: Span
    source: str


CitationState = Literal[
    "exact",  # the quote stands at the span, character by character
    "normalised",  # it does after white space, case and typographic signs are made equal
    "elsewhere",  # it stands in the document, but not at the span
    "missing",  # it does not stand in the document
]


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation."""

    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """What an answer is made from.

    Attributes:
        question: As it is to be answered: a follow-up question has been made to stand alone.
        hits: What was found for it, best first, with evidence.
        history: Earlier turns, oldest first.
        instruction: The caller's own instruction, or "". It ranks above the documents, and they above what a
            model remembers.
        max_tokens: The answer's most tokens; None leaves it to the generator. Never above its own limit.
        temperature: None leaves it to the generator.
    """

    question: str
    hits: tuple[Hit, ...]
    history: tuple[Turn, ...] = ()
    instruction: str = ""
    max_tokens: int | None = None
    temperature: float | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a prompt."""

    role: Literal["system", "user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is given, told before it answers, for traces.

    Attributes:
        messages: In order.
        tokens: Their length; None where the model's tokenizer is not known.
        dropped_hits: Hits that the budget had no room for.
        dropped_turns: Earlier turns that the budget had no room for.
    """

    messages: tuple[Message, ...]
    tokens: int | None = None
    dropped_hits: int = 0
    dropped_turns: int = 0


@dataclass(frozen=True, slots=True)
class Mark:
    """Where the marker of a citation stands in a text: `[n]` at its characters `[start, end)`.

    What looks like a marker anywhere else is no marker: it stands in code, or in the document that is quoted.
    """

    start: int
    end: int
    marker: int


@dataclass(frozen=True, slots=True)
class Delta:
    """The next piece of an answer's text, checked and ready to be shown.

    Attributes:
        text: Its characters; never empty.
        citations: Those whose marker stands in this piece for the first time.
        marks: Every marker in this piece, in text order; offsets into this text.
    """

    text: str
    citations: tuple[Citation, ...] = ()
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class Citation:
    """A quote and where it stands.

    Attributes:
        marker: The number that the answer's text uses, from 1.
        span: The quoted characters.
        quote: What is shown.
        state: What the check against the canonical text found.
        source: The document's source.
        title: The document's title.
        headings: Titles above the quote, outermost first.
        page: From 1; None without pages.
    """

    marker: int
    span: Span
    quote: str
    state: CitationState
    source: str
    title: str
    headings: tuple[str, ...] = ()
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What an answer cost: tokens read and written by the generator, and wall time in seconds."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with its checked citations, or a refusal.

    Attributes:
        text: What is shown; `[n]` refers to the citation with that marker.
        citations: In marker order, from 1. A refusal lists the nearest passages here.
        hits: What the answer was made from, best first.
        refused: True when nothing in the documents supports an answer. A result, not an error.
        support: Between 0 and 1: how well the best evidence supports an answer.
        usage: Cost.
        finish: `length` when a limit cut the answer off.
        dropped: Quotes of the generator that are not shown, since they stand nowhere in the documents.
        marks: Every marker in the text, in text order.
    """

    text: str
    citations: tuple[Citation, ...]
    hits: tuple[Hit, ...]
    refused: bool
    support: float = 0.0
    usage: Usage = field(default_factory=Usage)
    finish: Literal["stop", "length"] = "stop"
    dropped: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()


AnswerEvent = Prompt | Delta | Answer
"""What comes out while an answer is made: at most one prompt, then deltas, then exactly one answer."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question with what answers it.

    Attributes:
        id: Unique in its data set.
        text: The question.
        references: Spans that answer it; empty when the documents hold no answer.
        answer: A reference answer, or "".
        metadata: Anything else.
    """

    id: str
    text: str
    references: tuple[Span, ...] = ()
    answer: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
