"""PolicyQA split by policy: 12 to train on, 2 to choose by, 6 to report; shown to trainers as examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from corpora import Collection, policyqa

from ragwright.core.protocols import ChunkIndex
from ragwright.core.types import Chunk, Document, Hit, Question, Span
from ragwright.finetune.corpus import Corpus
from ragwright.finetune.examples import make_examples
from ragwright.finetune.negatives import Guards
from ragwright.finetune.values import Example, LabelledQuestion
from ragwright.retrieval.search import HybridRetriever

REPORTED, CHOSEN_BY = 6, 2
DEPTH = 50
_ASKED = 64  # questions at once


@dataclass(frozen=True)
class Policies:
    """All 20 policies, and the questions of each part; parts share no policy.

    Attributes:
        documents: All of them: every question is asked of the whole collection.
        train: Questions of 12 policies.
        dev: Of 2.
        report: Of 6.
    """

    documents: list[Document]
    train: list[Question]
    dev: list[Question]
    report: list[Question]


def split(collection: Collection | None = None) -> Policies:
    """The fixed split: policies sorted by title, drawn with seed 0."""
    documents, questions = collection or policyqa(every=1)
    titles = sorted(document.source for document in documents)
    drawn = Random(0).sample(titles, REPORTED + CHOSEN_BY)
    report, dev = set(drawn[:REPORTED]), set(drawn[REPORTED:])

    def of(part: set[str]) -> list[Question]:
        return [each for each in questions if each.references and each.references[0].document_id in part]

    return Policies(documents, of(set(titles) - report - dev), of(dev), of(report))


def labelled(questions: Sequence[Question]) -> list[LabelledQuestion]:
    """Questions as tuning takes them; the quotes are not needed to mine."""
    return [
        LabelledQuestion(each.id, each.text, each.references, tuple("" for _ in each.references))
        for each in questions
    ]


def corpus_of(index: ChunkIndex) -> Corpus:
    """Every chunk of an index, by source."""
    return Corpus((stored.chunk, stored.source) for part in index.scan() for stored in part)


def examples_of(
    questions: Sequence[Question], *, search: HybridRetriever, corpus: Corpus, guards: Guards | None = None
) -> list[Example]:
    """Training examples, their negatives mined by hybrid search in the documents that are asked about."""
    about = {span.document_id for each in questions for span in each.references}
    found: list[list[Hit]] = []
    for start in range(0, len(questions), _ASKED):
        texts = [each.text for each in questions[start : start + _ASKED]]
        hits = search.search_many(texts, limit=DEPTH)
        found += [[hit for hit in each if hit.source in about] for each in hits]
    made = make_examples(labelled(questions), found, corpus=corpus, guards=guards or Guards())
    return list(made.examples)


def answering(corpus: Corpus, question: Question) -> list[Chunk]:
    """The chunks that answer a question."""
    return corpus.answering([Span(s.document_id, s.start, s.end) for s in question.references])
