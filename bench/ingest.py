"""Ingest through the command line: real documents, and the five corpora against the encoder alone.

    python bench/ingest.py

Needs the shared data. Each command runs in a fresh process; the converted model is made beforehand, once.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rows import DATA, Bench

from ragwright.app.workspace import Workspace
from ragwright.core.config import load_config
from ragwright.core.types import Passage

REPEATS = 3


def run(folder: Path, *arguments: str, allowed: Sequence[int] = (0,)) -> tuple[float, Any]:
    """Wall time and JSON of one command in a folder."""
    command = [
        sys.executable,
        "-c",
        "from ragwright.app.cli import main; main()",
        *arguments,
        "--json",
        "--quiet",
    ]
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    seconds = time.perf_counter() - started
    if done.returncode not in allowed:
        raise SystemExit(f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr}")
    return seconds, json.loads(done.stdout)


def documents(bench: Bench, scratch: Path) -> None:
    """The folder of real files: all accounted for, in time and memory; unchanged, skipped at once."""
    folder = scratch / "documents"
    folder.mkdir()
    source = DATA / "documents"
    files = sum(path.is_file() for path in source.iterdir())
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    seconds, report = run(folder, "ingest", str(source), allowed=(0, 1))
    memory = max(before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1000
    accounted = sum(report[key] for key in ("added", "updated", "skipped")) + len(report["failures"])
    note = f"{files} files, {report['tokens']} tokens, {len(report['failures'])} failed with a reason"
    bench.add("files of the real documents accounted for", accounted / files, "share", bar=">= 1", note=note)
    bench.add("wall time of their first ingest", seconds, "s", bar="<= 150", note=note)
    bench.add("largest process of that ingest", memory, "MB", bar="<= 3000")
    again = [run(folder, "ingest", str(source), allowed=(0, 1)) for _ in range(REPEATS)]
    bench.add("wall time of an unchanged second ingest", [each[0] for each in again], "s", bar="<= 3")
    bench.add("tokens encoded by it", float(again[-1][1]["tokens"]), "tokens", bar="<= 0")


def corpora(bench: Bench, scratch: Path) -> None:
    """End to end against the encoder's own speed on exactly the chunks that the ingest made."""
    ratios, rates = [], []
    for number in range(REPEATS):
        folder = scratch / f"corpora-{number}"
        folder.mkdir()
        _, report = run(folder, "ingest", str(DATA / "chroma" / "corpora"))
        end_to_end = report["tokens"] / report["seconds"]["total"]
        alone = encoder_alone(folder)
        ratios.append(end_to_end / alone)
        rates.append(end_to_end)
    note = "discover, parse, chunk, encode, index, commit and optimize; process start left out on both sides"
    bench.add("ingest tokens/s over the encoder's own, five corpora", ratios, "x", bar=">= 0.7", note=note)
    bench.add("ingest tokens/s, five corpora", rates, "tokens/s")
    seconds, found = run(folder, "doctor")
    bench.add("damage found by doctor afterwards", float(len(found["findings"])), "findings", bar="<= 0")
    bench.add("wall time of doctor, five corpora", seconds, "s")


def encoder_alone(folder: Path) -> float:
    """Tokens/s of the encoder on the chunks of a workspace, nothing else running."""
    workspace = Workspace(
        load_config(flags={"workspace": folder / ".ragwright"}, file=None, environ=os.environ).config
    )
    chunker, catalog = workspace.chunker("general"), workspace.catalog
    documents = [document for key in catalog.sources().values() if (document := catalog.document(key))]
    chunks = [chunk for document in documents for chunk in chunker(document)]
    passages = [Passage.of(chunk) for chunk in chunks]
    workspace.encoder.encode_passages(passages[:50])
    started = time.perf_counter()
    workspace.encoder.encode_passages(passages)
    seconds = time.perf_counter() - started
    workspace.close()
    return sum(chunk.tokens for chunk in chunks) / seconds


def main() -> None:
    """Run and write `bench/results/ingest.json`."""
    if not DATA.is_dir():
        raise SystemExit(f"{DATA} is absent; this benchmark needs the shared data")
    bench = Bench("ingest", "python bench/ingest.py")
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        os.environ["RAGWRIGHT_ENCODER__CACHE"] = str(scratch / "models")
        (scratch / "first").mkdir()
        (scratch / "first" / "note.txt").write_text("The disc is replaced at 112 mm.", encoding="utf-8")
        run(scratch / "first", "ingest", "note.txt")
        documents(bench, scratch)
        corpora(bench, scratch)
    bench.write()


if __name__ == "__main__":
    main()
