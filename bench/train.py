"""How fast an embedder is trained, against the library's trainer at its defaults in one run.

    python bench/train.py [--quick]

Needs the shared data. Both train the default model on the same examples in batches of the same size, with one
positive and one hard negative to a question. The library pads, computes in fp32, and computes a passage as
often as it is named. First the speed, in turns on the same steps; then a whole epoch of each, after which
both models are held to the same questions of policies that neither was trained on.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from corpora import chroma, indexed
from embedder import mined, starting_point
from policies import corpus_of, split
from rows import DATA, Bench

from ragwright.eval.statistics import estimate
from ragwright.finetune.embedder import train_embedder
from ragwright.finetune.embedder_batches import Batches
from ragwright.finetune.embedder_dev import discounted, ranked
from ragwright.finetune.embedder_texts import Reading, Texts
from ragwright.finetune.learner import EmbedderSettings, load_learner
from ragwright.finetune.trainers import quiet
from ragwright.finetune.training import Training
from ragwright.finetune.values import Example, TrainingPassage
from ragwright.retrieval.model import DEFAULT_MODEL

BATCH, STEPS, TURNS = 64, 3, 3
RATE = 5e-5  # the library's default


def with_one_of_each(examples: Sequence[Example]) -> list[Example]:
    """Examples with one positive and one negative, as both trainers take them."""
    kept = [each for each in examples if each.negatives]
    return [replace(each, positives=each.positives[:1], negatives=each.negatives[:1]) for each in kept]


def once(count: int) -> list[Example]:
    """Examples none of whose passages is in another: chunks of the five corpora, asked by their beginning."""
    documents, _ = chroma()
    with indexed(documents) as (_encoder, index, _terms):
        corpus_of(index)
        chunks = sorted((s.chunk for part in index.scan() for s in part), key=lambda chunk: chunk.id)
    drawn = np.random.default_rng(0).permutation(len(chunks))[: 2 * count]
    made = []
    for number, (left, right) in enumerate(zip(drawn[::2], drawn[1::2], strict=True)):
        passages = [
            TrainingPassage(chunks[n].id, "", chunks[n].context + chunks[n].text) for n in (left, right)
        ]
        query = " ".join(chunks[left].text.split()[:12])
        made.append(Example(str(number), query, "", (passages[0],), (passages[1],), (1.0, 0.5)))
    return made


def ours(examples: Sequence[Example], epochs: float = 1.0) -> tuple[float, Any]:
    """Seconds of training, and the model."""
    learner = load_learner(starting_point(), EmbedderSettings())
    training = Training(epochs=epochs, batch=BATCH, learning_rate=RATE, warmup=0.0, checkpoints=1)
    with TemporaryDirectory() as folder:
        trained = train_embedder(learner, examples, [], Path(folder), training=training)
    return trained.seconds, learner.model


def library(examples: Sequence[Example], epochs: float = 1.0) -> tuple[float, Any]:
    """Seconds of training by the library's trainer, and the model."""
    import datasets
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    rows = [
        {"anchor": each.query, "positive": each.positives[0].text, "negative": each.negatives[0].text}
        for each in examples
    ]
    with TemporaryDirectory() as folder, quiet():
        model = SentenceTransformer(str(starting_point().path), device="cpu")
        trainer = SentenceTransformerTrainer(
            model=model,
            args=SentenceTransformerTrainingArguments(
                output_dir=folder,
                per_device_train_batch_size=BATCH,
                num_train_epochs=epochs,
                report_to="none",
                disable_tqdm=True,
                save_strategy="no",
                logging_strategy="no",
            ),
            train_dataset=datasets.Dataset.from_list(rows),
            loss=MultipleNegativesRankingLoss(model),
        )
        began = time.perf_counter()
        trainer.train()
        return time.perf_counter() - began, model


def bench_speed(bench: Bench, name: str, examples: Sequence[Example]) -> None:
    """Both in turns on the first steps."""
    first = list(examples)[: BATCH * STEPS]
    ratios, speeds = [], []
    for _ in range(TURNS):
        fast, _ = ours(first)
        slow, _ = library(first)
        ratios.append(slow / fast)
        speeds.append(len(first) / fast)
    bench.add(f"training, {name}: examples per second", speeds, "1/s")
    note = f"batches of {BATCH}, {STEPS} steps, {TURNS} turns; the library in fp32, padded"
    bench.add(f"training, {name}: speed against the library's default", ratios, "x", bar=">= 1.5", note=note)


def bench_learning(bench: Bench, examples: Sequence[Example], dev: Sequence[Example]) -> None:
    """A whole epoch of each, and what the models know afterwards."""
    started = load_learner(starting_point(), EmbedderSettings()).model
    found = {"untrained": measured(started, examples, dev)}
    for name, trainer in (("ours", ours), ("the library", library)):
        seconds, model = trainer(examples)
        found[name] = measured(model, examples, dev)
        bench.add(f"training, one epoch on policies, {name}: minutes", seconds / 60, "min")
    for measure in ("loss", "nDCG@10"):
        for name, values in found.items():
            bench.add_mean(f"training, one epoch on policies, {name}: {measure}", values[measure].tolist())
        both = found["ours"][measure] - found["the library"][measure]
        apart = estimate(both.tolist())
        note = f"paired, [{apart.low:+.4f} .. {apart.high:+.4f}]"
        bench.add(
            f"training, one epoch on policies: {measure} of ours beyond the library's",
            apart.mean,
            "",
            note=note,
        )


def measured(model: Any, examples: Sequence[Example], dev: Sequence[Example]) -> Mapping[str, Any]:
    """Loss and nDCG@10 of every question that was not trained on, among all passages."""
    start = starting_point()
    batches = Batches(Texts(model.tokenizer, Reading(start.max_tokens)), pools=False)
    seen = {p.id: p for each in [*dev, *examples] for p in [*each.positives, *each.negatives]}
    passages = list(seen.values())
    model.eval()
    questions = batches.encode_queries(model, [each.query for each in dev])
    scores = questions @ batches.encode_passages(model, passages).T
    right = np.array([[p.id in {a.id for a in each.positives} for p in passages] for each in dev])
    logits = scores / 0.05
    shares = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    losses = -(shares * right).sum(1) / right.sum(1)
    return {"loss": losses, "nDCG@10": discounted(ranked(scores, right, 10), right.sum(1))}


def main() -> None:
    """Run and write `bench/results/train.json`."""
    parser = argparse.ArgumentParser(description="measure the speed of training")
    parser.add_argument("--quick", action="store_true", help="the speed alone, and write nothing")
    parser.add_argument("--write", action="store_true", help="write the rows")
    wanted = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"{DATA} is absent; this benchmark needs the shared data")
    bench = Bench("train", "python bench/train.py --write")
    policies = split()
    examples, dev, _ = mined(replace(policies, dev=policies.report))
    examples = with_one_of_each(examples)
    print(f"{len(examples)} examples, {len(dev)} questions to measure by, {DEFAULT_MODEL}", flush=True)
    bench_speed(bench, "each passage in one example", once(BATCH * STEPS))
    bench_speed(bench, "policies, whose passages are shared", examples)
    if not wanted.quick:
        bench_learning(bench, examples, dev)
    if wanted.write:
        bench.write()


if __name__ == "__main__":
    main()
