"""No secret leaves the server: whatever goes wrong, and wherever one looks."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from tests.app.serve.serving import Served, serving
from tests.app.serve.slow import question
from typer.testing import Result

from ragwright.app.serve.logs import start_log, stop_log
from ragwright.core.config import Config, with_settings

CANARY = "canary-4f1d2c7e9b8a6053"
SECRETS = {
    "server.api_key": f"{CANARY}-api-key-of-the-server",
    "server.user_secret": f"{CANARY}-secret-of-the-user-header",
    "generator.api_key": f"{CANARY}-key-of-the-endpoint",
    "index.api_key": f"{CANARY}-key-of-the-index",
    "judge.api_key": f"{CANARY}-key-of-the-judge",
}
ENDPOINT = {
    "generator.kind": "openai",
    "generator.url": "http://127.0.0.1:9/v1",  # nobody listens there
    "generator.model": "absent",
    "generator.retries": 0,
}
CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def guarded(new_config: Callable[[], Config]) -> Iterator[Served]:
    """A server with a secret in every place that may hold one, and a generator that fails."""
    secrets = {key: SecretStr(value) for key, value in SECRETS.items()}
    with serving(with_settings(new_config(), {**secrets, **ENDPOINT}), log_questions=True) as running:
        yield running


def test_no_answer_log_trace_or_file_holds_a_secret(guarded: Served) -> None:
    made = guarded.key("web", tenant="acme")
    log = io.StringIO()
    handler = start_log(log, form="text", quiet=False)
    try:
        told = list(answers(guarded, made))
    finally:
        stop_log(handler)
    statuses = {status for status, _ in told}
    assert {200, 400, 401, 404, 405, 422, 502, 503} <= statuses, statuses
    everything = "".join(text for _, text in told) + log.getvalue()
    written = b"".join(path.read_bytes() for path in guarded.folder.rglob("*") if path.is_file())
    for secret in (CANARY, made, made.removeprefix("rw-")):
        assert secret not in everything
        assert secret.encode() not in written


def answers(served: Served, made: str) -> Iterator[tuple[int, str]]:
    """What is told on every way that goes wrong, and on some that go right."""
    admin = SECRETS["server.api_key"]
    with served.client() as client:
        for header in ("authorization", "x-api-key", "x-openwebui-user-jwt", "cookie", "x-request-id"):
            yield answer(client.get("/v1/models", headers={header: f"Bearer {admin}x"}))
        yield answer(client.get("/v1/models", headers={"x-api-key": made, "x-openwebui-user-jwt": admin}))
        yield answer(client.get("/v1/models", params={"key": made, "api_key": admin}))
        yield answer(client.get("/readyz"))
    with served.client(admin) as client:
        yield answer(client.post(CHAT, json=question("Who keeps the key of the tide gate?", stream=False)))
        yield answer(client.post(CHAT, json=question("Who keeps the key of the tide gate?")))
        yield answer(client.post(CHAT, content=b"{", headers={"content-type": "application/json"}))
        yield answer(client.post(CHAT, json={"messages": 1}))
        yield answer(client.post("/v1/retrieve", json={"query": "..."}))
        yield answer(client.delete("/v1/models"))
        for path in ("/nothing", "/v1/models", "/v1/traces", "/metrics", "/openapi.json", "/readyz"):
            yield answer(client.get(path))
        served.app.state.limits.draining.begin()
        yield answer(client.get("/v1/models"))


def answer(response: httpx.Response) -> tuple[int, str]:

    return response.status_code, f"{dict(response.headers)}\n{response.text}"


def test_no_command_tells_a_secret(run: Callable[..., Result], folder: Path) -> None:
    environment = {f"RAGWRIGHT_{key.replace('.', '__').upper()}": value for key, value in SECRETS.items()}
    commands = (
        ("config", "show", "--origin"),
        ("config", "show", "--json"),
        ("doctor",),
        ("status",),
        ("keys", "list"),
        ("ask", "Who?"),
        ("serve", "--host", "0.0.0.0", "--collection", "x"),
        ("serve", "--set", "server.queue=x"),
    )
    for command in commands:
        told = run(*command, **environment)
        assert CANARY not in told.output, command
    short = run("serve", RAGWRIGHT_SERVER__API_KEY="canary-4f1d")
    assert short.exit_code == 1 and "canary" not in short.output
