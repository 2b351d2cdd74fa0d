"""Answers while a file is uploaded and ingested, over answers while nothing is.

    python bench/upload.py

One server, the command in a process of its own over the five corpora, and 8 clients, each asking again as
soon as it is answered. Idle and uploading take turns; what was uploaded is deleted after each. Every file is
new text, so that all of it is encoded.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from corpora import chroma
from load import ask
from rows import DATA, Bench
from serve import CHAT, COMMAND, distinct, served

CLIENTS = 8
REPEATS = {0.5: 5, 5.0: 3}
"""How often, by megabytes of the file."""

IDLE_SECONDS = 8.0
_PART_SECONDS = 1.0
_LONGEST_SECONDS = 900.0


@dataclass
class Turn:
    """What the clients saw in one condition.

    Attributes:
        latencies: Milliseconds of each answer.
        errors: Answers that were none.
        seconds: From the start of an upload until its text is found; 0 without one.
    """

    latencies: list[float] = field(default_factory=list)
    errors: int = 0
    seconds: float = 0.0

    def quantile(self, share: float) -> float:
        """Milliseconds that this share of the answers took at most."""
        return float(np.quantile(self.latencies, share))


class Site:
    """A server, and 8 clients that never ask the same twice."""

    def __init__(self, port: int, questions: Iterator[str]) -> None:
        self._port = port
        self._questions = questions

    def asked(self, turn: Turn, *, seconds: float) -> None:
        """Let the clients ask for a while, and note what they see."""
        load = ask(self._port, self._questions, CHAT, clients=CLIENTS, seconds=seconds)
        turn.latencies += load.latencies
        turn.errors += sum(count for status, count in load.statuses.items() if status != 200)

    def call(self, method: str, path: str, body: bytes | None = None, kind: str = "") -> Any:
        """What a route answers."""
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}{path}", body, method=method)
        if kind:
            request.add_header("content-type", kind)
        with urllib.request.urlopen(request, timeout=60) as answered:
            return json.loads(answered.read())

    def idle(self) -> Turn:
        """The clients alone."""
        turn = Turn()
        self.asked(turn, seconds=IDLE_SECONDS)
        return turn

    def uploading(self, text: str) -> Turn:
        """The clients from the moment that a file is sent until it is found; then it is deleted."""
        turn, started = Turn(), time.perf_counter()
        job = self.call("POST", "/v1/documents", *_form(text))
        while job["ended"] is None:
            self.asked(turn, seconds=_PART_SECONDS)
            job = self.call("GET", f"/v1/documents/jobs/{job['id']}")
            if time.perf_counter() - started > _LONGEST_SECONDS:
                raise SystemExit("an upload did not end")
        turn.seconds = time.perf_counter() - started
        if job["state"] != "done" or not job["chunks"]:
            raise SystemExit(f"an upload failed: {job}")
        self._check(text, job["document_id"])
        self.call("DELETE", f"/v1/documents/{job['document_id']}")
        time.sleep(2.0)  # its chunks leave the index
        return turn

    def _check(self, text: str, document: str) -> None:
        """The document is the text that was sent, and is found by its own words."""
        shown = self.call("GET", f"/v1/documents/{document}?start=0&end=1000")
        if shown["text"] != text[:1000] or shown["total_characters"] != len(text):
            raise SystemExit("the document is not what was uploaded")
        asked = json.dumps({"query": text[:200], "filters": {"document": document}}).encode()
        if not self.call("POST", "/v1/retrieve", asked, "application/json")["data"]:
            raise SystemExit("what was uploaded is not found")


def _form(text: str) -> tuple[bytes, str]:
    """A text as the file of a form, and the form's type."""
    edge = uuid4().hex
    head = f'--{edge}\r\ncontent-disposition: form-data; name="file"; filename="new.txt"\r\n\r\n'
    return f"{head}{text}\r\n--{edge}--\r\n".encode(), f"multipart/form-data; boundary={edge}"


def new_text(sentences: list[str], *, megabytes: float, seed: int) -> str:
    """Paragraphs of the corpora's sentences, one word in four another's: text that no chunk holds yet."""
    source = random.Random(seed)
    words = [word for sentence in source.sample(sentences, 2_000) for word in sentence.split()]
    paragraphs: list[str] = []
    size = 0
    while size < megabytes * 1e6:
        paragraphs.append(" ".join(_changed(source, sentences, words) for _ in range(source.randint(3, 7))))
        size += len(paragraphs[-1]) + 2
    return "\n\n".join(paragraphs)


def _changed(source: random.Random, sentences: list[str], words: list[str]) -> str:
    changed = source.choice(sentences).split()
    for place in range(0, len(changed), 4):
        changed[place] = source.choice(words)
    return " ".join(changed)


def turns(site: Site, sentences: list[str], *, megabytes: float, repeats: int) -> list[tuple[Turn, Turn]]:
    """Idle and uploading, in turns."""
    texts = [new_text(sentences, megabytes=megabytes, seed=each) for each in range(repeats)]
    return [(site.idle(), site.uploading(text)) for text in texts]


def add(bench: Bench, megabytes: float, pairs: list[tuple[Turn, Turn]]) -> None:
    """The rows of one size of file."""
    what = f"while {megabytes:g} MB are ingested, {CLIENTS} clients"
    for share, bar in ((0.5, ""), (0.95, "<= 2")):
        ratios = [busy.quantile(share) / idle.quantile(share) for idle, busy in pairs]
        idle = float(np.median([each.quantile(share) for each, _ in pairs]))
        note = f"idle {idle:.0f} ms; {sum(len(busy.latencies) for _, busy in pairs)} answers meanwhile"
        bench.add(f"latency {what}, over idle, p{share * 100:.0f}", ratios, "x", bar=bar, note=note)
    bench.add(f"seconds until {megabytes:g} MB are found, {what}", [busy.seconds for _, busy in pairs], "s")
    errors = sum(each.errors for pair in pairs for each in pair)
    bench.add(f"answers that were none {what}", float(errors), "", bar="<= 0")


def main() -> None:
    """Run and write `bench/results/upload.json`."""
    if not DATA.is_dir():
        raise SystemExit(f"{DATA} is absent; this benchmark needs the shared data")
    bench = Bench("upload", "python bench/upload.py")
    documents, asked = chroma()
    sentences = [
        each for d in documents for each in re.split(r"(?<=[.!?])\s+", d.text) if 20 < len(each) < 300
    ]
    questions = distinct([each.text for each in asked])
    with tempfile.TemporaryDirectory() as name:
        os.environ.pop("RAGWRIGHT_ENCODER__CACHE", None)
        corpora = str(DATA / "chroma" / "corpora")
        command = [sys.executable, "-c", COMMAND, "ingest", corpora, "--quiet"]
        subprocess.run(command, cwd=name, check=True)
        with served(Path(name)) as (port, _process):
            site = Site(port, questions)
            site.asked(Turn(), seconds=5.0)  # loads what is needed
            for megabytes, repeats in REPEATS.items():
                add(bench, megabytes, turns(site, sentences, megabytes=megabytes, repeats=repeats))
    bench.write()


if __name__ == "__main__":
    main()
