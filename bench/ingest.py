"""Ingest through the command line: real documents, growth, and the five corpora against the encoder alone.

    python bench/ingest.py [--only documents growth corpora]

Needs the shared data. Each command runs in a fresh process; the converted model is made beforehand, once.
A choice of parts tries them and writes nothing. `bench/ingest_peers.py` measures against other systems.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ingest_command import Finished, convert_model, ragwright
from ingest_corpus import change, pieces, write_varied
from rows import DATA, Bench
from stopwatch import seconds

from ragwright.app.workspace import Workspace
from ragwright.core.config import load_config
from ragwright.core.types import Passage

REPEATS = 3
GROWTH = 10
SHARE = 1 / 3
"""Of the five corpora, for the smaller side of the growth."""


def documents(bench: Bench, scratch: Path) -> None:
    """The folder of real files: all accounted for, in time and memory; unchanged, skipped at once."""
    folder = scratch / "documents"
    folder.mkdir()
    source = DATA / "documents"
    files = sum(path.is_file() for path in source.iterdir())
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    first = ragwright(folder, "ingest", str(source), allowed=(0, 1))
    memory = max(before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1000
    report = first.printed
    accounted = sum(report[key] for key in ("added", "updated", "skipped")) + len(report["failures"])
    note = f"{files} files, {report['tokens']} tokens, {len(report['failures'])} failed with a reason"
    bench.add("files of the real documents accounted for", accounted / files, "share", bar=">= 1", note=note)
    bench.add("wall time of their first ingest", first.seconds, "s", bar="<= 150", note=note)
    bench.add("largest process of that ingest", memory, "MB", bar="<= 3000")
    again = [ragwright(folder, "ingest", str(source), allowed=(0, 1)) for _ in range(REPEATS)]
    bench.add("wall time of an unchanged second ingest", [each.seconds for each in again], "s", bar="<= 3")
    bench.add("tokens encoded by it", float(again[-1].printed["tokens"]), "tokens", bar="<= 0")


def growth(bench: Bench, scratch: Path) -> None:
    """Ten times the corpus: memory, speed, and what an unchanged and a 1 % changed ingest cost there."""
    files = pieces(SHARE)
    firsts = []
    for copies in (1, GROWTH):
        folder = scratch / f"copies-{copies}"
        write_varied(files, folder / "corpus", copies=copies)
        firsts.append(ragwright(folder, "ingest", "corpus"))
    small, large = firsts
    note = f"{small.printed['tokens']} and {large.printed['tokens']} tokens, {large.printed['reused']} reused"
    ratio = large.megabytes / small.megabytes
    bench.add(f"largest process at {GROWTH} times the corpus over once", ratio, "x", bar="<= 1.3", note=note)
    bench.add("largest process at once the corpus", small.megabytes, "MB")
    rate = (_total(small) / small.printed["tokens"]) / (_total(large) / large.printed["tokens"])
    bench.add(f"ingest tokens/s at {GROWTH} times the corpus over once", rate, "x", note=note)
    _changes(bench, folder, large)


def _changes(bench: Bench, folder: Path, first: Finished) -> None:
    """Second runs over the large corpus, against its first."""
    again = ragwright(folder, "ingest", "corpus")
    paths = change(sorted((folder / "corpus").rglob("*.txt")))
    changed = ragwright(folder, "ingest", "corpus")
    files = first.printed["added"]
    note = f"{files} files, whole commands; {again.printed['skipped']} skipped"
    ratio = again.seconds / first.seconds
    bench.add("unchanged ingest over the first, large corpus", ratio, "x", bar="<= 0.02", note=note)
    note = f"{len(paths)} of {files} files, whole commands; {changed.printed['updated']} updated"
    ratio = changed.seconds / first.seconds
    bench.add(
        "ingest of 1 % changed files over the first, large corpus", ratio, "x", bar="<= 0.04", note=note
    )
    for name, run in (("first", first), ("unchanged", again), ("changed", changed)):
        bench.add(f"wall time of the {name} ingest, large corpus", run.seconds, "s")


def _total(finished: Finished) -> float:
    return float(finished.printed["seconds"]["total"])


@dataclass(frozen=True)
class Alone:
    """The encoder with nothing else running: its tokens, and the seconds of encoding and of loading it."""

    tokens: int
    encoding: float
    loading: float


def corpora(bench: Bench, scratch: Path) -> None:
    """End to end against the encoder's own speed on exactly the chunks that the ingest made."""
    ratios, loaded, rates = [], [], []
    for number in range(REPEATS):
        folder = scratch / f"corpora-{number}"
        folder.mkdir()
        done = ragwright(folder, "ingest", str(DATA / "chroma" / "corpora"))
        alone = encoder_alone(folder)
        rates.append(done.printed["tokens"] / _total(done))
        ratios.append(rates[-1] * alone.encoding / alone.tokens)
        loaded.append(rates[-1] * (alone.encoding + alone.loading) / alone.tokens)
    note = "discover, parse, chunk, encode, index, commit and optimize; process start left out on both sides"
    what = "ingest tokens/s over the encoder's own, five corpora"
    bench.add(what, ratios, "x", bar=">= 0.8", note=f"{note}; the ingest loads the model meanwhile")
    bench.add(f"{what}, loading the model on both sides", loaded, "x", note=note)
    bench.add("ingest tokens/s, five corpora", rates, "tokens/s")
    checked = ragwright(folder, "doctor")
    findings = float(len(checked.printed["findings"]))
    bench.add("damage found by doctor afterwards", findings, "findings", bar="<= 0")
    bench.add("wall time of doctor, five corpora", checked.seconds, "s")


def encoder_alone(folder: Path) -> Alone:
    """The encoder on the chunks of a workspace."""
    workspace = Workspace(
        load_config(flags={"workspace": folder / ".ragwright"}, file=None, environ=os.environ).config
    )
    chunker, catalog = workspace.chunker("general"), workspace.catalog
    documents = [document for key in catalog.sources().values() if (document := catalog.document(key))]
    chunks = [chunk for document in documents for chunk in chunker(document)]
    passages = [Passage.of(chunk) for chunk in chunks]
    loading = seconds(lambda: workspace.encoder.encode_passages(passages[:1]))
    workspace.encoder.encode_passages(passages[:50])
    encoding = seconds(lambda: workspace.encoder.encode_passages(passages))
    workspace.close()
    return Alone(sum(chunk.tokens for chunk in chunks), encoding, loading)


# The encoder runs in this process in the last one: a child counts its parent's memory as its own at first.
PARTS = {"documents": documents, "growth": growth, "corpora": corpora}


def main() -> None:
    """Run and write `bench/results/ingest.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts to try")
    only = parser.parse_args().only
    if not DATA.is_dir():
        raise SystemExit(f"{DATA} is absent; this benchmark needs the shared data")
    bench = Bench("ingest", "python bench/ingest.py")
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        convert_model(scratch)
        for part in only:
            PARTS[part](bench, scratch)
    if set(only) == set(PARTS):
        bench.write()


if __name__ == "__main__":
    main()
