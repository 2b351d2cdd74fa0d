"""Query latency: a cold command, and a warm process with its parts.

    python bench/query.py

The index holds the five corpora of the shared data; `bench/scale.py` measures larger ones.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from corpora import chroma, indexed, retriever
from rows import DATA, Bench

from ragwright.retrieval.search import SearchOptions

COLD_REPEATS = 7


def milliseconds(call: Callable[[], object]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1000


def command(folder: Path, *arguments: str) -> None:
    """Run one command in a folder, in a process of its own.

    Raises:
        SystemExit: It failed.
    """
    program = ("-c", "from ragwright.app.cli import main; main()")
    line = [sys.executable, *program, *arguments, "--json", "--quiet"]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr}")


def warm(bench: Bench) -> None:
    """Every question once through the warm retriever; encoding is timed beside it, not inside."""
    documents, questions = chroma()
    with indexed(documents) as (encoder, index, terms):
        search = retriever(encoder, index, terms, SearchOptions())
        whole, encoding, engine = [], [], []
        for question in questions:
            vector = encoder.encode_queries([question.text])[0]
            weights = terms.of_query(question.text)
            encoding.append(milliseconds(partial(encoder.encode_queries, [question.text])))
            engine.append(milliseconds(partial(index.search, vector, weights, limit=50, filters={})))
            whole.append(milliseconds(partial(search.search, question.text)))
        chunks = index.count()
    beside = [a - b for a, b in zip(whole, encoding, strict=True)]
    note = f"{chunks} chunks, {len(questions)} questions: search, fusion, fetching and evidence of ten hits"
    bench.add(
        "hybrid search beside the query's encoding, p50",
        float(np.median(beside)),
        "ms",
        bar="<= 5",
        note=note,
    )
    bench.add("hybrid search beside the query's encoding, p95", float(np.quantile(beside, 0.95)), "ms")
    bench.add("the engine's hybrid query alone, p50", float(np.median(engine)), "ms")
    bench.add("the engine's hybrid query alone, p95", float(np.quantile(engine, 0.95)), "ms")
    framework = float(np.median(np.array(beside) - np.array(engine)))
    bench.add("the framework beside encoder and engine, p50", framework, "ms", bar="<= 1")
    bench.add("encoding a query, p50", float(np.median(encoding)), "ms")


def cold(bench: Bench) -> None:
    """The whole command in a fresh process, on a workspace that lies on the disk."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ.pop("RAGWRIGHT_ENCODER__CACHE", None)
        command(folder, "ingest", str(DATA / "chroma" / "corpora"))
        query = partial(command, folder, "search", "what did the president say about energy")
        query()
        seconds = [milliseconds(query) / 1000 for _ in range(COLD_REPEATS)]
    bench.add("cold `ragwright search`, process start to exit", seconds, "s", bar="<= 1.5")


def main() -> None:
    """Run and write `bench/results/query.json`."""
    if not DATA.is_dir():
        raise SystemExit(f"{DATA} is absent; this benchmark needs the shared data")
    bench = Bench("query", "python bench/query.py")
    warm(bench)
    cold(bench)
    bench.write()


if __name__ == "__main__":
    main()
