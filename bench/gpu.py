"""Encoder and reranker on a card against sentence-transformers, in one process, equality first.

    python bench/gpu.py [--cpu]

Runs on a bare CUDA machine that has torch, transformers, sentence-transformers and this checkout; nothing is
installed and nothing downloaded. Models are made here with random weights. Ours and the peer take turns. With
`--cpu` everything runs in small on the CPU, to see that the script works; no rows are written then.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import checkout  # noqa: F401 - before everything that imports ragwright
import numpy as np
import torch
from gpu_measures import Plan, Series, attentions, latency, matrix_peak, peak_memory, quickest
from gpu_models import BASE, LARGE, MINI, TINY, Shape, Words, save_model
from gpu_rerank import Reranking
from numpy.typing import NDArray
from rows import Bench

from ragwright.core.types import Passage
from ragwright.retrieval.batches import ModelInput
from ragwright.retrieval.encoder import TransformerEncoder
from ragwright.retrieval.forward import Compute
from ragwright.retrieval.model import open_model
from ragwright.retrieval.tokens import ModelTokenizer
from ragwright.retrieval.torch_model import TorchForward

LIMIT = 450.0
"""Seconds after which no new section begins, so that ten minutes on a card are enough."""


CARD = Plan(
    "cuda:0",
    {MINI: (4_096, 8_192), BASE: (2_048, 2_048), LARGE: (512, 512)},
    {
        ("MiniLM-L6", "defaults"): ">= 5", ("MiniLM-L6", "best"): ">= 1.3",
        ("BERT-base", "peak"): ">= 0.30", ("MiniLM-L6", "variable"): ">= 0.85",
        ("BERT-base", "hiding"): ">= 0.8", ("bge-m3 size", "peak"): ">= 0.35",
        ("MiniLM-L6", "peak"): ">= 0.25", ("MiniLM-L6", "pair defaults"): ">= 5",
        ("MiniLM-L6", "pair best"): ">= 3", ("bge-m3 size", "pair defaults"): ">= 3",
        ("bge-m3 size", "pair best"): ">= 1.5", ("MiniLM-L6", "top p50"): "<= 8",
        ("MiniLM-L6", "top p95"): "<= 12", ("bge-m3 size", "top p50"): "<= 70",
        ("bge-m3 size", "top p95"): "<= 90",
    },
)  # fmt: skip
SMOKE = Plan("cpu", {TINY: (4, 4)}, {}, repeats=1, batches=(2,))


class Encoding:
    """Rows of one model as an encoder."""

    def __init__(self, bench: Bench, plan: Plan, shape: Shape, words: Words, cache: Path) -> None:
        self.bench, self.plan, self.shape = bench, plan, shape
        self.count = plan.models[shape][0]
        self.folder = save_model(cache / f"encoder {shape.name}", shape, words)
        self.compute = Compute(cache=cache, backend="torch")
        model = open_model(str(self.folder))
        self.forward = TorchForward(model, self.compute, device=plan.device, packed=True)
        self.ours = TransformerEncoder(model, lambda: self.forward, call_tokens=1)
        self.texts = words.mixed(self.count, self._count([words.text(1_000)]) / 1_000)
        self.tokens = self._count(self.texts)

    def run(self) -> None:
        """Measure everything."""
        kind = "packed" if self.forward.packed else f"padded ({self.forward.why_padded})"
        print(f"== {self.shape.name}: {kind}, {self.forward.budget.tokens} tokens a pass")
        peer, best, name = self._peers()
        self._equality(peer)
        self._against(peer, best, name)
        self._ids()
        if self.plan.on_card:
            self._memory()
            self._queries()

    def _count(self, texts: Sequence[str]) -> int:
        return sum(len(each.ids) for each in self.ours.tokenizer.encode(texts))

    def _forget_words(self) -> None:
        """Let our tokenizer forget the words it knows, as it would not know those of new texts."""
        self.ours.tokenizer = ModelTokenizer(self.ours.model)

    def vectors(self) -> NDArray[np.float32]:
        """Ours of all texts."""
        return np.stack([each.vector for each in self.ours.encode_passages([Passage(t) for t in self.texts])])

    def _peers(self) -> tuple[Any, Any, str]:
        """Sentence-transformers at its defaults; its quickest setting with its batch size; and its name."""
        from sentence_transformers import SentenceTransformer

        def load(**options: Any) -> Any:
            return SentenceTransformer(str(self.folder), device=self.plan.device, model_kwargs=options)

        def encode(model: Any, size: int) -> Callable[[Sequence[str]], Any]:
            return lambda texts: model.encode(texts, batch_size=size, show_progress_bar=False)

        candidates = {}
        for kind in attentions(self.plan):
            model = load(dtype=torch.bfloat16, attn_implementation=kind)
            candidates.update(
                {f"bf16, {kind}, batch {size}": encode(model, size) for size in self.plan.batches}
            )
        name, best = quickest(self.plan, candidates, self.texts)
        return encode(load(), 32), best, name

    def _equality(self, peer: Any) -> None:
        mine, its = self.vectors(), np.asarray(peer(self.texts), np.float32)
        worst = float((mine * its).sum(axis=1).min())
        what = f"{self.shape.name}: smallest cosine of our vectors to sentence-transformers' in fp32, padded"
        self.bench.add(what, worst, "", bar=">= 0.999", note=f"{self.count} texts")

    def _against(self, peer: Any, best: Any, name: str) -> None:
        passages = [
            Passage(text, tuple((at, min(at + 100, len(text))) for at in range(0, len(text), 100)))
            for text in self.texts
        ]
        work = {
            "ours": lambda _: self.vectors(),
            "sentences": lambda _: self.ours.encode_passages(passages),
            "peer": lambda _: peer(self.texts),
            "best": lambda _: best(self.texts),
        }
        series = Series(self.plan, work, repeats=self.plan.repeats, before=self._forget_words)
        note = f"{self.count} texts of about 10 to 500 tokens, {self.tokens} tokens, from text to arrays"
        for key, what in (("peer", "its defaults"), ("best", f"its best setting ({name})")):
            bar = self.plan.bar(self.shape, "defaults" if key == "peer" else "best")
            what = f"{self.shape.name}: encoder against SentenceTransformer.encode at {what}"
            self.bench.add(what, series.ratio(key, "ours"), "x", bar=bar, note=note)
        names = {
            "ours": "our encoder",
            "sentences": "our encoder with a vector for every 100 characters",
            "peer": "SentenceTransformer.encode at its defaults",
            "best": f"SentenceTransformer.encode, {name}",
        }
        for key, what in names.items():
            rates = [self.tokens / each for each in series.times[key]]
            self.bench.add(f"{self.shape.name}: tokens/s of {what}", rates, "tokens/s", note=note)

    def _ids(self) -> None:
        """From token ids: one length and mixed lengths, the share of the card's peak, and from text."""
        length = 512 if self.plan.on_card else 64
        random = np.random.default_rng(0)
        fixed = [_input(random.integers(4, 2_000, length)) for _ in range(max(1, self.tokens // length))]
        mixed = [_input(each.ids) for each in self.ours.tokenizer.encode(self.texts)]
        even = [_input(random.integers(4, 2_000, 256)) for _ in range(max(1, self.tokens // 256))]
        work: dict[str, Callable[[int], object]] = {
            "fixed": _runs(self.forward, fixed),
            "even": _runs(self.forward, even),
            "mixed": _runs(self.forward, mixed),
            "text": lambda _: self.vectors(),
        }
        series = Series(self.plan, work, repeats=self.plan.repeats, before=self._forget_words)
        sizes = {"fixed": len(fixed) * length, "even": len(even) * 256, "mixed": self.tokens}
        rates = {key: [size / t for t in series.times[key]] for key, size in sizes.items()}
        name = self.shape.name
        self.bench.add(f"{name}: tokens/s from ids, {length} tokens each", rates["fixed"], "tokens/s")
        self.bench.add(
            f"{name}: variable-length efficiency, tokens/s of mixed over those of 256 tokens each",
            [a / b for a, b in zip(rates["mixed"], rates["even"], strict=True)], "x",
            bar=self.plan.bar(self.shape, "variable"),
        )  # fmt: skip
        self.bench.add(
            f"{name}: tokenizer hiding, tokens/s from text over tokens/s from ids",
            series.ratio("mixed", "text"), "x", bar=self.plan.bar(self.shape, "hiding"),
        )  # fmt: skip
        peak = matrix_peak(self.plan)
        shares = [rate * self.shape.flops(length) / peak for rate in rates["fixed"]]
        what = f"{name}: share of the measured bf16 matrix-product peak, {length} tokens each, from ids"
        self.bench.add(
            what, shares, "", bar=self.plan.bar(self.shape, "peak"), note=f"peak {peak / 1e12:.1f} TFLOP/s"
        )

    def _memory(self) -> None:
        size = max(1, self.forward.budget.tokens // max(1, self.tokens // self.count))
        from sentence_transformers import SentenceTransformer

        options = {"dtype": torch.bfloat16}
        model = SentenceTransformer(str(self.folder), device=self.plan.device, model_kwargs=options)
        mine = peak_memory(self.vectors)
        its = peak_memory(lambda: model.encode(self.texts, batch_size=size, show_progress_bar=False))
        self.bench.add(
            f"{self.shape.name}: peak memory on the card, ours over SentenceTransformer.encode in bf16",
            mine / its, "x",
            note=f"above the weights; both bf16, batches of about {self.forward.budget.tokens} tokens",
        )  # fmt: skip

    def _queries(self) -> None:
        eager = TorchForward(
            open_model(str(self.folder)), self.compute, device=self.plan.device, graphs=False
        )
        random = np.random.default_rng(1)
        for length in (12, 32, 60):
            one = [_input(random.integers(4, 2_000, length))]
            work = {"eager": _runs(eager, one), "graph": _runs(self.forward, one)}
            series = Series(self.plan, work, repeats=100)
            note = "100 calls each, from ids to the host"
            what = (
                f"{self.shape.name}: single query of {length} tokens, latency without over with a CUDA graph"
            )
            self.bench.add(what, series.ratio("eager", "graph"), "x", note=note)
            for key, times in series.times.items():
                latency(self.bench, f"{self.shape.name}: single query of {length} tokens, {key}", times)


def _input(ids: Any) -> ModelInput:
    return ModelInput(np.asarray(ids, np.int64), np.array([[0, len(ids)]]))


def _nothing(row: int, found: NDArray[np.float32]) -> None:
    """Receive and drop."""


def _runs(forward: TorchForward, inputs: Sequence[ModelInput]) -> Callable[[int], object]:
    return lambda _: forward.run(inputs, _nothing)


def main() -> None:
    """Run, and on a card write `bench/results/gpu.json` after every section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cpu", action="store_true", help="small, on the CPU, without writing rows")
    plan = SMOKE if parser.parse_args().cpu else CARD
    if plan.on_card and not torch.cuda.is_available():
        raise SystemExit(
            "torch sees no CUDA card here; `python bench/gpu.py --cpu` tries the script in small"
        )
    if not plan.on_card:
        torch.set_num_threads(1)
    bench = Bench("gpu", "python bench/gpu.py")
    bench.facts = {**bench.facts, "card": torch.cuda.get_device_name(0) if plan.on_card else "none"}
    words = Words(20_000 if plan.on_card else 2_000)
    started, left_out = time.perf_counter(), list[str]()
    with tempfile.TemporaryDirectory() as cache:
        sections: tuple[type[Encoding] | type[Reranking], ...] = (Encoding, Reranking)
        for shape, section in itertools.product(plan.models, sections):
            spent = time.perf_counter() - started
            if spent > LIMIT:
                left_out.append(f"{shape.name}, {section.__name__}")
                bench.facts = {**bench.facts, "left_out": left_out}
                print(f"left out after {spent:.0f} s: {left_out[-1]}")
                continue
            section(bench, plan, shape, words, Path(cache)).run()
            if plan.on_card:
                bench.write()
                torch.cuda.empty_cache()
    if plan.on_card:
        bench.write()
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
