"""Promotions of a running server: who may, what becomes of them, and that no query fails or is mixed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.app.serve.serving import Served, serving
from tests.app.tuning.noisy_encoder import (
    DOCUMENTS,
    Encoders,
    config_in,
    document,
    prepare,
    words_of,
)

from ragwright.app.tuning.remote import RemoteServer
from ragwright.core.errors import InputError, ServiceError
from ragwright.ingest.doctor import examine

CLIENTS = 8
JOBS = "/v1/tune/jobs"


@pytest.fixture
def tuned_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A server over a workspace with tuned models and held-out questions."""
    place = prepare(tmp_path)
    monkeypatch.setattr("ragwright.retrieval.encoder.load_encoder", Encoders())
    config = config_in(place, **{"tune.outside": place / "outside"})
    with serving(config, requests_per_minute=100_000) as running:
        yield running


def ended(client: httpx.Client, answer: httpx.Response) -> dict[str, Any]:
    """A job once it has ended."""
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    until = time.monotonic() + 120
    while job["ended"] is None:
        assert time.monotonic() < until, job
        time.sleep(0.05)
        told = client.get(f"{JOBS}/{job['id']}")
        assert told.status_code == 200, told.text
        job = told.json()
    return job


def promoted(client: httpx.Client, name: str, **more: Any) -> dict[str, Any]:
    return ended(client, client.post("/v1/tune/promotions", json={"name": name, **more}))


def rolled_back(client: httpx.Client) -> dict[str, Any]:
    return ended(client, client.post("/v1/tune/rollbacks", json={}))


def asked(client: httpx.Client, number: int) -> list[tuple[str, float]]:
    """What words of a document find, with the scores, which tell the encoder from any other."""
    query = " ".join(words_of(number, 24).split()[:6])
    answer = client.post("/v1/retrieve", json={"query": query, "top_k": 5})
    assert answer.status_code == 200, answer.text
    return [(hit["source"], round(hit["score"], 6)) for hit in answer.json()["data"]]


def test_only_keys_that_see_everything_may_tune(tuned_server: Served) -> None:
    keys = {
        "owner": tuned_server.key("owner", admin=True),
        "writer": tuned_server.key("writer", tenant="a", write=True),
        "reader": tuned_server.key("reader", tenant="a"),
    }
    requests = [
        ("POST", "/v1/tune/promotions", {"name": "unknown"}),
        ("POST", "/v1/tune/rollbacks", {}),
        ("GET", JOBS, None),
        ("GET", f"{JOBS}/{'0' * 32}", None),
    ]
    for method, path, body in requests:
        with tuned_server.client() as nobody:
            assert nobody.request(method, path, json=body).status_code == 401
        for name in ("writer", "reader"):
            with tuned_server.client(keys[name]) as client:
                refused = client.request(method, path, json=body)
                assert (refused.status_code, refused.json()["error"]["code"]) == (403, "permission_denied")
    with tuned_server.client(keys["owner"]) as owner:
        assert owner.get(f"{JOBS}/{'0' * 32}").status_code == 404
        strange = {"origin": "http://elsewhere.example"}
        assert owner.post("/v1/tune/rollbacks", json={}, headers=strange).status_code == 403
        job = promoted(owner, "unknown")
        assert job["state"] == "failed" and "there is no tuned model unknown" in job["reason"]
        back = rolled_back(owner)
        assert back["reason"].startswith("nothing that was promoted is in force")
        assert [each["id"] for each in owner.get(JOBS).json()["data"]] == [back["id"], job["id"]]
        assert owner.post("/v1/tune/promotions", json={"name": "x", "gate": []}).status_code == 422
        assert promoted(owner, "../../../etc")["reason"].startswith(
            "'../../../etc' is no name of a tuned model"
        )


@pytest.mark.slow
def test_no_query_fails_and_none_is_answered_by_two_versions_while_eight_clients_ask(
    tuned_server: Served,
) -> None:
    """Scores tell which encoder asked which index: only what one version alone would give is ever seen."""
    numbers = range(8)
    with tuned_server.client() as owner:
        before = {number: asked(owner, number) for number in numbers}
        assert promoted(owner, "sharp")["outcome"] == "promoted"
        after = {number: asked(owner, number) for number in numbers}
        assert all(before[number] != after[number] for number in numbers)
        rolled_back(owner)
        assert {number: asked(owner, number) for number in numbers} == before
        stop, seen = threading.Event(), []

        def ask_on(own: int) -> int:
            count = 0
            with tuned_server.client() as client:
                while not stop.is_set():
                    number = (own + count) % len(numbers)
                    found = asked(client, number)
                    assert found in (before[number], after[number])
                    seen.append(found == after[number])
                    count += 1
            return count

        with ThreadPoolExecutor(CLIENTS) as pool:
            running = [pool.submit(ask_on, own) for own in range(CLIENTS)]
            try:
                for _ in range(3):
                    assert promoted(owner, "sharp", skip_outside=True)["outcome"] == "promoted"
                    time.sleep(0.3)
                    assert rolled_back(owner)["outcome"] == "rolled back"
                    time.sleep(0.3)
            finally:
                stop.set()
            counts = [each.result() for each in running]
        assert min(counts) > 10 and any(seen) and not all(seen)
        assert {number: asked(owner, number) for number in numbers} == before


@pytest.mark.slow
def test_one_promotion_at_a_time_and_what_is_refused_stays_with_its_report(tuned_server: Served) -> None:
    with tuned_server.client() as owner:
        first = owner.post("/v1/tune/promotions", json={"name": "poisoned"})
        second = owner.post("/v1/tune/rollbacks", json={})
        assert (second.status_code, second.json()["error"]["code"]) == (409, "promotion_running")
        job = ended(owner, first)
        assert (job["state"], job["outcome"], job["version"]) == ("done", "refused", "v1")
        assert job["sentences"][0].startswith("failed: nDCG@10 changed by -")
        folder = tuned_server.folder / "tuned" / "poisoned" / "promotion"
        assert json.loads((folder / "verdict.json").read_text())["passed"] is False


@pytest.mark.slow
def test_what_is_uploaded_and_deleted_during_a_promotion_is_so_after_it(
    tuned_server: Served, tmp_path: Path
) -> None:
    with tuned_server.client() as owner:
        gone = next(
            each["id"]
            for each in owner.get("/v1/documents").json()["data"]
            if each["source"] == f"docs/{DOCUMENTS - 1}.md"
        )
        started = owner.post("/v1/tune/promotions", json={"name": "sharp"})
        upload = owner.post("/v1/documents", files={"file": ("new.md", document(100).encode())})
        until = time.monotonic() + 60
        while (job := owner.get(f"/v1/documents/jobs/{upload.json()['id']}").json())["ended"] is None:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert job["state"] == "done", "an upload does not wait for a promotion"
        ended(owner, started)
        assert owner.delete(f"/v1/documents/{gone}").status_code == 200
        assert rolled_back(owner)["outcome"] == "rolled back"
    workspace = tuned_server.collections.get(None).workspace
    version, manifest = workspace.live()
    index = workspace.open_index(version, manifest)
    sources = {each.source for part in index.scan() for each in part}
    assert (version, manifest.parts, len(sources)) == ("v1", {}, DOCUMENTS)
    assert any("uploads" in source for source in sources) and f"docs/{DOCUMENTS - 1}.md" not in sources
    assert not list(examine(workspace.catalog, index, version))


@pytest.mark.slow
def test_a_server_that_ends_breaks_a_promotion_off_and_what_answered_answers_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = prepare(tmp_path)
    monkeypatch.setattr("ragwright.retrieval.encoder.load_encoder", Encoders())
    config = config_in(place, **{"tune.outside": place / "outside"})
    with serving(config) as running, running.client() as owner:
        before = asked(owner, 1)
        started = owner.post("/v1/tune/promotions", json={"name": "sharp"}).json()
        job = running.app.state.promotions.get(started["id"])
    assert job.ended is not None and "the server ended before this did" in job.reason
    with serving(config) as again, again.client() as owner:
        assert asked(owner, 1) == before
        assert again.collections.get(None).workspace.catalog.versions() == ["v1"]
        assert promoted(owner, "sharp")["outcome"] == "promoted"


@pytest.mark.slow
def test_the_command_lets_a_server_do_it_and_says_so_where_one_holds_the_workspace(
    tuned_server: Served, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = ("--workspace", str(tuned_server.folder))
    busy = run("tune", "promote", "sharp", *place)
    assert busy.exit_code == 1
    assert "let it do this: ragwright tune promote sharp --server URL" in busy.output
    key = tuned_server.key("owner", admin=True)
    refused = run("tune", "promote", "sharp", "--server", tuned_server.url, *place)
    assert refused.exit_code == 1 and "RAGWRIGHT_SERVER__API_KEY" in refused.output
    monkeypatch.setenv("RAGWRIGHT_SERVER__API_KEY", key)
    done = run("tune", "promote", "sharp", "--server", tuned_server.url, *place)
    assert done.exit_code == 0, done.output
    assert "promoted: sharp; index v2 answers now" in done.stdout
    bad = run("tune", "promote", "poisoned", "--server", f"{tuned_server.url}/v1", "--json", *place)
    assert bad.exit_code == 4 and json.loads(bad.stdout)["outcome"] == "refused"
    back = run("tune", "rollback", "--server", tuned_server.url, *place)
    assert back.exit_code == 0 and "rolled back: sharp; index v1 answers now" in back.stdout
    given = run("tune", "promote", "sharp", "--server", tuned_server.url, "--gate", "iou>0", *place)
    assert given.exit_code == 1 and "with --server its own settings count" in given.output


def test_an_address_that_is_no_server_is_told() -> None:
    with pytest.raises(ServiceError, match="does not answer as ragwright serve does"):
        RemoteServer("http://127.0.0.1:9").run("/v1/tune/rollbacks", {})
    with pytest.raises(InputError, match="is no address"):
        RemoteServer("file:///etc/passwd").run("/v1/tune/rollbacks", {})
