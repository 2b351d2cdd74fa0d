"""Questions for a reader: what each found in its own document, and what is learnt of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from corpora import Collection, indexed, retriever
from evidence_fit import Case
from policies import corpus_of, labelled

from ragwright.app.tuning.reader import Found
from ragwright.core.types import Hit, Question
from ragwright.finetune.examples import make_examples
from ragwright.finetune.negatives import Guards
from ragwright.finetune.values import Example
from ragwright.retrieval.search import HybridRetriever, SearchOptions

CHUNKS = 20
NEGATIVES = 3
_ASKED = 64  # questions at once


@dataclass(frozen=True)
class Lesson:
    """A question, what was found for it, and what a reader may learn of it.

    Attributes:
        case: For the evidence score.
        example: None where no chunk answers.
    """

    case: Case
    example: Example | None

    @property
    def found(self) -> Found | None:
        """What rules are fitted on."""
        if self.example is None:
            return None
        return Found(self.example, self.case.chunks, self.case.query)


def lessons_of(collection: Collection) -> list[Lesson]:
    """Every question asked within its own document, with guarded negatives of the same document."""
    documents, questions = collection
    with indexed(list(documents)) as (encoder, index, terms):
        search = retriever(encoder, index, terms, replace(SearchOptions(), limit=CHUNKS))
        corpus = corpus_of(index)
        lessons = []
        for start in range(0, len(questions), _ASKED):
            part = questions[start : start + _ASKED]
            cases, hits = _asked(search, part)
            made = make_examples(labelled(part), hits, corpus=corpus, guards=Guards(per_question=NEGATIVES))
            examples = {each.question_id: each for each in made.examples}
            lessons += [Lesson(case, examples.get(case.question.id)) for case in cases]
        return lessons


def _asked(search: HybridRetriever, questions: Sequence[Question]) -> tuple[list[Case], list[list[Hit]]]:
    sources = [question.references[0].document_id for question in questions]
    found = search.find_many([each.text for each in questions], filters=[{"source": s} for s in sources])
    cases = [
        Case(question, source, each.chunks, each.query, {hit.id: hit.score for hit in each.ranked})
        for question, source, each in zip(questions, sources, found, strict=True)
    ]
    return cases, [each.hits() for each in found]


def merged(questions: Sequence[Question]) -> list[Question]:
    """Questions that are asked of a document in the same words, as one with the references of all.

    PolicyQA asks them once for every place that answers; each place would be a wrong answer for the others.
    """
    found: dict[tuple[str, str], Question] = {}
    for question in questions:
        key = question.references[0].document_id, " ".join(question.text.lower().split())
        known = found.get(key)
        spans = {*question.references, *(known.references if known else ())}
        found[key] = replace(known or question, references=tuple(sorted(spans)))
    return list(found.values())


def parted(lessons: Sequence[Lesson], *, share: float, seed: int) -> tuple[list[Lesson], list[Lesson]]:
    """Lessons to learn and lessons to fit rules on, drawn by question."""
    known = [each for each in lessons if each.example is not None]
    held = set(Random(seed).sample(range(len(known)), round(share * len(known))))
    return (
        [each for place, each in enumerate(known) if place not in held],
        [each for place, each in enumerate(known) if place in held],
    )
