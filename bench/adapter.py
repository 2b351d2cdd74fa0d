"""A linear query adapter, trained on policies: on other policies, on another domain, its evidence, its price.

    python bench/adapter.py [--write]

Needs the shared data. Trained on 12 privacy policies and chosen by 2, reported on 6 others; each question is
asked within its policy, as the data set has it, and of the whole collection. The index is that of the untuned
model throughout. The five corpora of the token-IoU report are the other domain. Evidence is chosen among the
chunks that the adapted query finds, once by the adapted vector and once by the encoder's own.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
from corpora import chroma
from evidence import ask
from evidence_fit import Case, Dial, Table, resamples, signs_of
from moved import Library, Values, add, compare, examples_of, library, trained, units
from policies import Policies, split
from rows import DATA, Bench

from ragwright.core.query_adapter import QueryAdapter, write_query_adapter
from ragwright.core.types import Question
from ragwright.finetune.query_adapter import AdapterSettings
from ragwright.retrieval import evidence_model as shipped
from ragwright.retrieval.adapted_queries import AdaptedQueries
from ragwright.retrieval.query_adapter import LinearAdaptation, open_query_adapter

GAIN = {"nDCG@10": ">= 0.03"}
NO_LOSS = {"nDCG@10": ">= -0.01", "R@10": ">= -0.01"}
RECALLS = (0.6, 0.7, 0.76, 0.8, 0.85)
CALLS = 2000


def anywhere(questions: Sequence[Question]) -> list[Question]:
    """The same, asked of the whole collection."""
    return [replace(each, metadata={}) for each in questions]


def tune(bench: Bench, place: Library, policies: Policies) -> QueryAdapter:
    """Train the adapter."""
    examples = examples_of(place, policies.train)
    done = trained(place, examples, policies.dev, AdapterSettings())
    assert done.adapter is not None, "no adapter is better than none"
    note = f"{len(examples)} examples, strength {done.strength}, step {done.step} of {done.steps}"
    bench.add("training, with every look at the dev questions", done.seconds, "s", note=note)
    return done.adapter


def bench_ranking(
    bench: Bench,
    name: str,
    place: Library,
    adapter: QueryAdapter,
    questions: Sequence[Question],
    bars: dict[str, str],
) -> Values:
    """What the adapter is worth on questions."""
    before = place.measured(place.asked(questions))
    adapted = AdaptedQueries(place.encoder, LinearAdaptation(adapter))
    compare(bench, name, place.measured(place.asked(questions, adapted)), before, bars=bars)
    return before


def bench_evidence(
    bench: Bench, name: str, place: Library, adapter: QueryAdapter, questions: Sequence[Question]
) -> None:
    """IoU of the evidence at equal recall, by the adapted vector against the encoder's own."""
    adapted = AdaptedQueries(place.encoder, LinearAdaptation(adapter))
    search = place.search(adapted)
    own: list[Case] = [ask(search, question) for question in questions]
    moved = [
        replace(case, query=replace(case.query, vector=adapter.moved(case.query.vector[None])[0]))
        for case in own
    ]
    by_own, by_moved = _dial(own), _dial(moved)
    counts = resamples(by_own.iou.shape[1])
    for recall in RECALLS:
        base, other = by_own.iou_at(recall, counts), by_moved.iou_at(recall, counts)
        difference = other - base
        low, high = np.quantile(difference[1:], [0.025, 0.975])
        note = f"{base[0]:.4f} by the encoder's own vector, {other[0]:.4f} by the adapted one"
        what = f"{name}: IoU of evidence at recall {recall}, adapted vector less own"
        add(bench, what, (difference[0], low, high), len(questions), note=note)


def _dial(cases: Sequence[Case]) -> Dial:
    table = Table(cases)
    weights = np.array([shipped.MEANING, shipped.WORDS, shipped.CHUNK_WORDS])
    ranked = signs_of(cases, shipped.BEFORE, shipped.AFTER) @ weights
    return table.dial(np.asarray(1.0 - (table.most(ranked) - ranked)))


def bench_price(bench: Bench, place: Library, adapter: QueryAdapter) -> None:
    """Milliseconds per query, and that nothing of it stays."""
    texts = ["Which data do you share with others?"]
    before = place.encoder.encode_queries(texts)
    with TemporaryDirectory() as folder:
        write_query_adapter(Path(folder), adapter)
        adapted = open_query_adapter(Path(folder), place.encoder)
        _add_times(bench, f"query adapter of {adapter.dimension} dimensions", adapted)
        bench.add("its files", sum(each.stat().st_size for each in Path(folder).iterdir()) / 1e6, "MB")
    equal = np.array_equal(adapted.base.encode_queries(texts), before)
    bench.add("vectors equal to the bit after unloading", float(equal), "", bar=">= 1")
    random = np.random.default_rng(0)
    wide = QueryAdapter(
        "", "", random.normal(size=(1024, 1024)).astype(np.float32), np.zeros(1024, np.float32)
    )
    _add_times(
        bench, "query adapter of 1024 dimensions", AdaptedQueries(place.encoder, LinearAdaptation(wide))
    )


def _add_times(bench: Bench, name: str, adapted: AdaptedQueries) -> None:
    dimension = adapted.adaptation.adapter.dimension  # type: ignore[attr-defined]
    vectors = units(np.random.default_rng(1).normal(size=(CALLS, 1, dimension)).astype(np.float32)[:, 0])
    times = []
    for row in vectors:
        started = perf_counter()
        adapted.adaptation.adapt(["?"], row[None], expert=None)
        times.append((perf_counter() - started) * 1000)
    bench.add(f"{name}: one query, p50", float(np.median(times)), "ms", bar="<= 1.0")
    bench.add(f"{name}: one query, p99", float(np.quantile(times, 0.99)), "ms")


def main() -> None:
    """Run, and write `bench/results/adapter.json` where asked to."""
    parser = argparse.ArgumentParser(description="tune a query adapter and measure it")
    parser.add_argument("--write", action="store_true", help="write the rows")
    parser.add_argument("--keep", type=Path, help="where the adapter's files go")
    wanted = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"{DATA} is absent; this benchmark needs the shared data")
    bench, policies = Bench("adapter", "python bench/adapter.py"), split()
    with library(policies.documents) as place:
        adapter = tune(bench, place, policies)
        if wanted.keep:
            write_query_adapter(wanted.keep, adapter)
        name = "PolicyQA, 6 policies that were not trained on"
        bench_ranking(
            bench, f"{name}, each question within its policy", place, adapter, policies.report, GAIN
        )
        bench_ranking(bench, f"{name}, in all 20", place, adapter, anywhere(policies.report), {})
        bench_evidence(bench, name, place, adapter, policies.report)
        bench_price(bench, place, adapter)
    documents, questions = chroma()
    with library(documents) as place:
        bench_ranking(bench, "five corpora, another domain", place, adapter, questions, NO_LOSS)
        bench_evidence(bench, "five corpora", place, adapter, questions)
    if wanted.write:
        bench.write()


if __name__ == "__main__":
    main()
