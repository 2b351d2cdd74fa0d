"""From labelled questions to examples: positives with their evidence, guarded negatives, and a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ragwright.core.types import Chunk, Hit
from ragwright.finetune.corpus import Corpus, evidence_in, passage_of
from ragwright.finetune.negatives import RULES, Guards, Labels, Mined, audit, mine
from ragwright.finetune.values import Audited, Example, LabelledQuestion


@dataclass(frozen=True, slots=True)
class MiningReport:
    """What mining made of questions.

    Attributes:
        questions: That were given.
        examples: That were made of them.
        without_positive: Questions that became no example, since no chunk answers them.
        negatives: Of all examples together.
        looked_at: Hits that were looked at, positives left out: the negatives and those that fell.
        fell: How many fell to each rule, every rule named.
        bare: Examples without any negative.
        bare_by: Of these, by the rule that most of their hits fell to; `no_hits` where none was looked at.
        unfound: Examples none of whose positives is among the hits.
    """

    questions: int
    examples: int
    without_positive: int
    negatives: int
    looked_at: int
    fell: Mapping[str, int]
    bare: int
    bare_by: Mapping[str, int]
    unfound: int


@dataclass(frozen=True, slots=True)
class Examples:
    """Training examples in the order of their questions, what was left out and why, and the counts."""

    examples: tuple[Example, ...]
    audit: tuple[Audited, ...]
    report: MiningReport


def make_examples(
    questions: Sequence[LabelledQuestion],
    hits: Sequence[Sequence[Hit]],
    *,
    corpus: Corpus,
    guards: Guards,
    labels: Labels | None = None,
) -> Examples:
    """Examples of questions.

    Args:
        questions: With references in documents of the corpus.
        hits: What the retriever found for each, best first.
        corpus: All chunks of these documents.
        guards: How careful mining is.
        labels: Of all questions that are known, more than these; None: of these.

    Returns:
        An example for every question that a chunk answers.
    """
    labels = labels or Labels.of(questions, corpus)
    made: list[Example] = []
    audited: list[Audited] = []
    tally = _Tally()
    for question, found in zip(questions, hits, strict=True):
        positives = labels.positives.get(question.id, ())
        if not positives:
            audited.append(_without_positive(question))
            continue
        mined = mine(question, found, labels=labels, corpus=corpus, guards=guards)
        made.append(_example(question, found, positives=positives, mined=mined, corpus=corpus))
        audited += audit(question, mined)
        tally.add(mined, is_found=any(hit.chunk.id in {chunk.id for chunk in positives} for hit in found))
    return Examples(tuple(made), tuple(audited), tally.report(len(questions)))


def _example(
    question: LabelledQuestion,
    hits: Sequence[Hit],
    *,
    positives: Sequence[Chunk],
    mined: Mined,
    corpus: Corpus,
) -> Example:
    scores = {hit.chunk.id: hit.score for hit in hits}
    pairs = [(chunk, place[0]) for chunk in positives if (place := corpus.place(chunk.id))]

    def worth(pair: tuple[Chunk, str]) -> tuple[int, float]:
        chunk, source = pair
        held = evidence_in(chunk, question.references, source=source)
        return -sum(end - start for start, end in held), -scores.get(chunk.id, 0.0)

    ordered = sorted(pairs, key=worth)
    return Example(
        question_id=question.id,
        query=question.text,
        task=question.task,
        positives=tuple(passage_of(chunk, source, question.references) for chunk, source in ordered),
        negatives=tuple(passage_of(hit.chunk, hit.source) for hit in mined.negatives),
        scores=(
            *(scores.get(chunk.id, 0.0) for chunk, _ in ordered),
            *(hit.score for hit in mined.negatives),
        ),
    )


def _without_positive(question: LabelledQuestion) -> Audited:
    places = [
        {"source": span.document_id, "start": span.start, "end": span.end} for span in question.references
    ]
    return Audited(
        id=question.id,
        rule="no_positive",
        reason="no chunk of the index holds a character of its references; ingest their documents again",
        dropped=True,
        row={"question": question.text, "references": places},
    )


class _Tally:
    """Counts as questions pass."""

    def __init__(self) -> None:
        self._examples = self._negatives = self._looked_at = self._bare = self._unfound = 0
        self._fell: Counter[str] = Counter(dict.fromkeys(RULES, 0))
        self._bare_by: Counter[str] = Counter()

    def add(self, mined: Mined, *, is_found: bool) -> None:
        """Count one example."""
        counts = mined.counts()
        self._examples += 1
        self._negatives += len(mined.negatives)
        self._looked_at += mined.looked_at
        self._unfound += not is_found
        self._fell.update(counts)
        if not mined.negatives:
            self._bare += 1
            self._bare_by[counts.most_common(1)[0][0] if counts else "no_hits"] += 1

    def report(self, questions: int) -> MiningReport:
        """The counts so far."""
        return MiningReport(
            questions=questions,
            examples=self._examples,
            without_positive=questions - self._examples,
            negatives=self._negatives,
            looked_at=self._looked_at,
            fell=dict(self._fell),
            bare=self._bare,
            bare_by=dict(self._bare_by),
            unfound=self._unfound,
        )
