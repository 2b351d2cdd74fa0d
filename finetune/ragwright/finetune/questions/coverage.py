"""How well a collection is asked about: by document, section and task, and where questions are wanting."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ragwright.core.types import Chunk
from ragwright.finetune.questions.asking import Subject
from ragwright.finetune.values import LabelledQuestion

TASKS: Mapping[str, float] = {
    "what": 0.16,
    "yes_no": 0.14,
    "procedure": 0.12,
    "number": 0.12,
    "reason": 0.1,
    "condition": 0.1,
    "who": 0.1,
    "table": 0.1,
    "faq": 0.1,
    "topic": 0.1,
    "definition": 0.08,
    "list": 0.08,
    "keywords": 0.05,
    "place": 0.05,
}
"""Tasks with the share of the questions that would be well; documents seldom offer that much of each."""


@dataclass(frozen=True, slots=True)
class Place:
    """A document or a section, and how much is asked about it.

    Attributes:
        source: The document.
        headings: Of the section, outermost first; empty for a document, and for text above any heading.
        characters: Of its chunks.
        chunks: How many they are.
        asked: How many of these have a question.
        questions: How many there are.
    """

    source: str
    headings: tuple[str, ...]
    characters: int
    chunks: int
    asked: int
    questions: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """What is asked about a collection.

    Attributes:
        documents: In order of source.
        sections: In text order.
        tasks: Questions by task, most first.
        origins: Questions by origin, most first.
    """

    documents: tuple[Place, ...]
    sections: tuple[Place, ...]
    tasks: Mapping[str, int]
    origins: Mapping[str, int]

    def thin(self) -> list[Place]:
        """Sections that nothing is asked about, the largest first."""
        bare = [section for section in self.sections if not section.questions]
        return sorted(bare, key=lambda section: (-section.characters, section.source, section.headings))


def coverage(subjects: Sequence[Subject], questions: Iterable[LabelledQuestion]) -> Coverage:
    """How well these documents are asked about by these questions.

    A question counts for every chunk that holds the start of one of its references.
    """
    asked = list(questions)
    by_chunk = questions_by_chunk(subjects, asked)
    documents: list[Place] = []
    sections: list[Place] = []
    for subject in sorted(subjects, key=lambda subject: subject.source):
        documents.append(_place(subject, (), subject.chunks, by_chunk))
        parts: dict[tuple[str, ...], list[Chunk]] = defaultdict(list)
        for chunk in subject.chunks:
            parts[chunk.headings].append(chunk)
        sections += [_place(subject, headings, chunks, by_chunk) for headings, chunks in parts.items()]
    tasks, origins = (
        Counter(question.task for question in asked),
        Counter(question.origin for question in asked),
    )
    return Coverage(tuple(documents), tuple(sections), dict(tasks.most_common()), dict(origins.most_common()))


def questions_by_chunk(
    subjects: Iterable[Subject], questions: Iterable[LabelledQuestion]
) -> dict[str, list[LabelledQuestion]]:
    """The questions of each chunk that holds the start of one of their references, by its id."""
    starts: dict[str, list[tuple[int, LabelledQuestion]]] = defaultdict(list)
    for question in questions:
        for span in question.references:
            starts[span.document_id].append((span.start, question))
    found: dict[str, list[LabelledQuestion]] = {}
    for subject in subjects:
        ordered = sorted(starts.get(subject.source, ()), key=lambda pair: pair[0])
        place = 0
        for chunk in sorted(subject.chunks, key=lambda chunk: chunk.span.start):
            while place < len(ordered) and ordered[place][0] < chunk.span.start:
                place += 1
            last = place
            while last < len(ordered) and ordered[last][0] < chunk.span.end:
                last += 1
            if last > place:
                own = {question.id: question for _, question in ordered[place:last]}
                found[chunk.id] = list(own.values())
    return found


def scarce_tasks(counts: Mapping[str, int]) -> tuple[str, ...]:
    """Tasks by how few of their share there are, the scarcest first; of equals the larger share."""
    return tuple(sorted(TASKS, key=lambda task: (counts.get(task, 0) / TASKS[task], -TASKS[task])))


def _place(
    subject: Subject,
    headings: tuple[str, ...],
    chunks: Sequence[Chunk],
    by_chunk: Mapping[str, Sequence[LabelledQuestion]],
) -> Place:
    own = {question.id for chunk in chunks for question in by_chunk.get(chunk.id, ())}
    return Place(
        subject.source,
        headings,
        sum(len(chunk.text) for chunk in chunks),
        len(chunks),
        sum(chunk.id in by_chunk for chunk in chunks),
        len(own),
    )
