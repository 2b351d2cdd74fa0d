"""How `bench/gpu.py` measures: what runs where, in turns, and what a card can do at most."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gpu_models import Shape
from rows import Bench


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        device: Where.
        models: Each with how many texts it encodes and how many pairs it scores.
        bars: What is wanted, by model and figure.
        repeats: Of every measurement.
        batches: Sizes that the peer's best is looked for among.
    """

    device: str
    models: Mapping[Shape, tuple[int, int]]
    bars: Mapping[tuple[str, str], str]
    repeats: int = 5
    batches: tuple[int, ...] = (32, 128, 256, 512)

    @property
    def on_card(self) -> bool:
        """Whether there is a card."""
        return self.device != "cpu"

    def wait(self) -> None:
        """Until the card has done what it was given."""
        if self.on_card:
            torch.cuda.synchronize()

    def bar(self, shape: Shape, figure: str) -> str:
        """The bar of a figure, or ""."""
        return self.bars.get((shape.name, figure), "")


class Series:
    """Times of several things that take turns, in seconds."""

    def __init__(
        self,
        plan: Plan,
        work: Mapping[str, Callable[[int], object]],
        *,
        repeats: int,
        before: Callable[[], None] = lambda: None,
    ) -> None:
        """Run everything; `before` is called before each, untimed."""
        self.times: dict[str, list[float]] = {name: [] for name in work}
        for turn in range(-1, repeats):  # the first warms up
            for name, run in work.items():
                before()
                plan.wait()
                started = time.perf_counter()
                run(turn)
                plan.wait()
                if turn >= 0:
                    self.times[name].append(time.perf_counter() - started)

    def ratio(self, over: str, under: str) -> list[float]:
        """How many times as long the first took, turn by turn."""
        return [a / b for a, b in zip(self.times[over], self.times[under], strict=True)]


def attentions(plan: Plan) -> list[str]:
    """The attention implementations that a user could choose here."""
    installed = plan.on_card and importlib.util.find_spec("flash_attn") is not None
    return ["sdpa", "flash_attention_2"] if installed else ["sdpa"]


def quickest(plan: Plan, candidates: Mapping[str, Callable[[Any], Any]], data: Any) -> tuple[str, Any]:
    """The candidate that took the least time, after one warm-up each; one that runs out of memory is none."""
    times: dict[str, float] = {}
    for name, run in candidates.items():
        try:
            times[name] = min(Series(plan, {name: _gives(run, data)}, repeats=1).times[name])
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
    name = min(times, key=lambda each: times[each])
    return name, candidates[name]


def latency(bench: Bench, what: str, times: Sequence[float], *, bars: Sequence[str] = ("", "")) -> None:
    """Two rows: median and 95th percentile in milliseconds."""
    for share, name, bar in ((50, "p50", bars[0]), (95, "p95", bars[1])):
        value = float(np.percentile(times, share)) * 1e3
        bench.add(f"{what}, {name}", value, "ms", bar=bar, note=f"{len(times)} calls")


def matrix_peak(plan: Plan) -> float:
    """Floating point operations per second of a bf16 matrix product, median of ten."""
    size = 8_192 if plan.on_card else 256
    left, right = (torch.randn(size, size, device=plan.device, dtype=torch.bfloat16) for _ in range(2))
    series = Series(plan, {"product": lambda _: left @ right}, repeats=10)
    return 2.0 * size**3 / float(np.median(series.times["product"]))


def peak_memory(run: Callable[[], object]) -> float:
    """Bytes that a run took on the card beyond what was there, after a warm-up."""
    run()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run()
    torch.cuda.synchronize()
    return float(torch.cuda.max_memory_allocated() - before)


def _gives(run: Callable[[Any], object], data: Any) -> Callable[[int], object]:
    return lambda _: run(data)
