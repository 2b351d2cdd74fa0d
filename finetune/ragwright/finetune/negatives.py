"""Hard negatives: hits of the workspace's own retriever that answer nothing, guarded against those that do.

What a retriever ranks high and no label names is often an answer that nobody labelled. A model that learns to
push it away gets worse, so a hit is a negative only when no rule speaks for it (Moreira et al. 2024,
"NV-Retriever", arXiv:2407.15831, for the share of the positive's score; Karpukhin et al. 2020, "Dense Passage
Retrieval", arXiv:2004.04906, for the words of the answer). Every hit that falls is told with its rule.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ragwright.core.types import Chunk, Hit
from ragwright.finetune.corpus import Corpus, overlap_of_words, words
from ragwright.finetune.values import Audited, LabelledQuestion

Rule = Literal[
    "same_question",  # it answers a question of the same words
    "quote",  # it holds the words of a reference, and few chunks do
    "duplicate",  # it is nearly the text of a positive, or stands as well where a positive stands
    "neighbour",  # it stands beside a positive in its document
    "score",  # it scores nearly as high as the positive, or higher
]
RULES: tuple[Rule, ...] = ("same_question", "quote", "duplicate", "neighbour", "score")
"""In the order in which a hit is tried: it falls to the first that speaks for it."""


@dataclass(frozen=True, slots=True)
class Guards:
    """How careful mining is; the fields are those of the `[negatives]` section.

    Attributes:
        per_question: Most negatives of one question.
        margin: Share of the positive's score above which a hit falls.
        neighbours: Chunks so close to a positive in its document fall.
        duplicate: Share of the words in a row, 0..1, from which on two texts are nearly the same.
        common: A quote that a larger share of the chunks holds, 0..1, tells nothing of any of them.
    """

    per_question: int = 4
    margin: float = 0.95
    neighbours: int = 1
    duplicate: float = 0.5
    common: float = 0.02


@dataclass(frozen=True, slots=True)
class Mined:
    """What the hits of one question gave.

    Attributes:
        negatives: Hardest first.
        fell: The hits that were looked at and fell, each with its rule and a sentence that says why.
    """

    negatives: tuple[Hit, ...] = ()
    fell: tuple[tuple[Hit, Rule, str], ...] = ()

    @property
    def looked_at(self) -> int:
        """How many hits were looked at, positives left out."""
        return len(self.negatives) + len(self.fell)

    def counts(self) -> Counter[Rule]:
        """How many hits fell to each rule."""
        return Counter(rule for _, rule, _ in self.fell)


@dataclass(frozen=True, slots=True)
class Labels:
    """Which chunks answer which questions.

    Attributes:
        positives: Chunks that answer each question, by its id.
        by_words: Ids of the chunks that answer any question of the same words, by these words.
    """

    positives: Mapping[str, Sequence[Chunk]]
    by_words: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, questions: Iterable[LabelledQuestion], corpus: Corpus) -> Labels:
        """The labels of questions whose documents are in the corpus."""
        positives, by_words = {}, dict[str, set[str]]()
        for question in questions:
            found = positives[question.id] = corpus.answering(question.references)
            by_words.setdefault(words(question.text), set()).update(chunk.id for chunk in found)
        return cls(positives, {text: frozenset(ids) for text, ids in by_words.items()})


def mine(
    question: LabelledQuestion, hits: Sequence[Hit], *, labels: Labels, corpus: Corpus, guards: Guards
) -> Mined:
    """Negatives of one question.

    Args:
        question: With its references.
        hits: What the retriever found for it, best first.
        labels: Of every question that is known, so that what answers another of the same words is spared.
        corpus: All chunks of the documents that are asked about.
        guards: How careful to be.

    Returns:
        The best hits that no rule speaks for. Hits behind the last negative that was wanted are not looked
        at. A positive that was not found scores at most as much as the last hit, so with a margin of at most
        1 every hit falls to the rule `score`.
    """
    judge = _Judge(question, hits, labels=labels, corpus=corpus, guards=guards)
    negatives: list[Hit] = []
    fell: list[tuple[Hit, Rule, str]] = []
    for hit in hits:
        if len(negatives) >= guards.per_question:
            break
        if hit.chunk.id in judge.own:
            continue
        verdict = judge(hit)
        if verdict is None:
            negatives.append(hit)
        else:
            fell.append((hit, *verdict))
    return Mined(tuple(negatives), tuple(fell))


def audit(question: LabelledQuestion, mined: Mined) -> list[Audited]:
    """A row for every hit that fell."""
    return [
        Audited(
            id=question.id,
            rule=rule,
            reason=reason,
            dropped=True,
            row={
                "question": question.text,
                "chunk": hit.chunk.id,
                "source": hit.source,
                "start": hit.chunk.span.start,
                "end": hit.chunk.span.end,
                "score": hit.score,
                "text": hit.chunk.text,
            },
        )
        for hit, rule, reason in mined.fell
    ]


class _Judge:
    """Says of a hit which rule speaks for it."""

    def __init__(
        self,
        question: LabelledQuestion,
        hits: Sequence[Hit],
        *,
        labels: Labels,
        corpus: Corpus,
        guards: Guards,
    ) -> None:
        self._guards, self._corpus = guards, corpus
        self._references = question.references
        self._positives = labels.positives.get(question.id, ())
        self.own = frozenset(chunk.id for chunk in self._positives)
        self._same = labels.by_words.get(words(question.text), frozenset())
        self._quotes = [text for quote in question.quotes if (text := words(quote))]
        self._places = [place for each in self.own if (place := corpus.place(each)) is not None]
        self._highest, self._found = _highest_score(hits, self.own, guards.margin)

    def __call__(self, hit: Hit) -> tuple[Rule, str] | None:
        """The first rule that speaks for a hit, and why; None: it is a negative."""
        if hit.chunk.id in self._same:
            return "same_question", "it answers a question of the same words"
        if (quote := self._quoted(hit)) is not None:
            return "quote", f'it holds "{quote.strip()}", which answers the question'
        if (share := self._likeness(hit)) >= self._guards.duplicate:
            return (
                "duplicate",
                f"{share:.0%} of its words in a row stand in a chunk that answers the question",
            )
        if (distance := self._distance(hit)) <= self._guards.neighbours:
            return "neighbour", f"it stands {distance} chunks from one that answers the question"
        if hit.score > self._highest or (not self._found and hit.score >= self._highest):
            return "score", self._too_high(hit)
        return None

    def _quoted(self, hit: Hit) -> str | None:
        """The words of a reference that the hit holds, if few chunks hold them."""
        text = words(hit.chunk.text)
        for quote in self._quotes:
            if quote in text and self._corpus.share_holding(quote) <= self._guards.common:
                return quote
        return None

    def _likeness(self, hit: Hit) -> float:
        """How much the hit is the text of a positive, 0..1."""
        if any(
            place.source == span.document_id and place.span.start < span.end and span.start < place.span.end
            for place in hit.duplicates
            for span in self._references
        ):
            return 1.0
        return max((overlap_of_words(hit.chunk.text, each.text) for each in self._positives), default=0.0)

    def _distance(self, hit: Hit) -> float:
        """How many chunks away the nearest positive of the same document is; infinite where there is none."""
        here = self._corpus.place(hit.chunk.id)
        if here is None:
            return float("inf")
        return min(
            (abs(here[1] - number) for source, number in self._places if source == here[0]),
            default=float("inf"),
        )

    def _too_high(self, hit: Hit) -> str:
        wanted = f"{self._guards.margin:g} of the score of"
        if self._found:
            return f"it scores {hit.score:.4g}, wanted at most {self._highest:.4g}, {wanted} the positive"
        return f"it scores {hit.score:.4g} and no positive is among the hits; wanted less than {wanted} one"


def _highest_score(hits: Sequence[Hit], positives: frozenset[str], margin: float) -> tuple[float, bool]:
    """What a negative may score at most, and whether a positive was found.

    The score of a positive that was not found is at most that of the last hit.
    """
    found = [hit.score for hit in hits if hit.chunk.id in positives]
    best = max(found) if found else min((hit.score for hit in hits), default=0.0)
    return best - (1.0 - margin) * abs(best), bool(found)  # a share that holds below 0 as well
