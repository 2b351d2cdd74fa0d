"""What a query found: the chunks, every part of their scores, and the evidence that is chosen of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ragwright.core.protocols import Scored, StoredChunk
from ragwright.core.types import Evidence, Hit, Place
from ragwright.retrieval.evidence import select_evidence
from ragwright.retrieval.evidence_score import QuerySigns, score_sentences
from ragwright.retrieval.read_evidence import Read


@dataclass(frozen=True, slots=True)
class Found:
    """A chunk that was found.

    Attributes:
        stored: The chunk as the index holds it.
        places: Other places of its text.
        score: What hits are sorted by.
        parts: Every stage's part of the score.
        answer: What a reader takes for the answer; None where none read, or nothing answers.
    """

    stored: StoredChunk
    places: tuple[Place, ...]
    score: float
    parts: Mapping[str, float]
    answer: Evidence | None = None

    def read_by(self, read: Read) -> Found:
        """The same with the reader's part of the score, and with what it takes for the answer."""
        key = self.stored.chunk.id
        parts = {**self.parts, "reader": read.probability(key)}
        return replace(self, parts=parts, answer=read.answer(self.stored.chunk))

    def hit(self, evidence: tuple[Evidence, ...]) -> Hit:
        """The hit with this evidence."""
        stored = self.stored
        return Hit(
            chunk=stored.chunk,
            source=stored.source,
            title=stored.title,
            score=self.score,
            scores=self.parts,
            evidence=evidence,
            duplicates=self.places,
            metadata=stored.metadata,
            answer=self.answer,
        )


class Finding:
    """What a query found, with every sentence scored; evidence is chosen of it as often as wanted.

    Attributes:
        ranked: Everything that was put forward, best first; equal texts stand apart in it.
        chunks: The found chunks, best first.
        query: What their sentences were compared with.
        seconds: Wall time by step: `encode` (the query's vector and terms), `search` (engine, fusion and
            fetching), `rerank` where there was reranking, `read` where a reader read what was found after
            that, and `score` (of the sentences). Steps that several queries took together count in equal
            shares.
    """

    def __init__(
        self,
        found: Sequence[Found],
        query: QuerySigns,
        *,
        ranked: Sequence[Scored],
        share: float,
        budget: int | None,
        count_tokens: Callable[[str], int],
        seconds: Mapping[str, float],
        read: Read | None = None,
    ) -> None:
        """Score the sentences of what was found.

        Args:
            found: The chunks, best first.
            query: What their sentences are compared with.
            ranked: Everything that was put forward, best first.
            share: Of the best sentence's score that evidence must reach, when `hits` is told no other.
            budget: Tokens of evidence in all, when `hits` is told no other.
            count_tokens: Counts a text's tokens.
            seconds: Wall time of the steps so far.
            read: What a reader made of the chunks; None: none has read them.
        """
        started = time.perf_counter()
        self.ranked = ranked
        self.chunks = [each.stored for each in found]
        self.query = query
        self._scores = read.scores(self.chunks, query) if read else score_sentences(self.chunks, query)
        self.seconds = {**seconds, "score": time.perf_counter() - started}
        self._found = [each.read_by(read) for each in found] if read else found
        self._share = share
        self._budget = budget
        self._count_tokens = count_tokens

    @classmethod
    def of_nothing(cls, dimension: int) -> Finding:
        """What someone finds who may see nothing: no hits, whatever they ask."""
        query = QuerySigns(np.zeros(dimension, np.float32), {}, frozenset(), {})
        return cls([], query, ranked=[], share=0.0, budget=None, count_tokens=len, seconds={})

    def hits(self, *, share: float | None = None, budget: int | None = None) -> list[Hit]:
        """The hits, best first, with the evidence that one position of the dial chooses.

        Args:
            share: See `SearchOptions.evidence`; None takes that of the options that were searched with.
            budget: See `SearchOptions.budget`; None takes that of the options.
        """
        chosen = select_evidence(
            self.chunks,
            self._scores,
            share=self._share if share is None else share,
            budget=self._budget if budget is None else budget,
            count_tokens=self._count_tokens,
        )
        return [each.hit(evidence) for each, evidence in zip(self._found, chosen, strict=True)]
