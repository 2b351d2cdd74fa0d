"""The compose file and the Dockerfile: what can be held without an engine.

Where a compose client is installed, it reads the file as well; nothing is started.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from ragwright.core.config import load_config

ROOT = Path(__file__).resolve().parents[2]
SECRETS = {
    "RAGWRIGHT_API_KEY": "0123456789abcdef0123456789abcdef",
    "POSTGRES_PASSWORD": "secret",
    "QDRANT_API_KEY": "secret",
    "VLLM_API_KEY": "secret",
}
_VARIABLE = re.compile(r"\$\{(\w+)(?::[-?]([^}]*))?\}")


def _filled(text: str) -> str:
    """As compose fills it in, with the secrets set and everything else left to its default."""
    return _VARIABLE.sub(lambda found: SECRETS.get(found[1], found[2] or ""), text)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The compose file with its variables filled in."""
    read: dict[str, Any] = yaml.safe_load(_filled((ROOT / "docker-compose.yml").read_text(encoding="utf-8")))
    return read


@pytest.fixture(scope="module")
def dockerfile() -> str:
    """The Dockerfile, continued lines joined."""
    return (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")


def test_each_profile_starts_what_it_promises(compose: dict[str, Any]) -> None:
    services = compose["services"]
    by_profile = {
        profile: {name for name, each in services.items() if profile in each["profiles"]}
        for profile in ("default", "server", "gpu")
    }
    assert by_profile == {
        "default": {"app"},
        "server": {"app-server", "qdrant", "postgres"},
        "gpu": {"app-gpu", "qdrant", "postgres", "vllm"},
    }
    for name, each in services.items():
        for needed in each.get("depends_on", {}):
            assert set(each["profiles"]) <= set(services[needed]["profiles"]), (name, needed)


def test_every_image_is_pinned_and_every_service_bounded(compose: dict[str, Any]) -> None:
    for name, each in compose["services"].items():
        assert re.search(r":v?\d+(\.\d+)+|^ragwright:(cpu|cuda)$", each["image"]), name
        assert re.fullmatch(r"\d+g", each["mem_limit"]), name
        assert "no-new-privileges:true" in each["security_opt"], name
        assert "healthcheck" in each or each["image"].startswith("ragwright:"), name


def test_only_the_application_is_published_and_only_on_this_machine(compose: dict[str, Any]) -> None:
    for name, each in compose["services"].items():
        if name.startswith("app"):
            assert each["ports"] == ["127.0.0.1:8080:8080"]
            assert each["read_only"] and each["cap_drop"] == ["ALL"]
        else:
            assert "ports" not in each, name
            assert each["networks"] == ["storage"], name
    assert compose["networks"]["storage"]["internal"] is True


@pytest.mark.parametrize("service", ["app", "app-server", "app-gpu"])
def test_every_variable_of_the_application_is_a_setting_that_is_understood(
    compose: dict[str, Any], dockerfile: str, service: str
) -> None:
    image = dict(re.findall(r"(RAGWRIGHT_\w+)=(\S+)", dockerfile))
    environment = {**image, **compose["services"][service]["environment"]}
    loaded = load_config(flags={}, file=None, environ=environment)
    assert loaded.config.server.host == "0.0.0.0"
    assert (loaded.config.index.url is None) == (service == "app")


def test_an_application_without_a_key_is_not_started() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    assert "${RAGWRIGHT_API_KEY:?" in text


def test_volumes_and_networks_are_declared(compose: dict[str, Any]) -> None:
    for name, each in compose["services"].items():
        named = {volume.split(":")[0] for volume in each.get("volumes", []) if volume[0] not in "./"}
        assert named <= set(compose["volumes"]), name
        assert set(each.get("networks", ["default"])) <= set(compose["networks"]), name


def test_the_image_runs_without_root_and_holds_every_part(dockerfile: str) -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    roots = {
        each.split("/")[0] for each in packages["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    }
    copied = set(re.findall(r"^COPY (\w+) \1$", dockerfile, re.MULTILINE))
    assert copied == roots
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8")
    assert all(f"!{root}\n" in ignored for root in roots)
    stages = re.split(r"^FROM ", dockerfile, flags=re.MULTILINE)
    assert {"cpu", "cuda"} <= {stage.split("\n")[0].split(" AS ")[-1] for stage in stages}
    assert re.search(r"^USER 10001:10001$", dockerfile, re.MULTILINE)
    extras = set(re.findall(r"^ARG EXTRAS=(\S+)", dockerfile, re.MULTILINE)[0].split(","))
    assert extras <= set(packages["project"]["optional-dependencies"])


class _Ready(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/readyz" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base names it
        """Write nothing."""


@pytest.fixture
def qdrant_port() -> Iterator[int]:
    """Where something answers as Qdrant's readiness does."""
    server = HTTPServer(("127.0.0.1", 0), _Ready)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash on this machine")
def test_the_health_command_of_the_index_tells_ready_from_not(
    compose: dict[str, Any], qdrant_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, *command = compose["services"]["qdrant"]["healthcheck"]["test"]

    def healthy(port: int) -> bool:
        line = [part.replace("/6333", f"/{port}") for part in command]
        return subprocess.run(line, capture_output=True, timeout=10).returncode == 0

    assert healthy(qdrant_port)
    monkeypatch.setattr(_Ready, "status", 503)
    assert not healthy(qdrant_port)
    assert not healthy(1)


def _client() -> list[str] | None:
    if (
        shutil.which("docker")
        and not subprocess.run(["docker", "compose", "version"], capture_output=True).returncode
    ):
        return ["docker", "compose"]
    return ["docker-compose"] if shutil.which("docker-compose") else None


@pytest.mark.parametrize("profile", ["default", "server", "gpu"])
def test_a_compose_client_reads_the_file(profile: str) -> None:
    client = _client()
    if client is None:
        pytest.skip("no compose client on this machine: the file is only held to its rules")
    line = [*client, "--profile", profile, "config", "--quiet"]
    done = subprocess.run(
        line, cwd=ROOT, env={"PATH": "/usr/bin:/bin", **SECRETS}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
