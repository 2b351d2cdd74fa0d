"""Measured rows: what `docs/results.md` is made from.

Every row says what was measured, in which unit, with which command, versions, commit and hardware. Speeds are
ratios within one run, with the equality that was checked first.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from ragwright.eval.machine import code_facts, processor
from ragwright.eval.statistics import estimate

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"
DATA = ROOT.parent / "shared" / "data"
WRITTEN = ("bench/results", "docs/results.md")
"""What measuring itself writes."""

PACKAGES = (
    "ragwright",
    "torch",
    "transformers",
    "sentence-transformers",
    "openvino",
    "qdrant-edge-py",
    "tokenizers",
    "nncf",
    "onnxruntime",
    "llama-index-core",
    "langchain-core",
    "langchain-text-splitters",
    "txtai",
    "chonkie",
    "semchunk",
    "qdrant-client",
)


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        what: Said so that it needs no other context.
        value: Median of the repeats, or the figure itself.
        unit: `x` for ratios.
        low: Smallest of the repeats, or the interval's lower end.
        high: Largest of the repeats, or the interval's upper end.
        repeats: How many measurements, or questions.
        bar: What was wanted, such as `>= 2.5`; empty when nothing was.
        met: Whether the bar is met; None without a bar.
        note: What was checked, and what limits it.
    """

    what: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    repeats: int = 1
    bar: str = ""
    met: bool | None = None
    note: str = ""


@dataclass
class Bench:
    """The rows of one benchmark, written as one JSON file."""

    name: str
    command: str
    rows: list[Row] = field(default_factory=list)
    # taken before anything is measured: files may change meanwhile, what was imported does not
    facts: Mapping[str, Any] = field(default_factory=lambda: _facts())

    def add(
        self, what: str, values: Sequence[float] | float, unit: str, *, bar: str = "", note: str = ""
    ) -> None:
        """Add a figure: the median of the values, with their range."""
        series = [values] if isinstance(values, int | float) else list(values)
        value = float(np.median(series))
        low, high = (float(min(series)), float(max(series))) if len(series) > 1 else (None, None)
        self.rows.append(Row(what, value, unit, low, high, len(series), bar, _met(value, bar), note))
        print(_line(self.rows[-1]), flush=True)

    def add_mean(self, what: str, values: Sequence[float], *, bar: str = "", note: str = "") -> None:
        """Add a mean over questions with its 95 % bootstrap interval (2,000 resamples, seeded)."""
        found = estimate(values)
        met = _met(found.mean, bar)
        self.rows.append(Row(what, found.mean, "", found.low, found.high, found.n, bar, met, note))
        print(_line(self.rows[-1]), flush=True)

    def write(self) -> None:
        """Write the rows with everything needed to read them later."""
        RESULTS.mkdir(exist_ok=True)
        facts = {"name": self.name, "command": self.command, **self.facts}
        document = {**facts, "rows": [asdict(row) for row in self.rows]}
        (RESULTS / f"{self.name}.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _met(value: float, bar: str) -> bool | None:
    if not bar:
        return None
    sign, wanted = bar.split()[:2]
    return value >= float(wanted) if sign == ">=" else value <= float(wanted)


def _line(row: Row) -> str:
    span = f" [{row.low:.4g} .. {row.high:.4g}]" if row.low is not None and row.high is not None else ""
    bar = f"  (wanted {row.bar}: {'met' if row.met else 'MISSED'})" if row.bar else ""
    return f"{row.what}: {row.value:.5g} {row.unit}{span}{bar}"


def _facts() -> Mapping[str, Any]:
    return {
        "date": time.strftime("%Y-%m-%d"),
        "commit": _commit(),
        "code": code_facts()["digest"],
        "python": platform.python_version(),
        "cpu": processor(),
        "cores": os.cpu_count(),
        "versions": {name: _version(name) for name in PACKAGES},
    }


def _commit() -> str:
    """The short name of the commit; it ends in `-dirty` where files other than results differ from it."""
    commit = _git("rev-parse", "--short", "HEAD")
    changed = _git("status", "--porcelain", "--", ".", *(f":(exclude){path}" for path in WRITTEN))
    return f"{commit}-dirty" if commit and changed else commit


def _git(*arguments: str) -> str:
    """What git says, or "" where it knows nothing."""
    found = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    return found.stdout.strip()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
