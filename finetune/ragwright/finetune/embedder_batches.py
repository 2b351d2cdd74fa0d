"""Batches for embedders: every text of a step once, those of like length together.

A step's questions and passages are sorted by length and cut into parts of so many tokens. Each part is one
forward pass; the loss sees all of them. So sorting takes nothing from the in-batch negatives, and a passage
that several questions share is computed once: who answers whom is told by the passages themselves, so that no
answer counts as a negative and no example has to wait for a batch without its passage.

Where passages keep the vectors that they have in an index, all of those documents are every question's
negatives. Documents that no example is about are not: they may well answer, and nobody has said so.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragwright.core.types import Vectors
from ragwright.finetune.embedder_texts import Ints, Texts, Tokens, inside
from ragwright.finetune.values import TrainingPassage

MOST_POSITIVES = 2
"""Positives of a question in one step; the others are no negatives."""


@dataclass(frozen=True, slots=True, eq=False)
class Frozen:
    """Passages that keep their vectors.

    Attributes:
        passages: Each once.
        vectors: Of each, float32, shape (p, dim), rows of unit L2 norm.
    """

    passages: Sequence[TrainingPassage]
    vectors: Vectors

    def among(self, sources: Collection[str]) -> Frozen:
        """Those of some documents."""
        kept = [place for place, each in enumerate(self.passages) if each.source in sources]
        return Frozen([self.passages[place] for place in kept], self.vectors[kept])

    def rows(self, passages: Sequence[TrainingPassage]) -> Vectors:
        """The vectors of some of the passages, in their order."""
        places = {each.id: place for place, each in enumerate(self.passages)}
        return self.vectors[[places[each.id] for each in passages]]


@dataclass(frozen=True, slots=True)
class Row:
    """What one step learns of one question.

    Attributes:
        query: As the encoder reads it, prompt and all.
        positives: Chunks that answer it, best first.
        negatives: Chunks that do not.
        teacher: A reranker's scores of `scored`; empty without one.
        also: Other chunks that answer it; they are computed for others only, and are never its negatives.
    """

    query: str
    positives: tuple[TrainingPassage, ...]
    negatives: tuple[TrainingPassage, ...]
    teacher: tuple[float, ...] = ()
    also: tuple[TrainingPassage, ...] = ()

    @property
    def scored(self) -> tuple[TrainingPassage, ...]:
        """The passages that a step sees of it."""
        return (*self.positives[:MOST_POSITIVES], *self.negatives)


@dataclass(frozen=True, slots=True)
class _Pool:
    """One mean: of which text, for which question and passage, evidence or not, over which tokens."""

    text: int
    owner: tuple[int, int, int]
    tokens: NDArray[np.bool_]


class Batches:
    """Makes the batch of some rows."""

    def __init__(self, texts: Texts, *, pools: bool, frozen: Frozen | None = None) -> None:
        """Nothing is tokenized yet.

        Args:
            texts: Tokenizes.
            pools: Whether evidence is pooled.
            frozen: What every question is compared with, where passages are not computed.
        """
        self._texts, self._pools, self._frozen = texts, pools and frozen is None, frozen
        self._prompt = texts.reading.passage_prompt

    def __call__(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Parts named `<n>_input_ids`, `<n>_attention_mask`, and under `label` who belongs to whom.

        Returns:
            With `label`: `queries` (n,) and `passages` (p,), the place of each among all texts of the parts
            one after the other; `positive` (n, p), whether the passage answers the question; `teacher`
            (n, p), NaN where not scored; and `frozen` (p, dim) in place of `passages` where passages are not
            computed. With evidence: `<n>_pools` (k, tokens of the part), the weights of each token in each
            of k means, and `pooled` (all k, 3): question, passage, and 1 for evidence or 0 for the rest of
            its passage.
        """
        import torch

        passages = self._passages(rows)
        places: dict[str, int] = {}
        queries = [places.setdefault(row.query, len(places)) for row in rows]
        computed = [self._prompt + each.text for each in passages] if self._frozen is None else []
        where = [places.setdefault(text, len(places)) for text in computed]
        tokens = self._texts.tokens(list(places))
        parts = self._texts.parts(tokens)
        order = np.empty(len(tokens), np.int64)
        order[np.concatenate(parts)] = np.arange(len(tokens))
        label: dict[str, Any] = {
            "queries": order[queries],
            "positive": _answers(rows, passages),
            "teacher": _teachers(rows, passages),
        }
        if self._frozen is None:
            label["passages"] = order[where]
        else:
            label["frozen"] = self._frozen.vectors
        batch: dict[str, Any] = {}
        for number, part in enumerate(parts):
            ids, mask = self._texts.padded([tokens[place] for place in part])
            batch |= {f"{number}_input_ids": ids, f"{number}_attention_mask": mask}
        if self._pools:
            wanted = self._wanted(rows, passages, where=where, tokens=tokens)
            label["pooled"] = _add_pools(batch, parts, tokens, wanted)
        return {**batch, "label": {name: torch.from_numpy(each) for name, each in label.items()}}

    def tokens_of(self, row: Row) -> int:
        """Tokens of all that a step computes of a row."""
        computed = [self._prompt + each.text for each in row.scored] if self._frozen is None else []
        return sum(len(each.ids) for each in self._texts.tokens([row.query, *computed]))

    def encode_queries(self, model: Any, queries: Sequence[str]) -> Vectors:
        """Vectors of questions by the model as it stands, unit rows."""
        return self._texts.encode(model, queries)

    def encode_passages(self, model: Any, passages: Sequence[TrainingPassage]) -> Vectors:
        """Vectors of passages by the model as it stands, unit rows."""
        return self._texts.encode(model, [self._prompt + each.text for each in passages])

    def _passages(self, rows: Sequence[Row]) -> Sequence[TrainingPassage]:
        """What the questions of a step are compared with, each once."""
        if self._frozen is not None:
            return self._frozen.passages
        return list({each.id: each for row in rows for each in row.scored}.values())

    def _wanted(
        self,
        rows: Sequence[Row],
        passages: Sequence[TrainingPassage],
        *,
        where: Sequence[int],
        tokens: Sequence[Tokens],
    ) -> list[_Pool]:
        """The means to be taken: of each question's evidence, and of what is left of its passage."""
        numbers = {each.id: number for number, each in enumerate(passages)}
        wanted = []
        for question, row in enumerate(rows):
            for each in row.positives[:MOST_POSITIVES]:
                number = numbers[each.id]
                starts = tokens[where[number]].starts
                held, text = inside(starts, each.evidence, shift=len(self._prompt)), starts >= 0
                if held.any() and not held[text].all():
                    wanted.append(_Pool(where[number], (question, number, 1), held))
                    wanted.append(_Pool(where[number], (question, number, 0), text & ~held))
        return wanted


def _answers(rows: Sequence[Row], passages: Sequence[TrainingPassage]) -> NDArray[np.bool_]:
    """Whether each passage answers each question: one that it knows to, or one that reads the same."""
    places: dict[str, list[int]] = {}
    for place, each in enumerate(passages):
        for key in (each.id, each.text):
            places.setdefault(key, []).append(place)
    found = np.zeros((len(rows), len(passages)), bool)
    for number, row in enumerate(rows):
        for each in (*row.positives, *row.also):
            found[number, [*places.get(each.id, ()), *places.get(each.text, ())]] = True
    return found


def _teachers(rows: Sequence[Row], passages: Sequence[TrainingPassage]) -> NDArray[np.float32]:
    places = {each.id: place for place, each in enumerate(passages)}
    scores = np.full((len(rows), len(passages)), np.nan, np.float32)
    for number, row in enumerate(rows):
        if row.teacher:
            scores[number, [places[each.id] for each in row.scored]] = row.teacher
    return scores


def _add_pools(
    batch: dict[str, Any], parts: Sequence[Ints], tokens: Sequence[Tokens], wanted: Sequence[_Pool]
) -> Ints:
    """Add the weights of the means to each part; returns their owners, shape (k, 3), part after part."""
    import torch

    owners: list[tuple[int, int, int]] = []
    for number, part in enumerate(parts):
        longest = max(len(tokens[place].ids) for place in part)
        rows = {int(place): row for row, place in enumerate(part)}
        chosen = [each for each in wanted if each.text in rows]
        weights = np.zeros((len(chosen), len(part), longest), np.float32)
        for row, each in enumerate(chosen):
            weights[row, rows[each.text], : len(each.tokens)] = each.tokens / each.tokens.sum()
        batch[f"{number}_pools"] = torch.from_numpy(weights.reshape(len(chosen), len(part) * longest))
        owners += [each.owner for each in chosen]
    return np.asarray(owners, np.int64).reshape(-1, 3)
