"""Promotion with real models over the demo: refused when poisoned, safe when killed, seamless while asked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.app.conftest import MAIN, copy, encoder_settings
from tests.app.serve.serving import serving
from tests.app.tuning.changed_models import perturbed, shuffled

from ragwright.app.workspace import Workspace
from ragwright.core.config import Config, load_config
from ragwright.ingest.doctor import examine

pytestmark = pytest.mark.slow
QUESTIONS = Path(__file__).parents[3] / "demo" / "questions.jsonl"
ANY = "nDCG@10>=-1"
CLIENTS = 8


@pytest.fixture
def place(folder: Path, demo: Path, model_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: the demo's documents, ingested."""
    copy(demo / "documents", folder)
    copy(demo / ".ragwright", folder)
    for name, value in encoder_settings(model_cache).items():
        monkeypatch.setenv(name, value)
    return folder


@contextmanager
def opened(config: Config) -> Iterator[Workspace]:
    workspace = Workspace(config)
    try:
        yield workspace
    finally:
        workspace.close()


def config_of(place: Path, **changed: Any) -> Config:
    flags = {"workspace": place / ".ragwright", **changed}
    return load_config(flags=flags, file=None, environ=os.environ).config


def sound(workspace: Workspace) -> bool:
    version, manifest = workspace.live()
    return not list(examine(workspace.catalog, workspace.open_index(version, manifest), version))


def test_a_poisoned_model_is_refused_and_a_harmless_one_can_be_promoted_and_taken_back(
    place: Path, run: Callable[..., Any]
) -> None:
    workspace = place / ".ragwright"
    shuffled(workspace, "poisoned")
    perturbed(workspace, "near", amount=0.02)
    exam = ("--questions", str(QUESTIONS), "--no-outside")
    before = run("search", "brake pads", "--json").stdout
    refused = run("tune", "promote", "poisoned", *exam)
    assert refused.exit_code == 4, refused.output
    assert (
        "failed: nDCG@10 changed by -" in refused.stdout and "refused: nothing has changed" in refused.stdout
    )
    assert (workspace / "tuned" / "poisoned" / "promotion" / "report.html").is_file()
    assert run("search", "brake pads", "--json").stdout == before
    accepted = run("tune", "promote", "near", *exam, "--gate", "nDCG@10>=-0.3")
    assert accepted.exit_code == 0, accepted.output
    listed = json.loads(run("tune", "list", "--json").stdout)
    assert {each["name"]: each["answers_as"] for each in listed["models"]} == {
        "near": "embedder",
        "poisoned": None,
    }
    table = run("tune", "list").stdout
    assert "answers as the embedder" in table and "refused on" in table and "promoted near" in table
    assert run("search", "brake pads", "--json").stdout != before
    assert run("doctor").exit_code == 0
    again = run("ingest", "documents")
    assert again.exit_code == 0 and "added 0, updated 0, skipped" in again.output
    rebuilt = run("ingest", "--rebuild")
    assert rebuilt.exit_code == 0, rebuilt.output
    assert "tuned/near" in run("status").stdout
    back = run("tune", "rollback")
    assert back.exit_code == 0 and "what the settings name answers" in back.stdout
    assert run("search", "brake pads", "--json").stdout == before
    nothing = run("tune", "rollback")
    assert nothing.exit_code == 1 and "nothing that was promoted is in force" in nothing.output


@pytest.mark.parametrize("seconds", [0.0, 0.4, 1.5, 4.0])
def test_a_kill_during_a_promotion_leaves_what_answered_and_the_next_one_cleans_up(
    place: Path, run: Callable[..., Any], seconds: float
) -> None:
    workspace = place / ".ragwright"
    perturbed(workspace, "near", amount=0.02)
    exam = ("--questions", str(QUESTIONS), "--no-outside", "--gate", ANY)
    before = run("search", "brake pads", "--json").stdout
    command = [sys.executable, "-c", MAIN, "tune", "promote", "near", *exam]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        while not (workspace / "indexes" / "v2").exists():
            assert running.poll() is None
            time.sleep(0.01)
        time.sleep(seconds)
        running.send_signal(signal.SIGKILL)
    assert running.returncode == -signal.SIGKILL
    assert run("search", "brake pads", "--json").stdout == before
    with opened(config_of(place)) as held:
        assert held.live()[0] == "v1" and sound(held)
    done = run("tune", "promote", "near", *exam)
    assert done.exit_code == 0, done.output
    with opened(config_of(place)) as held:
        version, manifest = held.live()
        assert manifest.parts == {"embedder": "near"} and sound(held)
        assert held.catalog.versions() == ["v1", version]
        assert {path.name for path in (workspace / "indexes").iterdir() if path.is_dir()} == {"v1", version}


def test_eight_clients_never_see_a_failure_or_a_mix_while_models_are_switched(place: Path) -> None:
    workspace = place / ".ragwright"
    perturbed(workspace, "other", amount=0.25)
    held_out = workspace / "tuning" / "questions"
    held_out.mkdir(parents=True)
    rows = [json.loads(line) for line in QUESTIONS.read_text().splitlines()]
    known = [{**row, "metadata": {"part": "test"}} for row in rows]
    with opened(config_of(place)) as home:
        texts = {each.document.source: each.document.text for each in home.catalog.documents()}
    _quote(known, texts)
    (held_out / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in known))
    config = config_of(place, **{"tune.gate": (ANY,), "search.mode": "dense"})
    with serving(config, requests_per_minute=1_000_000) as server, server.client() as owner:
        questions = [row["question"] for row in rows if row["answerable"]]
        before = {text: asked(owner, text) for text in questions}
        assert promoted(owner)["outcome"] == "promoted"
        after = {text: asked(owner, text) for text in questions}
        assert rolled_back(owner)["outcome"] == "rolled back"
        told_apart = [text for text in questions if not near(before[text], after[text], 0.05)]
        assert len(told_apart) >= CLIENTS
        stop = threading.Event()
        seen: list[bool] = []

        def ask_on(own: int) -> int:
            count = 0
            with server.client() as client:
                while not stop.is_set():
                    text = told_apart[(own + count) % len(told_apart)]
                    found = asked(client, text)
                    old, new = near(found, before[text], 0.02), near(found, after[text], 0.02)
                    assert old != new, (text, found, before[text], after[text])
                    seen.append(new)
                    count += 1
            return count

        with ThreadPoolExecutor(CLIENTS) as pool:
            running = [pool.submit(ask_on, own) for own in range(CLIENTS)]
            try:
                for _ in range(2):
                    assert promoted(owner)["outcome"] == "promoted"
                    assert rolled_back(owner)["outcome"] == "rolled back"
            finally:
                stop.set()
            counts = [each.result() for each in running]
        assert min(counts) > 10 and any(seen) and not all(seen)


Found = Sequence[tuple[str, float]]


def near(found: Found, other: Found, most: float) -> bool:
    """Whether both are what one model gives: batches change its numbers a little."""
    scores = dict(other)
    return len(found) == len(other) and all(abs(scores.get(key, -1) - score) < most for key, score in found)


def asked(client: httpx.Client, text: str) -> Found:
    """The first hits' chunks and scores."""
    answer = client.post("/v1/retrieve", json={"query": text, "top_k": 3})
    assert answer.status_code == 200, answer.text
    return [(hit["chunk_id"], hit["score"]) for hit in answer.json()["data"]]


def promoted(client: httpx.Client) -> dict[str, Any]:
    return ended(client, client.post("/v1/tune/promotions", json={"name": "other", "skip_outside": True}))


def rolled_back(client: httpx.Client) -> dict[str, Any]:
    return ended(client, client.post("/v1/tune/rollbacks", json={}))


def ended(client: httpx.Client, answer: httpx.Response) -> dict[str, Any]:
    job: dict[str, Any] = answer.json()
    until = time.monotonic() + 300
    while job["ended"] is None:
        assert time.monotonic() < until, job
        time.sleep(0.2)
        job = client.get(f"/v1/tune/jobs/{job['id']}").json()
    assert job["state"] == "done", job
    return job


def _quote(rows: Sequence[dict[str, Any]], texts: dict[str, str]) -> None:
    """Name the sources of references as the workspace does, with the text that stands there."""
    for row in rows:
        for reference in row["references"]:
            (source,) = [each for each in texts if each.endswith(reference["source"])]
            start, end = reference["start"], reference["end"]
            reference.update(source=source, text=texts[source][start:end])
