"""Training a cross-encoder to order chunks: one transformer reads a question and a chunk and gives one score.

After Nogueira and Cho 2019, "Passage Re-ranking with BERT" (arXiv:1901.04085). The chunks of a question learn
their order together (see `order_loss`), its negatives being those that its own retriever confuses with the
answer; beside it each pair learns by itself whether it answers, so that scores mean the same for every
question.

model = load_reranker(start)
trained = train_reranker(model, start, examples, dev, folder, training=...)
finish(folder, tuned, save=lambda into: save_reranker(model, into), purpose=PURPOSE)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from ragwright.core.errors import ModelError
from ragwright.finetune.embedder_dev import discounted, ranked
from ragwright.finetune.embedder_texts import cut
from ragwright.finetune.reader_loss import order_loss
from ragwright.finetune.reader_model import ReaderStart
from ragwright.finetune.trainers import check_libraries, quiet, training_device
from ragwright.finetune.training import Job, Progress, Trained, Training, train
from ragwright.finetune.values import Example

PURPOSE: Final = """\
Scores how well a chunk answers a question, 0 to 1. It is used by `ragwright tune promote {name}`, or by
setting `reranker.model` to the folder `model` beside this card and `search.rerank` to `cross`."""

LONGEST = 384
"""Most tokens of a question and a chunk together, where the model reads so many."""

ORDER, ALONE = 1.0, 0.5
"""Weights of the order of a question's chunks, and of each pair by itself."""

_POSITIVES = 2  # of a question in one step
_PART_TOKENS = {"cpu": 4096, "cuda": 65_536}
_CHARACTERS = 4  # of a token, where texts are only compared by length
_DEPTH = 10


def load_reranker(start: ReaderStart, *, dropout: float = 0.0, seed: int = 0) -> Any:
    """A `CrossEncoder` of one label, made of an encoder or going on as a cross-encoder.

    The table of token vectors does not learn.

    Args:
        start: The model.
        dropout: Share of numbers that are left out at random.
        seed: Of the first weights of a new head.

    Raises:
        ModelError: It cannot be loaded, or gives more than one score.
        MissingExtra: A library of the extra `tune` is absent.
    """
    check_libraries()
    import torch
    from sentence_transformers import CrossEncoder

    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model = CrossEncoder(
                str(start.path),
                num_labels=1,
                device=str(training_device()),
                local_files_only=True,
                trust_remote_code=False,
                max_length=min(LONGEST, start.positions),
                model_kwargs={"use_safetensors": True, "dtype": "float32"},
            )
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"model folder {start.path} cannot be loaded for training: {error}") from None
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = dropout
        if isinstance(module, torch.nn.Embedding):
            module.requires_grad_(False)
    return model


def save_reranker(model: Any, folder: Path) -> None:
    """Write a folder for `reranker.model`; weights as safetensors."""
    with quiet():
        model.save_pretrained(str(folder), create_model_card=False, safe_serialization=True)


def train_reranker(
    model: Any,
    start: ReaderStart,
    examples: Sequence[Example],
    dev: Sequence[Example],
    folder: Path,
    *,
    training: Training,
    identity: Mapping[str, Any] | None = None,
    report: Callable[[Progress], None] | None = None,
) -> Trained:
    """Train a cross-encoder in place, and leave it with the weights that served the dev questions best.

    The measure is nDCG@10 among the chunks of each question's example.

    Args:
        model: From `load_reranker`.
        start: What it was made of.
        examples: What it learns of.
        dev: What the weights are chosen by; there may be none.
        folder: The run's folder.
        training: How long and how fast.
        identity: See `Job`.
        report: See `train`.

    Raises:
        InputError: See `train`.
        ModelError: See `train`.
    """
    rows = [row_of(each) for each in examples]
    tokens = sum(len(text) for row in rows for text in row["docs"]) // _CHARACTERS // max(1, len(rows))
    job = Job(
        model,
        rows,
        loss=make_ranking_loss(model),
        look=(lambda: look(model, dev)) if dev else None,
        tokens=tokens,
        longest=min(LONGEST, start.positions),
        identity={"base": start.fingerprint, "kind": "reranker", **(identity or {})},
    )
    return train(job, folder, settings=training, report=report)


def row_of(example: Example) -> dict[str, Any]:
    """An example as the loss takes it: a query, its chunks, and which of them answer."""
    positives = [each.text for each in example.positives[:_POSITIVES]]
    negatives = [each.text for each in example.negatives]
    labels = [1.0] * len(positives) + [0.0] * len(negatives)
    return {"query": example.query, "docs": [*positives, *negatives], "labels": labels}


def make_ranking_loss(model: Any) -> Any:
    """A module that is called as sentence-transformers calls its losses of lists: `loss(inputs, labels)`."""
    import torch

    class RankingLoss(torch.nn.Module):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, inputs: Sequence[Any], labels: Sequence[Any], **_: Any) -> Any:
            queries, chunks = inputs
            pairs = [(query, text) for query, texts in zip(queries, chunks, strict=True) for text in texts]
            counts = [len(texts) for texts in chunks]
            scores = logits(self.model, pairs)
            answers = torch.cat(list(labels)).to(scores)
            questions = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
            order = order_loss(scores, answers, questions.to(scores.device), number=len(counts))
            alone = torch.nn.functional.binary_cross_entropy_with_logits(scores, answers)
            return ORDER * order + ALONE * alone

    return RankingLoss()


def logits(model: Any, pairs: Sequence[tuple[str, str]]) -> Any:
    """A model's scores before its activation, as a tensor in the order of the pairs."""
    import torch

    lengths = [1 + (len(query) + len(text)) // _CHARACTERS for query, text in pairs]
    found: list[Any] = [None] * len(pairs)
    for part in cut(lengths, _PART_TOKENS[model.device.type]):
        features = model.preprocess([pairs[place] for place in part])
        features = {
            name: each.to(model.device) if isinstance(each, torch.Tensor) else each
            for name, each in features.items()
        }
        for place, score in zip(part, model(features)["scores"].view(-1).float(), strict=True):
            found[place] = score
    return torch.stack(found)


def look(model: Any, examples: Sequence[Example]) -> dict[str, float]:
    """How well a model orders the chunks of each question, as it stands."""
    import torch

    values = []
    model.eval()
    with torch.no_grad():
        for example in examples:
            texts = [*example.negatives, *example.positives]  # so that equal scores do not flatter
            scores = logits(model, [(example.query, each.text) for each in texts]).cpu().numpy()
            right = np.arange(len(texts)) >= len(example.negatives)
            gains = ranked(scores[None], right[None], _DEPTH)
            values.append(float(discounted(gains, np.array([len(example.positives)]))[0]))
    return {f"nDCG@{_DEPTH}": float(np.mean(values))}
