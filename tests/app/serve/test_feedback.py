"""Answers and citations can be rated by who sees them; ratings leave the server only for review (A-15)."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.app.serve.serving import Served, serving
from tests.app.serve.test_traces import ask
from typer.testing import CliRunner

from ragwright.app.cli import app
from ragwright.app.serve.feedback import REASONS
from ragwright.core.config import Config


@pytest.fixture(scope="module")
def server(new_config: Callable[[], Config]) -> Iterator[Served]:
    with serving(new_config()) as running:
        running.key("owner", admin=True)
        yield running


@pytest.fixture(scope="module")
def owner(server: Served) -> Iterator[httpx.Client]:
    with server.client(server.key("root", admin=True)) as client:
        yield client


@pytest.fixture(scope="module")
def reader(server: Served) -> Iterator[httpx.Client]:
    with server.client(server.key("reader")) as client:
        yield client


@pytest.fixture(scope="module")
def trace_id(reader: httpx.Client) -> str:
    return ask(reader)


def rate(client: httpx.Client, trace_id: str, /, **said: Any) -> httpx.Response:
    return client.post("/v1/feedback", json={"trace_id": trace_id, "rating": "down"} | said)


def test_an_answer_and_its_citation_are_rated(
    owner: httpx.Client, reader: httpx.Client, trace_id: str
) -> None:
    kept = rate(reader, trace_id, rating="up", extra={"page": 1})
    assert kept.status_code == 201
    assert (kept.json()["rating"], kept.json()["marker"]) == (1, None)
    assert re.fullmatch(r"reader#[0-9a-f]{16}", kept.json()["caller"])
    assert rate(reader, trace_id, rating=-1, marker=1, reasons=["wrong-place", "other"]).status_code == 201
    assert (
        rate(reader, trace_id, rating="down", reasons=["wrong"], text="It is the pilot.").status_code == 201
    )
    ratings = owner.get(f"/v1/traces/{trace_id}").json()["ratings"]
    assert [(each["marker"], each["rating"]) for each in ratings] == [(None, -1), (1, -1)]
    assert ratings[0]["text"] == "It is the pilot."
    summary = owner.get("/v1/traces", params={"rated": "down"}).json()["data"][0]
    assert (summary["id"], summary["up"], summary["down"]) == (trace_id, 0, 2)


def test_ratings_of_two_keys_stand_side_by_side(owner: httpx.Client, reader: httpx.Client) -> None:
    trace = ask(reader)
    rate(reader, trace, rating="up")
    rate(owner, trace, rating="down")
    assert len(owner.get(f"/v1/traces/{trace}").json()["ratings"]) == 2
    seen = reader.get(f"/v1/traces/{trace}").json()["ratings"]
    assert [each["caller"].partition("#")[0] for each in seen] == ["reader"], "others' words are not its own"


@pytest.mark.parametrize(
    "said",
    [
        {"rating": 0}, {"rating": "?"}, {"rating": True}, {"marker": 0}, {"marker": 99}, {"reasons": ["x"]},
        {"reasons": list(REASONS) * 2}, {"text": "x" * 4001}, {"text": 5}, {"extra": {"x": "y" * 20_000}},
        {"reviewed": True}, {"caller": "owner"}, {"trace_id": "x"}, {"trace_id": None},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_rating_is_refused(reader: httpx.Client, trace_id: str, said: dict[str, Any]) -> None:
    assert rate(reader, trace_id, **said).status_code == 422


def test_only_keys_that_see_everything_list_feedback(owner: httpx.Client, reader: httpx.Client) -> None:
    rate(reader, ask(reader), text="<script>alert(1)</script>")
    listed = owner.get("/v1/feedback", params={"limit": 1})
    assert listed.headers["content-type"] == "application/json"
    assert listed.json()["data"][0]["text"] == "<script>alert(1)</script>", "escaping is for who shows it"
    assert listed.json()["has_more"] is True
    assert reader.get("/v1/feedback").status_code == 403


def test_a_flood_of_ratings_meets_the_limit_of_the_key(server: Served, owner: httpx.Client) -> None:
    with server.client(server.key("flood", requests_per_minute=5)) as client:
        statuses = [rate(client, "f" * 32).status_code for _ in range(8)]
    assert statuses.count(429) >= 3


def test_rated_answers_are_exported_for_review(
    server: Served, reader: httpx.Client, trace_id: str, tmp_path: Path, folder: Path
) -> None:
    rate(reader, trace_id, reasons=["wrong"])
    out = tmp_path / "rated.jsonl"
    arguments = ["feedback", "export", "--workspace", str(server.folder)]
    done = CliRunner().invoke(app, [*arguments, "--out", str(out)])
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    row = next(each for each in rows if each["trace_id"] == trace_id)
    assert row["reviewed"] is False
    assert row["hits"][0]["span"]["start"] == 0
    assert row["ratings"][0]["reasons"] == ["wrong"]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    printed = CliRunner().invoke(app, arguments)
    assert [json.loads(line) for line in printed.stdout.splitlines()] == rows
    as_json = CliRunner().invoke(app, [*arguments, "--json"])
    assert json.loads(as_json.stdout)["rows"] == rows


def test_an_export_of_a_workspace_without_feedback_makes_nothing(tmp_path: Path, folder: Path) -> None:
    done = CliRunner().invoke(app, ["feedback", "export", "--workspace", str(tmp_path / "none")])
    assert (done.exit_code, done.stdout) == (0, "")
    assert not (tmp_path / "none").exists()
    out = tmp_path / "no" / "folder.jsonl"
    refused = CliRunner().invoke(app, ["feedback", "export", "--out", str(out)])
    assert refused.exit_code == 1
