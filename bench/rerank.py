"""Reranking: a cross-encoder against `CrossEncoder.predict`, and late interaction; equality first.

    python bench/rerank.py [--queries N] [--latencies N] [--without-quality] [--quick]

No trained cross-encoder is packaged, so that two are made from their configurations with random weights, of
the sizes of ms-marco-MiniLM-L6 and of TinyBERT-L2, with the default model's tokenizer: speed and equality are
those of trained ones of these sizes, their rankings mean nothing. Pairs are Cranfield's questions with its
abstracts. The quality rows rerank with the default embedder as it comes, whose weights were fitted to none of
these collections. The numbers of the evidence score were: on the questions of the five corpora. Its row there
says how well it fits, and the row of Cranfield how well it carries over.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from retrieval import DEFAULT, asked, differences, listed
from rows import DATA, Bench
from stopwatch import milliseconds, seconds

from ragwright.app.console import Console
from ragwright.app.evaluated import Material, evaluated_workspace
from ragwright.app.evaluation import Request, prepare
from ragwright.core.config import load_config
from ragwright.core.types import Chunk, Span
from ragwright.eval.datasets import load_dataset
from ragwright.eval.score import score
from ragwright.eval.statistics import by_measure
from ragwright.retrieval.cross_encoder import CrossEncoder, load_cross_encoder
from ragwright.retrieval.forward import Compute
from ragwright.retrieval.late_interaction import load_late_interaction
from ragwright.retrieval.model import DEFAULT_MODEL, open_model
from ragwright.retrieval.tokens import ModelTokenizer

REPEATS = 5
FITTED_ON = ("chroma",)
FITTED = "the numbers of the evidence score were fitted on the questions of these corpora"
TOP = 100
SIZES = {
    "MiniLM-L6 size": {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12,
                       "intermediate_size": 1536},
    "TinyBERT-L2 size": {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2,
                         "intermediate_size": 512},
}  # fmt: skip
BATCHES = (8, 16, 32, 64)
Scores = list[NDArray[np.float32]]


def material(queries: int) -> tuple[list[str], list[list[Chunk]]]:
    """Questions, and for each a hundred abstracts, other ones for each."""
    dataset = load_dataset(DATA / "cranfield")
    abstracts = cycle(_chunk(each.source, each.text) for each in dataset.texts if each.text.strip())
    return (
        [item.text for item in dataset.items[:queries]],
        [list(islice(abstracts, TOP)) for _ in range(queries)],
    )


def _chunk(source: str, text: str) -> Chunk:
    return Chunk(source, Span(source, 0, len(text)), text, "", (), None, (), len(text) // 4)


def make_model(folder: Path, size: dict[str, int]) -> None:
    """A cross-encoder with random weights, scaled so that its scores differ from pair to pair."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    model = BertForSequenceClassification(BertConfig(vocab_size=30_522, num_labels=1, **size))
    for name, weights in model.named_parameters():
        if weights.dim() == 2:
            weights.data *= 10 if name.startswith("classifier") else 2
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(open_model(DEFAULT_MODEL).path / name, folder / name)


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        queries: Questions of the throughput rows, each with a hundred candidates.
        latencies: Questions of the latency rows.
        repeats: How often throughput is measured.
        quality: Whether rankings are scored.
    """

    queries: int
    latencies: int
    repeats: int
    quality: bool


def bench_size(bench: Bench, name: str, folder: Path, plan: Plan) -> None:
    """Equality, pairs/s and latency of one size."""
    from sentence_transformers import CrossEncoder as Peer

    asked, candidates = material(max(plan.queries, plan.latencies))
    few, some = asked[: plan.queries], candidates[: plan.queries]
    ours = {  # nothing is remembered, so that every repeat tokenizes everything
        "auto": load_cross_encoder(str(folder), Compute(folder / "cache"), cache_megabytes=0),
        "fp32": load_cross_encoder(
            str(folder), Compute(folder / "cache", precision="fp32"), cache_megabytes=0
        ),
    }
    peer = Peer(str(folder), device="cpu", local_files_only=True)
    best = Peer(str(folder), device="cpu", local_files_only=True, model_kwargs={"dtype": "bfloat16"})
    found = {kind: each.rerank(few, some) for kind, each in ours.items()}
    reference, rounded = predicted(peer, few, some, 32), predicted(best, few, some, 32)
    bench_equality(bench, name, found, reference=reference, rounded=rounded)
    batch = best_batch(best, asked[:1], candidates[:1])
    runs: dict[str, Callable[[], object]] = {
        "peer": lambda: predicted(peer, few, some, 32),
        "best": lambda: predicted(best, few, some, batch),
        "auto": lambda: ours["auto"].rerank(few, some),
        "fp32": lambda: ours["fp32"].rerank(few, some),
    }
    bench_speed(bench, name, runs, plan=plan, batch=batch)
    bench_latency(bench, name, ours["auto"], peer, asked=asked[: plan.latencies], candidates=candidates)


def predicted(peer: Any, queries: Sequence[str], candidates: Sequence[Sequence[Chunk]], batch: int) -> Scores:
    """What sentence-transformers gives for all pairs in one call."""
    pairs = [
        (query, chunk.text) for query, chunks in zip(queries, candidates, strict=True) for chunk in chunks
    ]
    scores = np.asarray(peer.predict(pairs, batch_size=batch, show_progress_bar=False), np.float32)
    return np.split(scores, np.cumsum([len(chunks) for chunks in candidates])[:-1])


def best_batch(peer: Any, queries: Sequence[str], candidates: Sequence[Sequence[Chunk]]) -> int:
    """The batch size that is fastest on some of the pairs."""
    predicted(peer, queries, candidates, BATCHES[0])
    times = {size: seconds(partial(predicted, peer, queries, candidates, size)) for size in BATCHES}
    return min(times, key=lambda size: times[size])


def bench_equality(
    bench: Bench, name: str, ours: dict[str, Scores], *, reference: Scores, rounded: Scores
) -> None:
    """The largest difference, and swapped neighbours of the top ten that are no ties.

    Args:
        bench: Is given the rows.
        name: Of the model.
        ours: Our scores by precision.
        reference: The peer's in fp32.
        rounded: The peer's in bf16: what this number format makes of these pairs without us. In bf16 two
            pairs are a tie when the reference parts them by less than twice the largest such difference, in
            fp32 when it parts them by less than 0.00001.
    """
    made = max(float(np.abs(a - b).max()) for a, b in zip(rounded, reference, strict=True))
    for kind, scores in ours.items():
        largest = max(float(np.abs(a - b).max()) for a, b in zip(scores, reference, strict=True))
        tie = 2 * made if kind == "auto" else 1e-5
        swapped = sum(swaps(a, b, tie) for a, b in zip(scores, reference, strict=True))
        spread = float(np.concatenate(reference).std())
        what = "default precision" if kind == "auto" else kind
        bar = "<= 0.02" if kind == "auto" else "<= 0.0001"
        bench.add(f"{name}, {what}: largest score difference to padded fp32", largest, "", bar=bar,
                  note=f"scores 0..1 with standard deviation {spread:.3f}")  # fmt: skip
        bench.add(f"{name}, {what}: pairs of the top ten out of order, ties aside", swapped, "", bar="<= 0",
                  note=f"a tie is a difference below {tie:.2g}")  # fmt: skip


def swaps(scores: NDArray[np.float32], reference: NDArray[np.float32], tie: float) -> int:
    """Pairs within the top ten that the reference orders the other way, and not as a tie."""
    top = reference[np.argsort(-scores, kind="stable")[:10]]
    lost = np.sort(reference)[::-1][:10] - top > tie  # something better was left out
    return int(lost.sum()) + sum(
        int((top[place + 1 :] - top[place] > tie).sum()) for place in range(len(top))
    )


def bench_speed(
    bench: Bench, name: str, runs: dict[str, Callable[[], object]], *, plan: Plan, batch: int
) -> None:
    """Ratios and pairs/s, taken in turns."""
    times: dict[str, list[float]] = {key: [] for key in runs}
    pairs = plan.queries * TOP
    for _ in range(plan.repeats):
        for key, run in runs.items():
            times[key].append(seconds(run))
    note = f"{pairs} pairs of Cranfield in one call"
    bar = ">= 4" if name.startswith("MiniLM") else ""
    for key, what in (("auto", "at the default precision"), ("fp32", "in fp32")):
        ratio = [a / b for a, b in zip(times["peer"], times[key], strict=True)]
        bench.add(f"{name}: cross-encoder {what} against CrossEncoder.predict at its defaults", ratio, "x",
                  bar=bar if key == "auto" else "", note=note)  # fmt: skip
    ratio = [a / b for a, b in zip(times["best"], times["auto"], strict=True)]
    what = "cross-encoder at the default precision against CrossEncoder.predict at its best"
    bench.add(f"{name}: {what}", ratio, "x", note=f"{note}; there bf16 and batches of {batch}")  # fmt: skip
    for key, series in times.items():
        bench.add(f"{name}: pairs/s of {LABELS[key]}", [pairs / each for each in series], "pairs/s")


LABELS = {
    "peer": "CrossEncoder.predict at its defaults",
    "best": "CrossEncoder.predict at its best",
    "auto": "our cross-encoder",
    "fp32": "our cross-encoder in fp32",
}


def bench_latency(
    bench: Bench, name: str, ours: CrossEncoder, peer: Any, *, asked: Sequence[str], candidates: Sequence[Any]
) -> None:
    """Reranking a hundred candidates of one question at a time."""
    mine, theirs = [], []
    for query, chunks in zip(asked, candidates, strict=False):
        theirs.append(milliseconds(partial(predicted, peer, [query], [chunks], 32)))
        mine.append(milliseconds(partial(ours.rerank, [query], [chunks])))
    for what, series in (("our cross-encoder", mine), (LABELS["peer"], theirs)):
        for share in (50, 95):
            bench.add(
                f"{name}: top {TOP} of one question, {what}, p{share}",
                float(np.percentile(series, share)),
                "ms",
                note=f"{len(series)} questions, each with other candidates",
            )


def bench_late(bench: Bench, cache: Path, questions: int) -> None:
    """Latency of late interaction with the default embedder, 50 candidates of 180 tokens."""
    asked, _ = material(questions)
    tokens = ModelTokenizer(open_model(DEFAULT_MODEL))
    text = "\n".join(each.text for each in load_dataset(DATA / "cranfield").texts)
    starts = tokens.starts(text)
    pieces = [text[starts[at] : starts[at + 178]] for at in range(0, 178 * 1000, 178)]
    chunks = [_chunk(str(number), piece) for number, piece in enumerate(pieces)]
    late = load_late_interaction(DEFAULT_MODEL, Compute(cache), cache_megabytes=1000)
    late.rerank(asked[:1], [chunks[-1:]])
    new, seen = [], []
    for number, query in enumerate(asked):
        candidates = chunks[50 * number : 50 * number + 50]
        new.append(milliseconds(partial(late.rerank, [query], [candidates])))
        seen.append(milliseconds(partial(late.rerank, [query], [candidates])))
    for what, series in (("new ones", new), ("ones seen before", seen)):
        for share in (50, 95):
            bench.add(f"late interaction, 50 candidates of 180 tokens, {what}, p{share}",
                      float(np.percentile(series, share)), "ms",
                      note=f"{questions} questions")  # fmt: skip


def bench_quality(bench: Bench, name: str, folder: str) -> None:
    """nDCG@10 without a reranker, by evidence, and by late interaction."""
    dataset = load_dataset(DATA / folder)
    with TemporaryDirectory() as place:
        flags = {
            "workspace": Path(place) / ".ragwright",
            "search.rerank": "late",
            "reranker.cache_megabytes": 4000,
        }
        config = load_config(flags=flags, file=None, environ={}).config
        with evaluated_workspace(
            config, Material.of(dataset, folder=None), console=Console(quiet=True)
        ) as found:
            prepared = prepare(found.workspace, dataset, Request())
            base: dict[str, dict[str, float]] = {}
            for kind in ("none", "evidence", "late"):
                outcomes = asked(prepared, replace(DEFAULT, rerank=kind), dial=())
                values = by_measure(score(outcomes, prepared.scoring))
                note = differences(values, base, ("nDCG@10",))["nDCG@10"] if base else ""
                base = base or values
                notes = [note.replace("hybrid, weighted", "none")] if note else []
                if kind == "evidence" and folder in FITTED_ON:
                    notes.append(FITTED)
                bench.add_mean(f"{name}, rerank {kind}: nDCG@10", listed(values, "nDCG@10"),
                               note="; ".join(notes))  # fmt: skip


def measure(bench: Bench, plan: Plan) -> None:
    """All rows."""
    with TemporaryDirectory() as folder:
        for name, size in SIZES.items():
            path = Path(folder) / name
            make_model(path, size)
            bench_size(bench, name, path, plan)
        bench_late(bench, Path(folder) / "late", max(2, 2 * plan.latencies))
    if plan.quality:
        bench_quality(bench, "Cranfield", "cranfield")
        bench_quality(bench, "five corpora", "chroma")


def main() -> None:
    """Run, and write `bench/results/rerank.json` where the run was whole."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=1, help="questions, each with 100 candidates")
    parser.add_argument("--latencies", type=int, default=10, help="questions of the latency rows")
    parser.add_argument("--without-quality", action="store_true", help="leave the quality rows out")
    parser.add_argument("--quick", action="store_true", help="one question and one repeat; writes nothing")
    options = parser.parse_args()
    bench = Bench("rerank", "python bench/rerank.py")
    if options.quick:
        measure(bench, Plan(queries=1, latencies=1, repeats=1, quality=False))
        return
    plan = Plan(options.queries, options.latencies, REPEATS, quality=not options.without_quality)
    measure(bench, plan)
    bench.write()


if __name__ == "__main__":
    main()
