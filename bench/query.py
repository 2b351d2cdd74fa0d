"""Query latency: a cold command, and a warm process with its parts.

    python bench/query.py

The index holds the five corpora of the shared data; `bench/scale.py` measures larger ones.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from corpora import chroma, indexed, retriever
from rows import DATA, Bench
from searches import split
from stopwatch import milliseconds

from ragwright.core.types import OWNER
from ragwright.retrieval.search import SearchOptions

COLD_REPEATS = 7


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
        asked = [question.text for question in questions]
        encoding = [milliseconds(partial(encoder.encode_queries, [text])) for text in asked]
        search.search_many(asked)  # their vectors are remembered from here on
        within, around = split(index, [partial(search.search, text) for text in asked])
        alone = [
            milliseconds(
                partial(index.search, vector, terms.of_query(text), limit=50, scope=OWNER, filters={})
            )
            for vector, text in zip(encoder.encode_queries(asked), asked, strict=True)
        ]
        chunks = index.count()
    beside = np.array(within) + np.array(around)
    note = f"{chunks} chunks, {len(questions)} questions: search, fusion, reading ten chunks, and evidence"
    what = "hybrid search beside the query's encoding, p50"
    bench.add(what, float(np.median(beside)), "ms", bar="<= 5", note=note)
    bench.add("hybrid search beside the query's encoding, p95", float(np.quantile(beside, 0.95)), "ms")
    bench.add("of it in the engine, p50", float(np.median(within)), "ms")
    bench.add("of it in the framework, p50", float(np.median(around)), "ms", bar="<= 1")
    bench.add("the index's hybrid query alone, p50", float(np.median(alone)), "ms")
    bench.add("the index's hybrid query alone, p95", float(np.quantile(alone, 0.95)), "ms")
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
