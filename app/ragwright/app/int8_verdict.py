"""Whether an int8 model finds what the float model finds: both are asked the same questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from ragwright.app.door import package_version
from ragwright.app.int8_corpus import Corpus
from ragwright.core.types import Passage, Vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ragwright.core.protocols import Encoder
    from ragwright.eval.values import Row

MEASURES = ("R@10", "nDCG@10")
MOST_LOSS = 0.005
"""Most that a measure may lose: half a point."""

_TOP = 10
_RANKED = 100  # chunks of a ranking: enough for ten documents of several chunks each
_BLOCK = 256  # questions that are compared with every chunk at a time


@dataclass(frozen=True, slots=True)
class Loss:
    """One measure of both models over the same questions.

    Attributes:
        measure: Its name.
        usual: Mean of the float model.
        int8: Mean of the int8 model.
        loss: `usual` less `int8`; negative where int8 is better.
        low: Lower end of the loss's 95 % bootstrap interval over questions.
        high: Its upper end.
    """

    measure: str
    usual: float
    int8: float
    loss: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was measured, and what follows.

    Attributes:
        accepted: Whether no measure lost more than half a point.
        losses: The measures.
        agreement: Mean share of the ten nearest chunks that are the same.
        cosine: Mean cosine of a chunk's two vectors.
        cosine_low: The smallest.
        dataset: Name of the data set, or `known items`.
        questions: How many were asked.
        chunks: How many were searched.
        samples: How many of them ranges were learned from.
        corpus: Digest of the chunks.
        model: The model's name.
        model_fingerprint: Of the float model.
        fingerprint: Of the int8 model.
        seed: Of what was drawn.
        created: When, in UTC.
        versions: Of what made and measured it.
    """

    accepted: bool
    losses: tuple[Loss, ...]
    agreement: float
    cosine: float
    cosine_low: float
    dataset: str
    questions: int
    chunks: int
    samples: int
    corpus: str
    model: str
    model_fingerprint: str
    fingerprint: str
    seed: int
    created: str
    versions: dict[str, str]

    def doubts(self) -> list[tuple[str, float]]:
        """Measures whose interval includes the limit, each with the end that lies on the other side of it."""
        return [
            (each.measure, each.high if each.loss <= MOST_LOSS else each.low)
            for each in self.losses
            if each.low <= MOST_LOSS <= each.high
        ]


def judge(corpus: Corpus, usual: Encoder, int8: Encoder, *, model: str, seed: int) -> Verdict:
    """Ask both models, and compare.

    Args:
        corpus: What is searched and asked.
        usual: The float model.
        int8: The int8 model.
        model: The model's name.
        seed: Of what was drawn; it is recorded.
    """
    before, after = _Found.of(corpus, usual), _Found.of(corpus, int8)
    losses = _losses(_rows(corpus, before), _rows(corpus, after))
    cosines = (before.vectors * after.vectors).sum(axis=1)
    return Verdict(
        accepted=all(each.loss <= MOST_LOSS for each in losses),
        losses=losses,
        agreement=_agreement(before, after),
        cosine=float(cosines.mean()),
        cosine_low=float(cosines.min()),
        dataset=corpus.name,
        questions=len(corpus.questions),
        chunks=len(corpus.chunks),
        samples=len(corpus.samples),
        corpus=corpus.digest(),
        model=model,
        model_fingerprint=usual.fingerprint,
        fingerprint=int8.fingerprint,
        seed=seed,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions={
            "ragwright": package_version(),
            **{name: version(name) for name in ("openvino", "nncf", "numpy")},
        },
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """What one model makes of a corpus.

    Attributes:
        vectors: Of the chunks, shape (chunks, dimension).
        ranked: Places of the nearest chunks by question, best first.
        scores: Their cosines.
    """

    vectors: Vectors
    ranked: NDArray[np.int64]
    scores: NDArray[np.float32]

    @classmethod
    def of(cls, corpus: Corpus, encoder: Encoder) -> _Found:
        passages = [Passage(chunk.context + chunk.text) for chunk in corpus.chunks]
        vectors = np.stack([each.vector for each in encoder.encode_passages(passages)])
        asked = encoder.encode_queries([question.text for question in corpus.questions])
        ranked, scores = [], []
        for start in range(0, len(asked), _BLOCK):
            cosines = asked[start : start + _BLOCK] @ vectors.T
            ranked.append(np.argsort(-cosines, axis=1, kind="stable")[:, :_RANKED])
            scores.append(np.take_along_axis(cosines, ranked[-1], axis=1))
        return cls(vectors, np.concatenate(ranked), np.concatenate(scores))


def _rows(corpus: Corpus, found: _Found) -> list[Row]:
    from ragwright.eval.ranking import ranking_rows
    from ragwright.eval.values import Outcome, Ranked

    chunks = corpus.chunks
    outcomes = [
        Outcome(
            question,
            ranked=tuple(
                Ranked(chunks[place].id, chunks[place].span, float(score))
                for place, score in zip(places, scores, strict=True)
            ),
        )
        for question, places, scores in zip(corpus.questions, found.ranked, found.scores, strict=True)
    ]
    return ranking_rows(
        outcomes,
        measures=MEASURES,
        level="documents" if corpus.judgements else "chunks",
        judgements=corpus.judgements,
        chunks={chunk.id: chunk.span for chunk in chunks},
    )


def _losses(before: Sequence[Row], after: Sequence[Row]) -> tuple[Loss, ...]:
    from ragwright.eval.statistics import by_measure, estimate

    usual, int8 = by_measure(before), by_measure(after)
    losses = []
    for measure, values in usual.items():
        others = [int8[measure][question] for question in values]
        told = estimate(np.array(list(values.values())) - np.array(others))
        means = float(np.mean(list(values.values()))), float(np.mean(others))
        losses.append(Loss(measure, *means, told.mean, told.low, told.high))
    return tuple(losses)


def _agreement(before: _Found, after: _Found) -> float:
    pairs = zip(before.ranked[:, :_TOP], after.ranked[:, :_TOP], strict=True)
    return float(np.mean([len(np.intersect1d(one, other)) / len(one) for one, other in pairs]))
