"""The cross-encoder's rows of `bench/gpu.py`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpu_measures import Plan, Series, attentions, latency, quickest
from gpu_models import Shape, Words, save_model
from numpy.typing import NDArray
from rows import Bench

from ragwright.core.types import Chunk, Span
from ragwright.retrieval.cross_encoder import CrossEncoder
from ragwright.retrieval.forward import Compute
from ragwright.retrieval.pair_model import open_pair_model
from ragwright.retrieval.tokens import ModelTokenizer
from ragwright.retrieval.torch_model import TorchForward


class Reranking:
    """Rows of one model as a cross-encoder."""

    def __init__(self, bench: Bench, plan: Plan, shape: Shape, words: Words, cache: Path) -> None:
        self.bench, self.plan, self.shape, self.words = bench, plan, shape, words
        self.folder = save_model(cache / f"reranker {shape.name}", shape, words, head=True)
        rules = open_pair_model(str(self.folder))
        compute = Compute(cache=cache, backend="torch")
        self.forward = TorchForward(rules.model, compute, head=True, device=plan.device, packed=True)
        self.ours = CrossEncoder(rules, lambda: self.forward)
        (sample,) = ModelTokenizer(rules.model).encode_plain([words.text(1_000)])
        self.per_word = len(sample) / 1_000
        # token ids of a chunk are remembered, so that every turn brings new ones
        self.turns = [self._pairs(plan.models[shape][1]) for _ in range(plan.repeats + 1)]

    def run(self) -> None:
        """Measure everything."""
        kind = "packed" if self.forward.packed else f"padded ({self.forward.why_padded})"
        print(f"== {self.shape.name} as a cross-encoder: {kind}")
        peer, half, best, name = self._peers()
        self._equality(peer, half)
        work = {
            "ours": lambda turn: self.scores(self.turns[turn]),
            "peer": lambda turn: peer(self.turns[turn]),
            "best": lambda turn: best(self.turns[turn]),
        }
        series = Series(self.plan, work, repeats=self.plan.repeats)
        pairs = len(self.turns[0])
        note = f"{pairs} pairs a turn of about 150 tokens"
        for key, figure, what in (
            ("peer", "pair defaults", "its defaults"),
            ("best", "pair best", f"its best ({name})"),
        ):
            title = f"{self.shape.name}: reranker against CrossEncoder.predict at {what}"
            self.bench.add(
                title, series.ratio(key, "ours"), "x", bar=self.plan.bar(self.shape, figure), note=note
            )
        for key, times in series.times.items():
            self.bench.add(f"{self.shape.name}: pairs/s, {key}", [pairs / each for each in times], "pairs/s")
        self._top()

    def scores(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Ours, in the order of the pairs."""
        groups = [(query, list(each)) for query, each in itertools.groupby(pairs, key=lambda pair: pair[0])]
        queries = [query for query, _ in groups]
        chunks = [[_chunk(text) for _, text in each] for _, each in groups]
        return np.concatenate(self.ours.rerank(queries, chunks))

    def _pairs(self, count: int, *, longest: int = 250, group: int = 32) -> list[tuple[str, str]]:
        texts = self.words.mixed(count, self.per_word, shortest=30, longest=longest)
        queries = self.words.texts([8] * -(-count // group))
        return [(queries[place // group], text) for place, text in enumerate(texts)]

    def _peers(self) -> tuple[Any, Any, Any, str]:
        from sentence_transformers import CrossEncoder as Peer

        def load(**options: Any) -> Any:
            return Peer(str(self.folder), device=self.plan.device, max_length=512, model_kwargs=options)

        def predict(model: Any, size: int) -> Callable[[Sequence[tuple[str, str]]], Any]:
            return lambda pairs: model.predict(list(pairs), batch_size=size, show_progress_bar=False)

        candidates = {}
        for kind in attentions(self.plan):
            model = load(dtype=torch.bfloat16, attn_implementation=kind)
            candidates.update(
                {f"bf16, {kind}, batch {size}": predict(model, size) for size in self.plan.batches}
            )
        name, best = quickest(self.plan, candidates, self.turns[0])
        half = predict(load(dtype=torch.bfloat16), 32)
        return predict(load(), 32), half, best, name

    def _equality(self, peer: Any, half: Any) -> None:
        """The order of each query's candidates, but for scores nearer than bf16 itself moves them."""
        pairs = self.turns[-1]
        mine, exact = self.scores(pairs), np.asarray(peer(pairs), np.float32)
        tie = 2 * float(np.abs(np.asarray(half(pairs), np.float32) - exact).max())
        swapped = 0
        for start in range(0, len(pairs), 32):
            order = np.argsort(-mine[start : start + 32], kind="stable")
            falling = exact[start : start + 32][order]
            swapped += int((falling[None, :] > falling[:, None] + tie)[np.triu_indices(len(order), 1)].sum())
        what = f"{self.shape.name}: pairs of candidates in another order than padded fp32, outside ties"
        note = (
            f"ties: nearer than {tie:.2g}, twice what bf16 moves the peer's own; scores span "
            f"{float(np.ptp(exact)):.2g}; largest difference of ours {float(np.abs(mine - exact).max()):.2g}"
        )
        self.bench.add(what, swapped, "", bar="<= 0", note=note)

    def _top(self) -> None:
        """Latency of the best 100 of one query, each chunk of about 256 tokens, new ones in every call."""
        count, tokens = (100, 240) if self.plan.on_card else (5, 20)
        calls = []
        for _ in range(21 if self.plan.on_card else 2):
            query = self.words.text(8)
            calls.append([(query, text) for text in self.words.texts([int(tokens / self.per_word)] * count)])
        series = Series(self.plan, {"ours": lambda turn: self.scores(calls[turn])}, repeats=len(calls) - 1)
        what = f"{self.shape.name}: rerank the best {count} of about 256 tokens"
        bars = [self.plan.bar(self.shape, f"top {part}") for part in ("p50", "p95")]
        latency(self.bench, what, series.times["ours"], bars=bars)


def _chunk(text: str) -> Chunk:
    return Chunk("", Span("", 0, len(text)), text, "", (), None, (), 0)
