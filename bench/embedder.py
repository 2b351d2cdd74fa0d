"""An embedder tuned on policies, against the untuned one: on other policies, and on another domain.

    python bench/embedder.py [--folder FOLDER] [--set NAME=VALUE ...] [--lora | --queries] [--write]

Needs the shared data. Trained on 12 privacy policies and chosen by 2, reported on 6: every question is asked
of the whole collection of 20 by hybrid search. The five corpora of the token-IoU report are the other domain;
there the evidence that is chosen by the tuned model's vectors is measured as well.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from corpora import chroma, indexed, retriever
from evidence import ask
from evidence_fit import Case, Dial, Table, resamples, signs_of
from numpy.typing import NDArray
from policies import Policies, answering, corpus_of, examples_of, split
from rows import DATA, Bench, Row

from ragwright.core.config import load_config
from ragwright.core.config_tuning import TuneConfig
from ragwright.core.types import Document, Question, Vectors
from ragwright.eval.statistics import estimate, randomisation_test
from ragwright.finetune.card import describe, finish
from ragwright.finetune.embedder import train_embedder
from ragwright.finetune.embedder_batches import Frozen
from ragwright.finetune.learner import EmbedderSettings, StartingPoint, load_learner
from ragwright.finetune.training import Progress, Training
from ragwright.finetune.tuned_model import MODEL
from ragwright.finetune.values import Example, TrainingPassage
from ragwright.retrieval import evidence_model as shipped
from ragwright.retrieval.adapted_queries import AdaptedQueries, AdaptedQuery, QueryEncoder
from ragwright.retrieval.adapters import Adapters
from ragwright.retrieval.edge import EdgeIndex
from ragwright.retrieval.encoder import TransformerEncoder
from ragwright.retrieval.forward import Compute
from ragwright.retrieval.model import DEFAULT_MODEL, open_model
from ragwright.retrieval.search import SearchOptions
from ragwright.retrieval.terms import Terms

Values = NDArray[np.float64]
RECALLS = (0.6, 0.7, 0.75, 0.8, 0.85, 0.88)


def starting_point(name: str = DEFAULT_MODEL) -> StartingPoint:
    """The default model, to be trained."""
    model = open_model(name)
    return StartingPoint(
        model.path,
        name,
        model.fingerprint,
        model.query_prompt,
        model.passage_prompt,
        model.max_tokens,
        model.padding,
    )


def mined(policies: Policies) -> tuple[list[Example], list[Example], Frozen]:
    """Training and dev examples under the untuned model, and its vectors of all chunks."""
    with indexed(policies.documents) as (encoder, index, terms):
        search, corpus = retriever(encoder, index, terms, SearchOptions()), corpus_of(index)
        train = examples_of(policies.train, search=search, corpus=corpus)
        dev = examples_of(policies.dev, search=search, corpus=corpus)
        stored = [each for part in index.scan() for each in part]
        vectors = index.encodings([each.chunk.id for each in stored])
    passages = [
        TrainingPassage(each.chunk.id, each.source, each.chunk.context + each.chunk.text) for each in stored
    ]
    return train, dev, Frozen(passages, np.stack([vectors[each.id].vector for each in passages]))


def tune(folder: Path, policies: Policies, settings: TuneConfig, *, lora: bool, queries: bool) -> Path:
    """Train and finish a model; returns its folder."""
    examples, dev, frozen = mined(policies)
    print(f"{len(examples)} examples, {len(dev)} for dev", flush=True)
    wanted = EmbedderSettings.of(settings, lora=lora or queries, queries_only=queries)
    learner = load_learner(starting_point(), wanted, examples=examples, seed=settings.seed)
    training = Training.of(settings, lora=wanted.lora is not None)
    kept = frozen if queries else None
    trained = train_embedder(learner, examples, dev, folder, training=training, frozen=kept, report=tell)
    print(trained, flush=True)
    tuned = describe(
        "policies",
        "lora" if wanted.lora else "embedder",
        base=DEFAULT_MODEL,
        base_fingerprint=learner.start.fingerprint,
        data=None,
        examples=examples,
        seed=settings.seed,
        settings={**asdict(training), **asdict(learner.settings)},
        trained=trained,
    )
    finish(folder, tuned, save=learner.save, purpose="Measured by bench/embedder.py.")
    return folder / MODEL


def tell(progress: Progress) -> None:
    """One line of a training."""
    what = f"loss {progress.loss:.4f}" if progress.loss is not None else dict(progress.dev)
    print(f"step {progress.step}/{progress.steps} {progress.seconds:.0f} s: {what}", flush=True)


class Asked:
    """Queries encoded by weights of their own, for an index that was made without them."""

    def __init__(self, weights: str, cache: Path) -> None:
        adapters = Adapters(DEFAULT_MODEL, Compute(cache=cache))
        adapters.add("tuned", Path(weights))
        self._encoder = adapters.encoder("tuned")

    def adapt(self, texts: Sequence[str], vectors: Vectors, *, expert: str | None) -> list[AdaptedQuery]:
        """See `Adaptation.adapt`."""
        return [AdaptedQuery(row) for row in self._encoder.encode_queries(texts)]


@contextmanager
def searched(
    documents: list[Document], model: str
) -> Iterator[tuple[TransformerEncoder, EdgeIndex, Terms, QueryEncoder]]:
    """An index of documents, and what encodes the queries that are asked of it."""
    found = open_model(model)
    queries = found.lora is not None and found.lora.queries_only
    with indexed(documents, model=DEFAULT_MODEL if queries else model) as (encoder, index, terms):
        if not queries:
            yield encoder, index, terms, encoder
            return
        with TemporaryDirectory() as cache:
            yield encoder, index, terms, AdaptedQueries(encoder, Asked(model, Path(cache)))


def ranking(
    documents: list[Document], questions: Sequence[Question], model: str, *, within: bool = False
) -> Mapping[str, Values]:
    """Of every question the nDCG@10 and recall at 10 of hybrid search, and of the dense half alone."""
    with searched(documents, model) as (_, index, terms, encoder):
        corpus = corpus_of(index)
        wanted = [{chunk.id for chunk in answering(corpus, each)} for each in questions]
        found = {}
        for name, options in (
            ("", SearchOptions()),
            (" dense alone", replace(SearchOptions(), mode="dense")),
        ):
            search = retriever(encoder, index, terms, options)
            hits = []
            for start in range(0, len(questions), 64):
                part = questions[start : start + 64]
                filters = [each.metadata.get("filters", {}) if within else {} for each in part]
                hits += search.search_many([each.text for each in part], filters=filters)
            ids = [[hit.chunk.id for hit in each] for each in hits]
            pairs = list(zip(ids, wanted, strict=True))
            found[f"nDCG@10{name}"] = np.array([ndcg(*pair) for pair in pairs])
            found[f"R@10{name}"] = np.array([len(set(i) & w) / max(1, len(w)) for i, w in pairs])
        return found


def ndcg(ids: Sequence[str], wanted: set[str], depth: int = 10) -> float:
    """With a gain of 1 for each chunk that answers."""
    discounts = 1.0 / np.log2(np.arange(2, depth + 2))
    gained = sum(d for d, each in zip(discounts, ids[:depth], strict=False) if each in wanted)
    return float(gained / discounts[: len(wanted)].sum()) if wanted else 0.0


def evidence_dial(documents: list[Document], questions: Sequence[Question], model: str) -> Dial:
    """Recall and IoU of the evidence at every position of the dial, of 20 chunks."""
    with searched(documents, model) as (_, index, terms, encoder):
        search = retriever(encoder, index, terms, replace(SearchOptions(), limit=20))
        cases: list[Case] = [ask(search, question) for question in questions]
    table = Table(cases)
    weights = np.array([shipped.MEANING, shipped.WORDS, shipped.CHUNK_WORDS])
    ranked = signs_of(cases, shipped.BEFORE, shipped.AFTER) @ weights
    return table.dial(np.asarray(1.0 - (table.most(ranked) - ranked)))


def compare(bench: Bench, name: str, tuned: Mapping[str, Values], base: Mapping[str, Values]) -> None:
    """Paired differences, with the p value of the randomisation test."""
    for measure, values in tuned.items():
        before = base[measure]
        found = estimate((values - before).tolist())
        p = randomisation_test(values.tolist(), before.tolist())
        note = f"{before.mean():.4f} to {values.mean():.4f}, p {p:.4f}"
        what = f"{name}: gain in {measure}"
        bench.rows.append(Row(what, found.mean, "", found.low, found.high, found.n, note=note))
        print(f"{what}: {found.mean:+.4f} [{found.low:+.4f} .. {found.high:+.4f}], {note}", flush=True)


def compare_evidence(bench: Bench, tuned: Dial, base: Dial) -> None:
    """Paired difference of the IoU at equal recall."""
    counts = resamples(tuned.iou.shape[1])
    for recall in RECALLS:
        both = [dial.iou_at(recall, counts) for dial in (tuned, base)]
        difference = both[0] - both[1]
        low, high = np.quantile(difference[1:], [0.025, 0.975])
        note = f"{both[1][0]:.4f} to {both[0][0]:.4f}"
        what = f"five corpora: gain in IoU of evidence at recall {recall}"
        bench.rows.append(Row(what, difference[0], "", low, high, tuned.iou.shape[1], note=note))
        print(f"{what}: {difference[0]:+.4f} [{low:+.4f} .. {high:+.4f}], {note}", flush=True)


def main() -> None:
    """Train, measure, and write `bench/results/embedder.json` where asked to."""
    parser = argparse.ArgumentParser(description="tune an embedder and measure it")
    parser.add_argument("--folder", type=Path, help="where the tuned model is kept, or lies already")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="of [tune]")
    parser.add_argument("--lora", action="store_true", help="train LoRA weights")
    parser.add_argument("--queries", action="store_true", help="train LoRA weights that read questions only")
    parser.add_argument("--write", action="store_true", help="write the rows")
    wanted = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"{DATA} is absent; this benchmark needs the shared data")
    given = [f"tune.{each}" for each in wanted.set]
    settings = load_config(flags={}, file=None, environ={}, assignments=given).config.tune
    kind = "--queries" if wanted.queries else "--lora" if wanted.lora else ""
    command = " ".join(["python bench/embedder.py", *kind.split(), *(f"--set {each}" for each in wanted.set)])
    bench = Bench("embedder" + kind.replace("--", "-"), command)
    policies, began = split(), time.perf_counter()
    with TemporaryDirectory() as scratch:
        folder = wanted.folder or Path(scratch)
        done = (folder / "tuned.json").is_file()
        model = str(
            folder / MODEL
            if done
            else tune(folder, policies, settings, lora=wanted.lora, queries=wanted.queries)
        )
        bench.add("minutes of mining and training", (time.perf_counter() - began) / 60, "min")
        report(bench, policies, model)
    if wanted.write:
        bench.write()


def report(bench: Bench, policies: Policies, model: str) -> None:
    """Everything that is told of a tuned model."""
    found = [ranking(policies.documents, policies.report, each) for each in (model, DEFAULT_MODEL)]
    compare(bench, "PolicyQA, 6 policies that were not trained on, in all 20", *found)
    documents, questions = chroma()
    found = [ranking(documents, questions, each, within=True) for each in (model, DEFAULT_MODEL)]
    compare(bench, "five corpora, another domain", *found)
    dials = [evidence_dial(documents, questions, each) for each in (model, DEFAULT_MODEL)]
    compare_evidence(bench, *dials)


if __name__ == "__main__":
    main()
