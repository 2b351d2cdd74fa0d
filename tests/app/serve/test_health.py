"""Whether the server lives and is ready: what is told to anyone, and what to the owner."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest
from tests.app.serve.serving import Served, serving

from ragwright.app.serve.health import ReadinessCheck
from ragwright.app.serve.opening import Named, opened, warm_up
from ragwright.app.workspace import Workspace
from ragwright.core.config import Config, with_settings
from ragwright.core.errors import IndexDamaged, ModelError, RagwrightError, ServiceError
from ragwright.core.lock import workspace_lock


@pytest.fixture
def fresh(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readiness is looked at anew for every question."""
    monkeypatch.setattr("ragwright.app.serve.health._FRESH_SECONDS", 0.0)
    served.app.state.readiness = ReadinessCheck(served.collections, served.app.state.limits.draining)


def test_a_server_that_can_be_asked_is_ready(served: Served) -> None:
    with served.client() as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        assert client.get("/readyz").json() == {"status": "ready", "reasons": {}}


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(
    ("error", "words"),
    [
        (IndexDamaged("index v1 in /srv/secret was made with 9.9"), "its index is damaged"),
        (ServiceError("http://secret:6333 does not answer"), "a service behind it does not answer"),
        (ModelError("no such file /srv/secret"), "its model cannot be used"),
        (RagwrightError("secret"), "it cannot be used"),
    ],
)
def test_a_collection_that_cannot_be_searched_is_not_ready(
    served: Served, monkeypatch: pytest.MonkeyPatch, error: RagwrightError, words: str
) -> None:
    def broken(*given: object) -> None:
        raise error

    with served.client() as client:
        with monkeypatch.context() as patch:
            patch.setattr(Workspace, "open_index", broken)
            owner = client.get("/readyz")  # without keys, this machine's user is the owner
            assert (owner.status_code, owner.json()["reasons"]) == (503, {"documents": str(error)})
            anyone = client.get("/readyz", headers={"x-forwarded-for": "10.0.0.9"})
            assert anyone.status_code == 503 and words in anyone.text
            assert "secret" not in anyone.text and "9.9" not in anyone.text
            assert client.get("/healthz").status_code == 200
            assert 'ragwright_ready{collection="documents"} 0.0' in client.get("/metrics").text
        assert client.get("/readyz").status_code == 200  # it comes back without a restart


@pytest.mark.usefixtures("fresh")
def test_an_index_that_is_gone_is_told_and_answers_no_question(new_config: Callable[[], Config]) -> None:
    config = new_config()
    shutil.rmtree(config.workspace / "indexes")
    with serving(config) as served, served.client() as client:
        told = client.get("/readyz").json()
        assert told["status"] == "not ready" and "ragwright ingest --rebuild" in told["reasons"]["documents"]
        asked = client.post("/v1/retrieve", json={"query": "key"})
        assert asked.status_code == 503 and str(config.workspace) not in asked.text


def test_readiness_is_found_out_once_for_all_who_ask_at_that_time(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    def counting(*given: object) -> None:
        nonlocal looks
        looks += 1

    monkeypatch.setattr(Workspace, "existing_live", counting)
    served.app.state.readiness = ReadinessCheck(served.collections, served.app.state.limits.draining)
    with served.client() as client:
        assert {client.get("/readyz").status_code for _ in range(20)} == {200}
    assert looks == 1


def test_what_is_public_says_nothing_of_versions_and_places(new_config: Callable[[], Config]) -> None:
    with serving(new_config()) as served:
        served.key("web")
        with served.client() as client:
            told = client.get("/healthz").text + client.get("/readyz").text
        assert str(served.folder) not in told and "0.1" not in told


@pytest.mark.usefixtures("fresh")
# qdrant-client warns, in a thread of its own, that it cannot ask the server for its version.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.slow
def test_a_store_that_is_down_holds_nobody_up(new_config: Callable[[], Config]) -> None:
    """The server starts without its Qdrant server, says so, and keeps nobody else from the workspace."""
    config = with_settings(new_config(), {"index.url": "http://127.0.0.1:9", "index.timeout_seconds": 2.0})
    with opened([Named("documents", config)]) as collections:
        (problem,) = warm_up(collections)
        assert problem.startswith("collection documents: the Qdrant server did not")
        with workspace_lock(config.workspace, purpose="ragwright ingest"):
            pass
    with serving(config) as served, served.client() as client:
        assert client.get("/readyz").status_code == 503
        asked = client.post("/v1/retrieve", json={"query": "Who keeps the key?"})
        assert asked.status_code == 503 and asked.elapsed.total_seconds() < 2
        assert asked.json()["error"]["code"] == "unavailable" and asked.headers["retry-after"]
        assert "Qdrant" not in asked.text
