"""Promotion while the server answers: what eight clients notice of the build, the switch and the rollback.

    python bench/promotion.py

The server is the command, over the five corpora. A copy of the default model with a little noise in its
weights is promoted and taken back, and eight clients go on asking.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from corpora import chroma
from load import Load, Target, ask
from rows import DATA, Bench
from safetensors.numpy import load_file, save_file
from serve import COMMAND, distinct, served

from ragwright.core.types import Span
from ragwright.finetune.tuned_model import TunedModel, write_tuned
from ragwright.retrieval.model import DEFAULT_MODEL, open_model

CLIENTS = 8
WINDOW_SECONDS = 2.0
QUIET_SECONDS = 20.0
NOISE = 0.02  # of a tensor's standard deviation
SEARCH: Target = ("/v1/retrieve", lambda question: {"query": question, "top_k": 5})
SETTINGS = {
    "RAGWRIGHT_TUNE__GATE": '["nDCG@10>=-0.5"]',  # it is to pass: what is measured is the switch
    "RAGWRIGHT_SEARCH__MODE": "dense",
}


def noisy_model(workspace: Path) -> str:
    """Write a tuned model that answers a little otherwise than the default one; returns its name."""
    base, folder = open_model(DEFAULT_MODEL), workspace / "tuned" / "noisy"
    shutil.copytree(base.path, folder / "model")
    random = np.random.default_rng(0)
    file = folder / "model" / "model.safetensors"
    tensors = {
        name: (each + NOISE * each.std() * random.normal(size=each.shape)).astype(each.dtype)
        if each.ndim == 2
        else each
        for name, each in load_file(file).items()
    }
    save_file(tensors, file, metadata={"format": "pt"})
    write_tuned(folder, TunedModel("noisy", "embedder", DEFAULT_MODEL, base.fingerprint, "", 0, "2026-01-01"))
    return "noisy"


def held_out(workspace: Path, questions: list[Any], texts: dict[str, str]) -> None:
    """Write questions with their references as those that are held out."""
    folder = workspace / "tuning" / "questions"
    folder.mkdir(parents=True)
    rows = []
    for each in questions:
        spans = [_quoted(span, texts) for span in each.references]
        rows.append({"id": each.id, "question": each.text, "references": spans, "metadata": {"part": "test"}})
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _quoted(span: Span, texts: dict[str, str]) -> dict[str, Any]:
    text = texts[span.document_id][span.start : span.end]
    return {"source": span.document_id, "start": span.start, "end": span.end, "text": text}


def job(port: int, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """A job as the server tells it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    data = None if body is None else json.dumps(body)
    connection.request("GET" if body is None else "POST", path, data, {"content-type": "application/json"})
    told: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return told


def asked_during(port: int, path: str, body: dict[str, Any], questions: Any) -> tuple[Load, float, str]:
    """What the clients saw until a job had ended, its seconds, and what became of it."""
    total = Load(CLIENTS)
    begun = job(port, path, body)
    while True:
        part = ask(port, questions, SEARCH, clients=CLIENTS, seconds=WINDOW_SECONDS)
        total.latencies += part.latencies
        total.statuses += part.statuses
        total.seconds += part.seconds
        now = job(port, f"/v1/tune/jobs/{begun['id']}")
        if now["ended"] is not None:
            return total, now["ended"] - now["created"], str(now["outcome"] or now["reason"])


def main() -> None:
    """Run and write `bench/results/promotion.json`."""
    if not DATA.is_dir():
        raise SystemExit(f"{DATA} is absent; this benchmark needs the shared data")
    bench = Bench("promotion", "python bench/promotion.py")
    _, asked = chroma()
    questions = distinct([each.text for each in asked])
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        os.environ |= SETTINGS
        corpora = str(DATA / "chroma" / "corpora")
        subprocess.run([sys.executable, "-c", COMMAND, "ingest", corpora, "--quiet"], cwd=folder, check=True)
        workspace = folder / ".ragwright"
        name = noisy_model(workspace)
        held_out(workspace, *_as_ingested(workspace, asked))
        with served(folder) as (port, _process):
            quiet = ask(port, questions, SEARCH, clients=CLIENTS, seconds=QUIET_SECONDS)
            body = {"name": name, "skip_outside": True}
            _add(bench, "before", quiet)
            for what, path, sent in (("promotion", "promotions", body), ("rollback", "rollbacks", {})):
                load, seconds, outcome = asked_during(port, f"/v1/tune/{path}", sent, questions)
                bench.add(f"{what}, under the load of {CLIENTS} clients", seconds, "s", note=outcome)
                _add(bench, f"during the {what}", load)
    bench.write()


def _as_ingested(workspace: Path, asked: list[Any]) -> tuple[list[Any], dict[str, str]]:
    """The questions with the sources that the workspace has, and its texts by source."""
    from dataclasses import replace

    from ragwright.ingest.catalog import Catalog

    catalog = Catalog.in_folder(workspace)
    texts = {each.document.source: each.document.text for each in catalog.documents()}
    catalog.close()
    by_name = {Path(source).name: source for source in texts}
    renamed = [
        replace(
            each,
            references=tuple(
                replace(span, document_id=by_name[Path(span.document_id).name]) for span in each.references
            ),
        )
        for each in asked
    ]
    return renamed, texts


def _add(bench: Bench, what: str, load: Load) -> None:
    note = f"{len(load.latencies)} answers"
    bench.add(f"latency {what}, p50", load.quantile(0.5), "ms", note=note)
    bench.add(f"latency {what}, p95", load.quantile(0.95), "ms")
    bench.add(f"latency {what}, longest", load.quantile(1.0), "ms")
    failed = sum(count for status, count in load.statuses.items() if status != 200)
    bench.add(f"requests that failed {what}", float(failed), "", bar="<= 0")


if __name__ == "__main__":
    main()
