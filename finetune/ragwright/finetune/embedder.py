"""Training an embedder, whole or by LoRA weights: questions nearer to the chunks that answer them.

learner = load_learner(starting_point, settings)
trained = train_embedder(learner, examples, dev, folder, settings=..., training=...)
finish(folder, tuned, save=learner.save, purpose=...)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ragwright.core.errors import InputError
from ragwright.finetune.embedder_batches import Batches, Frozen, Row
from ragwright.finetune.embedder_dev import DevQuestions
from ragwright.finetune.embedder_loss import Objective, make_loss
from ragwright.finetune.embedder_texts import Reading, Texts
from ragwright.finetune.learner import EmbedderSettings, Learner
from ragwright.finetune.trainers import training_device
from ragwright.finetune.training import Job, Progress, Trained, Training, train
from ragwright.finetune.values import Example, TrainingPassage

Teacher = Callable[[Sequence[tuple[str, str]]], Sequence[float]]
"""Scores pairs of a question and a passage, higher is better; logits, such as a cross-encoder's."""

_PART_TOKENS = {"cpu": 4096, "cuda": 65_536}
_WORD = re.compile(r"\w+")
_TAUGHT = 256  # pairs that a teacher is given at once
_MEASURED = 500  # rows, for the mean number of tokens


def train_embedder(
    learner: Learner,
    examples: Sequence[Example],
    dev: Sequence[Example],
    folder: Path,
    *,
    training: Training,
    teacher: Teacher | None = None,
    frozen: Frozen | None = None,
    identity: Mapping[str, Any] | None = None,
    report: Callable[[Progress], None] | None = None,
) -> Trained:
    """Train an embedder in place, and leave it with the weights that served the dev questions best.

    Dev questions are asked of the passages of all examples; the measure is nDCG@10.

    Args:
        learner: What learns.
        examples: What it learns of.
        dev: What the weights are chosen by; there may be none.
        folder: The run's folder.
        training: How long and how fast.
        teacher: Whose order of passages is learnt beside the labels.
        frozen: All passages of the index with their vectors, where the model is to read questions only.
        identity: See `Job`.
        report: See `train`.

    Raises:
        InputError: See `train`; or a passage is not in the index, or the index is missing.
        ModelError: See `train`.
    """
    settings, start = learner.settings, learner.start
    rows = _rows(learner, examples)
    _check_frozen(settings, [*examples, *dev], frozen)
    if teacher is not None:
        rows = _taught(rows, teacher)
    device = training_device().type
    reading = Reading(start.max_tokens, start.padding, start.passage_prompt, _PART_TOKENS[device])
    texts = Texts(learner.model.tokenizer, reading)
    about = {passage.source for each in examples for passage in each.positives}
    batches = Batches(texts, pools=settings.evidence > 0, frozen=frozen.among(about) if frozen else None)
    objective = Objective(
        temperature=settings.temperature,
        lengths=_lengths(learner),
        evidence=settings.evidence,
        distil=settings.distil if teacher is not None else 0.0,
        recompute=settings.recompute,
    )
    asked = [(learner.query(each.query, each.task), [p.id for p in each.positives]) for each in dev]
    seen = [p for each in [*dev, *examples] for p in [*each.positives, *each.negatives]]
    passages = {each.id: each for each in (frozen.passages if frozen else seen)}
    look = DevQuestions(asked, list(passages.values()), batches=batches, frozen=frozen, seed=training.seed)
    tokens = _mean([batches.tokens_of(row) for row in rows[:_MEASURED]])
    job = Job(
        learner.model,
        rows,
        collate=batches,
        loss=make_loss(learner.model, objective),
        look=(lambda: look.measure(learner.model)) if dev else None,
        tokens=tokens,
        longest=start.max_tokens,
        kept=_kept(reading, tokens * training.batch) if settings.recompute else 1.0,
        identity={"base": start.fingerprint, "settings": repr(settings), **(identity or {})},
    )
    return train(job, folder, settings=training, report=report)


def _rows(learner: Learner, examples: Sequence[Example]) -> list[Row]:
    """What each example teaches; what answers another question of the same words answers it, too."""
    answers: dict[str, dict[str, TrainingPassage]] = {}
    for each in examples:
        answers.setdefault(_words(each), {}).update({passage.id: passage for passage in each.positives})
    rows = []
    for each in examples:
        alike = answers[_words(each)]
        negatives = [passage for passage in each.negatives if passage.id not in alike]
        rows.append(
            Row(
                learner.query(each.query, each.task),
                each.positives,
                tuple(negatives[: learner.settings.negatives]),
                also=tuple(alike.values()),
            )
        )
    return rows


def _words(example: Example) -> str:
    return " ".join(_WORD.findall(example.query.lower()))


def _taught(rows: Sequence[Row], teacher: Teacher) -> list[Row]:
    """The rows with a teacher's scores of their passages."""
    pairs = [(row.query, each.text) for row in rows for each in row.scored]
    parts = [pairs[at : at + _TAUGHT] for at in range(0, len(pairs), _TAUGHT)]
    scores = iter([float(score) for part in parts for score in teacher(part)])
    return [replace(row, teacher=tuple(next(scores) for _ in row.scored)) for row in rows]


def _kept(reading: Reading, tokens: int) -> float:
    """Share of a step's results that are held at once where each part is computed again."""
    return min(1.0, reading.part_tokens / max(1, tokens))


def _mean(counts: Sequence[int]) -> int:
    return sum(counts) // max(1, len(counts))


def _lengths(learner: Learner) -> tuple[int, ...]:
    """The lengths at which the contrast is taken.

    Raises:
        InputError: One is longer than the vectors.
    """
    wanted, whole = learner.settings.lengths, int(learner.model.get_embedding_dimension())
    if any(not 0 < length <= whole for length in wanted):
        raise InputError(f"tune.lengths is {list(wanted)}; wanted numbers from 1 to {whole}")
    return tuple(sorted({whole, *wanted}, reverse=True))


def _check_frozen(settings: EmbedderSettings, examples: Sequence[Example], frozen: Frozen | None) -> None:
    if settings.queries_only != (frozen is not None):
        raise InputError("a model that reads questions only is trained against the vectors of an index")
    known = {each.id for each in frozen.passages} if frozen else set()
    for example in examples if frozen else ():
        for passage in [*example.positives, *example.negatives]:
            if passage.id not in known:
                raise InputError(
                    f"passage {passage.id} of question {example.question_id} is not in the index; mine the "
                    "examples again"
                )
