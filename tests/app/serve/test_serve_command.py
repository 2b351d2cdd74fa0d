"""`ragwright serve` as a process: what it says, how it holds its workspace, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.app.conftest import copy
from tests.app.serve.serving import add_key, serving
from tests.app.serve.slow import question
from typer.testing import Result

from ragwright.app.commands import serve
from ragwright.app.serve import running as ending
from ragwright.app.serve.opening import Named, named_workspaces
from ragwright.app.session import Options, open_session
from ragwright.core.config import Config, with_settings
from ragwright.core.errors import ConfigError

Run = Callable[..., Result]
ROOT = Path(__file__).parents[3]
CHAT = "/v1/chat/completions"
GRACE = 1.5
# The command itself, with a generator that writes without end.
SLOW_MAIN = """
from dataclasses import replace
from tests.app.serve.slow import SlowGenerator
import ragwright.app.generators as generators

made = generators.make_generators
generators.make_generators = lambda *given: replace(made(*given), by_name={"slow": SlowGenerator()})
from ragwright.app.cli import main
main()
"""


@contextmanager
def process(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    """The command as a process, once it takes requests, and a client of it."""
    command = [sys.executable, "-c", SLOW_MAIN, "serve", "--json", "--port", "0", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RAGWRIGHT_SERVER__GRACE_SECONDS": str(GRACE)}
    running = subprocess.Popen(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        told = ""
        while not told.endswith("}\n"):
            line = running.stdout.readline() if running.stdout else ""
            assert line, running.stderr.read() if running.stderr else ""
            told += line
        with httpx.Client(base_url=json.loads(told)["url"], timeout=20) as client:
            yield running, client
    finally:
        running.kill()
        running.communicate()


def error_code(answered: httpx.Response) -> tuple[int, str]:
    return answered.status_code, answered.json()["error"]["code"]


def test_being_told_to_end_the_server_drains(project: Path, run: Run) -> None:
    with process(project) as (running, client):
        assert client.get("/readyz").status_code == 200
        busy = run("ingest", "docs")
        assert busy.exit_code == 1 and "(ragwright serve, since" in busy.stderr
        with client.stream("POST", CHAT, json=question("Who keeps the canary?")) as answered:
            lines = answered.iter_lines()
            next(line for line in lines if "word" in line)
            running.send_signal(signal.SIGTERM)
            told = time.monotonic()
            with httpx.Client(base_url=client.base_url) as another:
                turned_away = another.post("/v1/retrieve", json={"query": "key"})
                while turned_away.status_code == 200:  # the signal is on its way
                    turned_away = another.post("/v1/retrieve", json={"query": "key"})
                assert error_code(turned_away) == (503, "shutting_down")
                assert "retry-after" in turned_away.headers
                assert another.get("/readyz").status_code == 503
                assert another.get("/healthz").status_code == 200
            last = [line for line in lines if line][-1]
        assert json.loads(last.removeprefix("data: "))["error"]["code"] == "shutting_down"
        assert GRACE * 0.8 < time.monotonic() - told < GRACE + 2
        assert running.wait(5) == 0
        assert time.monotonic() - told < GRACE + 4  # two, on a machine that does nothing else
        log = running.stderr.read() if running.stderr else ""
    assert " 200 POST /v1/chat/completions " in log and "caller=local" in log
    assert "canary" not in log and "Traceback" not in log


@pytest.mark.slow
def test_being_told_twice_the_server_ends_at_once(project: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        with process(project, "--set", "server.grace_seconds=60") as (running, client):
            with client.stream("POST", CHAT, json=question()) as answered:
                lines = answered.iter_lines()  # kept: without it the client would leave
                next(line for line in lines if "word" in line)
                running.send_signal(number)
                time.sleep(0.3)
                told = time.monotonic()
                running.send_signal(number)
                assert running.wait(5) == 0
            assert time.monotonic() - told < 2


def test_a_signal_after_the_end_is_no_interruption(small_config: Config) -> None:
    """What is left then is closing; a second signal must not end it with an error."""
    before = {each: signal.getsignal(each) for each in ending._SIGNALS}
    try:
        with serving(small_config) as served, ending.Watchdog() as watchdog:
            server = ending.Server(served.app, watchdog=watchdog)
            with server.capture_signals():
                assert signal.getsignal(signal.SIGTERM) == server.handle_exit
            assert {each: signal.getsignal(each) for each in ending._SIGNALS} == before
            with server.capture_signals():
                server.handle_exit(signal.SIGTERM, None)
            assert signal.getsignal(signal.SIGTERM) is ending.end_at_once
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@pytest.mark.slow
def test_an_idle_server_ends_soon_and_lets_go_of_its_workspace(project: Path, run: Run) -> None:
    with process(project) as (running, client):
        assert client.get("/healthz").status_code == 200
        running.send_signal(signal.SIGINT)
        told = time.monotonic()
        assert running.wait(5) == 0
        assert time.monotonic() - told < 2
    assert run("ingest", "docs").exit_code == 0


FORM = {"content-type": "multipart/form-data; boundary=b"}
FIELD = b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'


def peak(running: subprocess.Popen[str]) -> int:
    """Bytes of memory that a process has had at most."""
    lines = Path(f"/proc/{running.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1000 for line in lines if line.startswith("VmHWM"))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_bodies_of_300_megabytes_cost_no_memory(project: Path) -> None:
    """With and without a length, also as an upload; and other clients are answered meanwhile."""

    def body(start: bytes = b"") -> Iterator[bytes]:
        yield start
        for number in range(300):
            yield b"x" * 1_000_000
            if number % 50 == 0:
                with httpx.Client(base_url=client.base_url) as another:
                    assert another.get("/healthz").elapsed.total_seconds() < 1

    with process(project) as (running, client):
        for path in (CHAT, "/mcp", "/v1/documents"):  # loads what they need
            client.post(path, content=b"x", headers=FORM)
        assert client.post(CHAT, content=b"x" * 5_000_000).status_code == 413
        before = peak(running)
        for path in (CHAT, "/mcp"):
            assert error_code(client.post(path, content=body())) == (413, "request_too_large")
        upload = client.post("/v1/documents", content=body(FIELD), headers=FORM)
        assert error_code(upload) == (413, "request_too_large")
        for path in (CHAT, "/mcp", "/v1/documents"):
            with socket.create_connection((client.base_url.host, client.base_url.port or 80)) as connection:
                head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 300000000\r\n"
                connection.sendall(f"{head}content-type: {FORM['content-type']}\r\n\r\n".encode())
                assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")
        assert peak(running) - before < 8_000_000  # twice the limit of a body


@pytest.mark.slow
def test_an_empty_workspace_is_served(new_config: Callable[[], Config], tmp_path: Path) -> None:
    config = with_settings(new_config(), {"workspace": tmp_path / "empty"})
    with serving(config) as served, served.client() as client:
        assert client.get("/readyz").json() == {"status": "ready", "reasons": {}}
        answered = client.post(CHAT, json=question(stream=False)).json()
        assert "do not answer this" in answered["choices"][0]["message"]["content"]
        assert client.post("/v1/retrieve", json={"query": "key"}).json()["data"] == []
        sent = client.post("/v1/documents", files={"file": ("tide.txt", b"The tide turns at noon.\n")})
        assert sent.status_code == 202
        ends = time.monotonic() + 20
        while client.get(f"/v1/documents/jobs/{sent.json()['id']}").json()["state"] != "done":
            assert time.monotonic() < ends
            time.sleep(0.05)
        found = client.post("/v1/retrieve", json={"query": "When does the tide turn?"}).json()["data"]
        assert found[0]["text"] == "The tide turns at noon."


def test_several_workspaces_are_several_models(new_config: Callable[[], Config]) -> None:
    with serving(new_config(), Named("law", new_config())) as served, served.client() as client:
        assert [each["id"] for each in client.get("/v1/models").json()["data"]] == [
            "ragwright/documents",
            "ragwright/law",
        ]


def test_what_is_told_is_where_to_go_and_whether_a_key_is_needed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    with socket.create_server(("0.0.0.0", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        serve._teller(open_session(Options()), listening, needs_key=True, open_page=True)()
    told = capsys.readouterr()
    assert opened == [url]
    assert f"page      {url}\n" in told.out and f"base URL  {url}/v1 " in told.out
    assert "API key   needed" in told.out and "Ctrl-C" in told.err


# What is refused before anything is loaded


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1"])
def test_listening_to_other_machines_wants_a_key(run: Run, host: str) -> None:
    refused = run("serve", "--host", host)
    assert refused.exit_code == 1
    assert refused.stderr == (
        f"error: server.host is {host}, which other machines reach, but there is no API key; make one:"
        " ragwright keys add NAME\n"
    )


def test_an_address_that_cannot_be_had_is_told(run: Run, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = run("serve", "--port", str(port))
    assert refused.exit_code == 1 and f"127.0.0.1 port {port} cannot be listened at" in refused.stderr
    add_key(folder / ".ragwright", "web")
    foreign = run("serve", "--host", "192.0.2.1", "--port", "0")
    assert foreign.exit_code == 1 and "choose others with --host and --port" in foreign.stderr


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["law"], "wanted NAME=FOLDER"),
        (["=x"], "wanted NAME=FOLDER"),
        (["a b=x"], "wanted NAME=FOLDER"),
        (["documents=x"], "two collections are called documents"),
        (["law=.ragwright"], "shares its catalog"),
        (["law=x", "tax=./y/../x"], "shares its catalog"),
    ],
)
def test_a_collection_is_named_once_and_has_a_workspace_of_its_own(given: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        named_workspaces(open_session(Options()), given)


def test_a_workspace_is_served_with_the_settings_beside_it(folder: Path) -> None:
    (folder / "law").mkdir()
    (folder / "law" / "ragwright.toml").write_text('domain = "legal"\n')
    (folder / "main").mkdir()
    (folder / "main" / "ragwright.toml").write_text(
        '[server]\ncollections = ["law=../law/.ragwright"]\n[search]\nlimit = 7\n'
    )
    session = open_session(Options(config=folder / "main" / "ragwright.toml"))
    first, law, other = named_workspaces(session, ["other=x/.ragwright"])
    assert (first.name, first.config.domain, first.config.search.limit) == ("documents", "general", 7)
    assert (law.name, law.config.domain, law.config.search.limit) == ("law", "legal", 10)
    assert law.config.workspace.resolve() == folder / "law" / ".ragwright"
    assert other.config.search.limit == 7 and other.config.workspace == Path("x/.ragwright")


def test_a_workspace_that_another_process_holds_is_not_served(project: Path, run: Run) -> None:
    from ragwright.core.lock import workspace_lock

    copy(project / ".ragwright", project / "docs")
    with workspace_lock(project / ".ragwright", purpose="ragwright ingest"):
        refused = run("serve", "--port", "0")
    assert refused.exit_code == 1 and "(ragwright ingest, since" in refused.stderr
