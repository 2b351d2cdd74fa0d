"""Every answer leaves a trace, shown in full to those who see everything, and in part to who asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest
from tests.app.serve.serving import Served, serving

from ragwright.core.config import Config, with_settings

QUESTION = "Who keeps the key of the tide gate?"


@pytest.fixture(scope="module")
def server(new_config: Callable[[], Config]) -> Iterator[Served]:
    with serving(new_config()) as running:
        running.key("owner", admin=True)
        yield running


@pytest.fixture(scope="module")
def clients(server: Served) -> Iterator[dict[str, httpx.Client]]:
    keys = {
        "owner": server.key("root", admin=True),
        "reader": server.key("reader"),
        "other": server.key("other"),
        "foreign": server.key("foreign", tenant="elsewhere"),
    }
    opened = {name: server.client(key) for name, key in keys.items()}
    yield opened
    for each in opened.values():
        each.close()


def ask(client: httpx.Client, question: str = QUESTION) -> str:
    """Ask, and give the trace's id."""
    answer = client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": question}]})
    assert answer.status_code == 200, answer.text
    newest: str = client.get("/v1/traces", params={"limit": 1}).json()["data"][0]["id"]
    return newest


def test_a_trace_says_how_an_answer_came_about(clients: dict[str, httpx.Client]) -> None:
    trace = clients["owner"].get(f"/v1/traces/{ask(clients['owner'])}").json()
    assert trace["ask"]["question"] == trace["query"] == QUESTION
    assert trace["hits"][0]["source"] == "docs/harbour.md"
    assert trace["hits"][0]["scores"]
    assert trace["answer"]["citations"][0]["state"] == "exact"
    assert {"encode", "search", "answer", "all"} <= trace["seconds"].keys()
    assert trace["error"] is None


def test_who_asked_sees_the_trace_without_prompt_and_scores(clients: dict[str, httpx.Client]) -> None:
    trace_id = ask(clients["reader"])
    trace = clients["reader"].get(f"/v1/traces/{trace_id}").json()
    assert "harbour master" in trace["hits"][0]["text"]
    assert "prompt" not in trace
    assert "score" not in str(trace["hits"])
    assert "support" not in trace["answer"]
    assert clients["owner"].get(f"/v1/traces/{trace_id}").status_code == 200


def test_nobody_else_learns_of_a_trace(clients: dict[str, httpx.Client]) -> None:
    trace_id = ask(clients["reader"])
    for name in ("other", "foreign"):
        theirs = clients[name].get(f"/v1/traces/{trace_id}")
        nobodys = clients[name].get(f"/v1/traces/{'f' * 32}")
        assert theirs.status_code == nobodys.status_code == 404
        assert theirs.json() == nobodys.json()
        assert clients[name].get("/v1/traces").json()["data"] == []
        assert clients[name].get("/v1/traces", params={"before": trace_id}).json()["data"] == []
        said = {"trace_id": trace_id, "rating": 1}
        assert clients[name].post("/v1/feedback", json=said).status_code == 404


def test_the_id_of_somebody_elses_trace_bounds_a_list_as_an_unknown_one_does(
    server: Served, clients: dict[str, httpx.Client]
) -> None:
    with server.client(server.key("earlier", tenant="elsewhere")) as client:
        own = ask(client)
        theirs = ask(clients["reader"])
        lists = [client.get("/v1/traces", params={"before": each}).json() for each in (theirs, "f" * 32)]
        assert lists[0] == lists[1] == {"object": "list", "data": [], "has_more": False}
        assert client.get("/v1/traces").json()["data"][0]["id"] == own


@pytest.mark.slow  # a server of its own; `test_observations` has the quick part
def test_a_key_is_told_that_an_answer_failed_and_only_the_owner_how(
    new_config: Callable[[], Config],
) -> None:
    """The address of the model behind the server is nobody else's business."""
    model = {"kind": "openai", "url": "http://127.0.0.1:9/v1", "model": "m", "retries": 0}
    config = with_settings(new_config(), {f"generator.{name}": each for name, each in model.items()})
    with serving(config) as running:
        owner, reader = running.key("owner", admin=True), running.key("reader")
        with running.client(owner) as root, running.client(reader) as client:
            asked = {"messages": [{"role": "user", "content": QUESTION}]}
            assert client.post("/v1/chat/completions", json=asked).status_code == 502
            (summary,) = client.get("/v1/traces").json()["data"]
            trace = f"/v1/traces/{summary['id']}"
            assert summary["error"] == client.get(trace).json()["error"] == "failed"
            assert "127.0.0.1:9" not in client.get(trace).text
            for told in (root.get(trace).json(), root.get("/v1/traces").json()["data"][0]):
                assert "127.0.0.1:9" in told["error"]


def test_traces_are_listed_and_narrowed(clients: dict[str, httpx.Client]) -> None:
    refused = ask(clients["owner"], "Quantum chromodynamics of neutron stars?")
    answered = ask(clients["owner"])
    listed = clients["owner"].get("/v1/traces", params={"limit": 2}).json()
    assert [each["id"] for each in listed["data"]] == [answered, refused]
    assert listed["has_more"] is True
    first = clients["owner"].get("/v1/traces", params={"refused": True, "limit": 1}).json()["data"][0]
    assert (first["id"], first["refused"]) == (refused, True)
    older = clients["owner"].get("/v1/traces", params={"before": answered, "limit": 1}).json()
    assert older["data"][0]["id"] == refused


@pytest.mark.parametrize(
    "asked", [{"limit": 0}, {"limit": 501}, {"before": "x"}, {"rated": "x"}, {"refused": "x"}]
)
def test_what_cannot_be_listed_is_refused(clients: dict[str, httpx.Client], asked: dict[str, str]) -> None:
    assert clients["owner"].get("/v1/traces", params=asked).status_code == 422


@pytest.mark.parametrize("trace_id", ["x", "../../etc", "%00", "💥", "f" * 32, "f" * 4000])
def test_a_trace_that_is_not_there_is_not_found(clients: dict[str, httpx.Client], trace_id: str) -> None:
    assert clients["owner"].get(f"/v1/traces/{trace_id}").status_code == 404
