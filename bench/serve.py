"""The server under load: requests a second and latency at 1, 8 and 32 clients, and what shared batches bring.

    python bench/serve.py

The server is the command, in a process of its own, over the five corpora, with the extractive generator. The
clients run beside it on the same processor. No question comes twice, so that every one is encoded.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from corpora import chroma
from load import Load, Target, ask
from rows import DATA, Bench

SECONDS = 20.0
WARM_SECONDS = 30.0
REPEATS = 3
MODEL = "ragwright/documents"


def chat(question: str) -> dict[str, object]:
    """A question to be answered."""
    return {"model": MODEL, "messages": [{"role": "user", "content": question}]}


def vector(question: str) -> dict[str, object]:
    """A question to be encoded."""
    return {"model": MODEL, "input": question}


CHAT: Target = ("/v1/chat/completions", chat)
VECTOR: Target = ("/v1/embeddings", vector)
COMMAND = "from ragwright.app.cli import main; main()"
# One text after the other instead of those that wait together: what the server would do without sharing.
ALONE = """
import threading
from ragwright.retrieval import coalesce
lock = threading.Lock()
class Alone:
    def __init__(self, call):
        self.call = call
    def __call__(self, texts):
        with lock:
            return [found for text in texts for found in self.call([text])]
coalesce.Coalescer = Alone
"""


@contextmanager
def served(folder: Path, *, before: str = "") -> Iterator[tuple[int, int]]:
    """A server over a workspace, as its port and process id; it must drain and end well."""
    line = [sys.executable, "-c", before + COMMAND, "serve", "--port", "0", "--quiet"]
    limits = {"RAGWRIGHT_SERVER__REQUESTS_PER_MINUTE": "1000000", "RAGWRIGHT_SERVER__STREAMS": "64"}
    process = subprocess.Popen(
        [*line, "--json"], cwd=folder, env={**os.environ, **limits}, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield _port(process.stdout), process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        if process.wait(30):
            raise SystemExit(f"the server ended with {process.returncode}")


def _port(said: IO[str]) -> int:
    """Where the server listens, as it says."""
    for line in said:
        if found := re.search(r"http://[^:]+:(\d+)", line):
            return int(found[1])
    raise SystemExit("the server did not say where it listens")


def resident(process: int) -> float:
    """Megabytes of a process that no file backs."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.findall(r"RssAnon:\s+(\d+)", status)[0]) / 1000


def distinct(questions: list[str]) -> Iterator[str]:
    """Questions without end, none of them twice."""
    for number in itertools.count(1):
        for question in questions:
            yield f"{question} ({number})"


def loads(bench: Bench, folder: Path, questions: list[str]) -> None:
    """Requests a second, latency, errors and memory."""
    texts = distinct(questions)
    with served(folder) as (port, process):
        # Until every thread has worked and every cache is full: what grows after that, grows with requests.
        ask(port, texts, CHAT, clients=32, seconds=WARM_SECONDS)
        before = resident(process)
        for clients in (1, 8, 32):
            load = ask(port, texts, CHAT, clients=clients, seconds=SECONDS)
            _add(bench, load)
        grown = resident(process) / before
    note = f"{before:.0f} MB before, after {WARM_SECONDS:.0f} s at 32 clients"
    bench.add("memory after the load over before it", grown, "x", bar="<= 1.1", note=note)


def _add(bench: Bench, load: Load) -> None:
    what = f"{load.clients} client{'s' if load.clients > 1 else ''}"
    refused = load.statuses[429] + load.statuses[503]
    note = f"{len(load.latencies)} answers, {refused} told to come later"
    bench.add(f"requests/s, {what}", load.rate, "1/s", note=note)
    bench.add(f"latency, {what}, p50", load.quantile(0.5), "ms")
    bench.add(f"latency, {what}, p95", load.quantile(0.95), "ms")
    bench.add(f"errors but 429 and 503, {what}", float(sum(load.errors.values())), "", bar="<= 0")


def sharing(bench: Bench, folder: Path, questions: list[str]) -> None:
    """Throughput at 32 clients with shared batches over encoding one by one; both take turns."""
    texts = distinct(questions)
    rates: dict[str, list[list[float]]] = {"vectors": [], "answers": []}
    for _ in range(REPEATS):
        for kind in rates.values():
            kind.append([])
        for before in ("", ALONE):
            with served(folder, before=before) as (port, _process):
                ask(port, texts, CHAT, clients=8, seconds=3.0)
                for name, asked in (("vectors", VECTOR), ("answers", CHAT)):
                    load = ask(port, texts, asked, clients=32, seconds=SECONDS / 4)
                    rates[name][-1].append(load.rate)
    for name, bar in (("vectors", ">= 1.5"), ("answers", ">= 1.5")):
        ratios = [shared / alone for shared, alone in rates[name]]
        what = f"32 clients, shared batches over encoding one by one, {name}/s"
        bench.add(what, ratios, "x", bar=bar, note=f"{rates[name][-1][0]:.0f} {name}/s when shared")


def main() -> None:
    """Run and write `bench/results/serve.json`."""
    if not DATA.is_dir():
        raise SystemExit(f"{DATA} is absent; this benchmark needs the shared data")
    bench = Bench("serve", "python bench/serve.py")
    _, asked = chroma()
    questions = [each.text for each in asked]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ.pop("RAGWRIGHT_ENCODER__CACHE", None)
        corpora = str(DATA / "chroma" / "corpora")
        subprocess.run([sys.executable, "-c", COMMAND, "ingest", corpora, "--quiet"], cwd=folder, check=True)
        loads(bench, folder, questions)
        sharing(bench, folder, questions)
    bench.write()


if __name__ == "__main__":
    main()
