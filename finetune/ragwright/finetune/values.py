"""The values of tuning, from a labelled question to a training example.

Spans name their document by its *source*, as in data sets and runs of evaluations: rows of one workspace can
be read by people, and used with another one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ragwright.core.types import Hit, Span

Origin = Literal[
    "structure",  # made of a document's own headings, definitions, lists and tables
    "model",  # written by a language model
    "user",  # written by people for this purpose
    "feedback",  # asked on the chat page, and judged there
    "dataset",  # of a data set
]

Part = Literal["train", "dev", "test"]
"""Trained on; looked at to choose settings and to stop; reported."""

Search = Callable[[Sequence[str]], list[list[Hit]]]
"""Hits for each of several questions, best first, as the workspace's own retriever finds them."""


@dataclass(frozen=True, slots=True)
class LabelledQuestion:
    """A question with the spans that answer it.

    Attributes:
        id: Unique in its file.
        text: The question, as somebody would ask it.
        references: What answers it: one span or several, which need not be neighbours; never empty.
        quotes: The characters of each reference, in their order; they stand in the document, exactly.
        answer: A short answer, or "".
        origin: Where it comes from.
        recipe: How it was made: the name of a rule and its version, or that of a prompt and its version.
        task: What kind of question it is, such as `definition`, `list` or `table`; "" where nobody says.
        metadata: Anything else.
    """

    id: str
    text: str
    references: tuple[Span, ...]
    quotes: tuple[str, ...]
    answer: str = ""
    origin: Origin = "dataset"
    recipe: str = ""
    task: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sources(self) -> frozenset[str]:
        """The documents that answer it."""
        return frozenset(span.document_id for span in self.references)


@dataclass(frozen=True, slots=True)
class TrainingPassage:
    """A chunk as a model reads it.

    Attributes:
        id: Of the chunk.
        source: Of its document.
        text: Context and text, as the encoder reads them.
        evidence: Half-open character ranges of `text` that answer the question, ascending, not overlapping;
            empty for what answers nothing.
    """

    id: str
    source: str
    text: str
    evidence: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Example:
    """What a retriever learns of one question.

    Attributes:
        question_id: Of the question.
        query: Its text.
        task: See `LabelledQuestion.task`; models that are tuned for several tasks get its instruction.
        positives: Chunks that answer it, best first; never empty.
        negatives: Chunks that do not, hardest first; there may be none.
        scores: The retriever's score of each positive, then of each negative; what it did not find has 0.
    """

    question_id: str
    query: str
    task: str
    positives: tuple[TrainingPassage, ...]
    negatives: tuple[TrainingPassage, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Audited:
    """What became of a row that was dropped or changed.

    Attributes:
        id: Of the row.
        rule: Which rule did it, such as `not_found_again`.
        reason: A sentence: what was seen, what was wanted.
        dropped: Whether the row is gone; else it was changed.
        row: What it was before.
    """

    id: str
    rule: str
    reason: str
    dropped: bool
    row: Mapping[str, Any]
