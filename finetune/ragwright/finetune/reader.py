"""Training a reader: which chunk answers, which of its sentences are the evidence, and whether any is.

learner = load_reader_learner(start)
trained = train_reader(learner, examples, dev, folder, training=..., sentences=...)
rules = fit_rules(...)                                            # reader_rules.py
finish(folder, tuned, save=lambda into: learner.save(into, rules), purpose=PURPOSE)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ragwright.core.errors import InputError
from ragwright.finetune.reader_data import Pairs, ReaderRow, Sentences, reader_rows
from ragwright.finetune.reader_model import ReaderLearner, parts_of, settle
from ragwright.finetune.trainers import training_device
from ragwright.finetune.training import Job, Progress, Trained, Training, train
from ragwright.finetune.values import Example

PURPOSE: Final = """\
Reads a question and a chunk together. It orders chunks (`search.rerank=reader`), chooses the evidence in
them, marks the words that answer, and tells how likely there is an answer at all. Set `reader.model` to the
folder `model` beside this card."""

LONGEST = 384
"""Most tokens of a question and a chunk together, where the encoder reads so many."""

_PART_TOKENS = {"cpu": 4096, "cuda": 65_536}
_MEASURED = 200  # rows, for the mean number of tokens
_SETTLED = 24  # rows by which new heads are scaled


def train_reader(
    learner: ReaderLearner,
    examples: Sequence[Example],
    dev: Sequence[Example],
    folder: Path,
    *,
    training: Training,
    sentences: Sentences,
    identity: Mapping[str, Any] | None = None,
    report: Callable[[Progress], None] | None = None,
) -> Trained:
    """Train a reader in place, and leave it with the weights that served the dev questions best.

    The measures are `evidence`, the mean average precision of sentences among all of a question's chunks, and
    `passage`, the mean reciprocal rank of the first chunk that answers.

    Args:
        learner: What learns.
        examples: What it learns of; those without negatives teach less, and those without evidence nothing.
        dev: What the weights are chosen by; there may be none.
        folder: The run's folder.
        training: How long and how fast.
        sentences: Cuts a chunk as retrieval cuts it.
        identity: See `Job`.
        report: See `train`.

    Raises:
        InputError: See `train`; or no example names evidence.
        ModelError: See `train`.
    """
    rows = reader_rows(examples, sentences)
    if not any(passage.answers for row in rows for passage in row.passages):
        raise InputError("no training example says where the answer stands; mine the examples again")
    pairs = make_pairs(learner)
    asked = reader_rows(dev, sentences)
    if learner.fresh:
        settle(learner.model, [_there(learner.model, part) for part in parts_of(pairs(rows[:_SETTLED]))])
    job = Job(
        learner.model,
        rows,
        collate=pairs,
        look=(lambda: look(learner.model, asked, pairs=pairs)) if asked else None,
        tokens=sum(pairs.tokens_of(row) for row in rows[:_MEASURED]) // len(rows[:_MEASURED]),
        longest=longest_pair(learner),
        identity={"base": learner.start.fingerprint, "kind": "reader", **(identity or {})},
    )
    return train(job, folder, settings=training, report=report)


def make_pairs(learner: ReaderLearner) -> Pairs:
    """What makes a learner's batches."""
    return Pairs(
        learner.tokenizer,
        longest=longest_pair(learner),
        padding=learner.start.padding,
        part_tokens=_PART_TOKENS[training_device().type],
    )


def longest_pair(learner: ReaderLearner) -> int:
    """Most tokens of a question and a chunk together."""
    return min(LONGEST, learner.start.positions)


def look(model: Any, rows: Sequence[ReaderRow], *, pairs: Pairs) -> dict[str, float]:
    """How well a model orders sentences and chunks; see `train_reader`.

    Args:
        model: As it stands; it is put into evaluation mode and back.
        rows: Questions with chunks of both kinds.
        pairs: Makes batches.
    """
    precisions, ranks = [], []
    for row in rows:
        passages, odds, shares, answers = read_row(model, row, pairs=pairs)
        if shares.sum() > 0:
            precisions.append(average_precision(odds, shares))
        if answers.any():
            ranks.append(1.0 / (1 + int((passages[~answers] >= passages[answers].max()).sum())))
    return {
        "evidence": float(np.mean(precisions)) if precisions else 0.0,
        "passage": float(np.mean(ranks)) if ranks else 0.0,
    }


def read_row(
    model: Any, row: ReaderRow, *, pairs: Pairs
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """What a model says of one question's chunks, in no order in particular.

    Returns:
        Log-odds of the passages (p,), of all their sentences (s,), how much of these is evidence (s,), and
        which passages hold any (p,).
    """
    import torch

    found: list[list[NDArray[Any]]] = [[], [], [], []]
    training = model.training
    model.eval()
    with torch.no_grad():
        for part in parts_of(pairs([row])):
            passages, sentences = (odds.cpu().numpy() for odds in model.odds(_there(model, part)))
            real = part["sentences"].numpy() > 0
            values = (passages, sentences[real], part["shares"].numpy()[real], part["answers"].numpy() > 0)
            for into, value in zip(found, values, strict=True):
                into.append(value)
    model.train(training)
    one, two, three, four = (np.concatenate(each) for each in found)
    return one, two, three, four


def _there(model: Any, part: Mapping[str, Any]) -> dict[str, Any]:
    """A part on the model's device."""
    return {name: array.to(model.weight.device) for name, array in part.items()}


def average_precision(odds: NDArray[np.float32], shares: NDArray[np.float32]) -> float:
    """Mean precision at the sentences that are evidence, each counting by how much of it is; 0..1.

    >>> average_precision(np.array([3.0, 2.0, 1.0]), np.array([1.0, 0.0, 1.0]))
    0.8333333333333333
    """
    gains = shares[np.argsort(-odds, kind="stable")].astype(np.float64)
    precision = np.cumsum(gains) / np.arange(1, len(gains) + 1)
    return float((precision * gains).sum() / gains.sum())
