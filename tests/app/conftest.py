"""A clean folder and environment for every test, two ways to run the command line, and ingested documents."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from ragwright.app.cli import app
from ragwright.retrieval.encoder import TransformerEncoder, load_encoder
from ragwright.retrieval.forward import Compute

MAIN = "from ragwright.app.cli import main; main()"
DOCUMENTS = {
    "harbour.md": "# Harbour\n\nThe harbour master keeps the key of the tide gate.\n",
    "mail/ferry.txt": "The ferry leaves at seven and returns at nine.\n",
    "mail/crane.txt": "The crane on the east quay lifts forty tons.\n",
}
DEMO = Path(__file__).parents[2] / "demo" / "documents"


@pytest.fixture(scope="session", autouse=True)
def _the_command_line_is_made_once() -> Iterator[None]:
    """Typer would make it anew for every command that a test runs, which takes as long as the command."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.testing._get_command", cache(get_command))
        yield


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, with no setting in the environment."""
    for name in [name for name in os.environ if name.startswith("RAGWRIGHT_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run() -> Callable[..., Result]:
    """Run a command in this process: `run("config", "show")`."""

    def run_here(*arguments: str, **environment: str) -> Result:
        return CliRunner(env=environment).invoke(app, arguments)

    return run_here


@pytest.fixture
def run_process() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command as a user does, in a process of its own."""

    def run_apart(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", MAIN, *arguments]
        return subprocess.run(
            command, text=True, check=False, timeout=30, **({"capture_output": True} | options)
        )

    return run_apart


def encoder_settings(model_cache: Path) -> dict[str, str]:
    """Variables of the encoder: one thread, since the tests themselves run side by side."""
    return {"RAGWRIGHT_ENCODER__CACHE": str(model_cache), "RAGWRIGHT_ENCODER__THREADS": "1"}


@cache
def loaded_once(
    model: str, compute: Compute, *, dimension: int | None = None, task: str | None = None
) -> TransformerEncoder:
    """The real encoder, which commands in this process would otherwise load again and again."""
    return load_encoder(model, compute, dimension=dimension, task=task)


@pytest.fixture
def encoder(folder: Path, model_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The converted model is taken from the cache of this test run."""
    for name, value in encoder_settings(model_cache).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("ragwright.retrieval.encoder.load_encoder", loaded_once)
    return model_cache


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, model_cache: Path) -> Path:
    """A project folder whose `documents` are those of the demo, ingested; for reading only."""
    project = tmp_path_factory.mktemp("demo")
    shutil.copytree(DEMO, project / "documents")
    arguments = ["ingest", str(project / "documents"), "--workspace", str(project / ".ragwright")]
    done = CliRunner(env=encoder_settings(model_cache)).invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return project


@pytest.fixture
def in_demo(demo: Path, encoder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder is the demo's project folder."""
    monkeypatch.chdir(demo)
    return demo


@pytest.fixture(scope="session")
def ingested(tmp_path_factory: pytest.TempPathFactory, model_cache: Path) -> Path:
    """A project folder with three documents that are ingested, to be copied."""
    project = tmp_path_factory.mktemp("ingested")
    for name, text in DOCUMENTS.items():
        path = project / "docs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    arguments = ["ingest", str(project / "docs"), "--workspace", str(project / ".ragwright")]
    done = CliRunner(env=encoder_settings(model_cache)).invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return project


@pytest.fixture
def project(folder: Path, ingested: Path, encoder: Path) -> Path:
    """The current folder, with three documents that are ingested: `docs` and `.ragwright`."""
    copy(ingested / "docs", folder)
    copy(ingested / ".ragwright", folder)
    return folder


def copy(source: Path, folder: Path) -> None:
    """Copy a folder into another one; unlike shutil, cp leaves out what the engine only reserves."""
    subprocess.run(["cp", "-R", str(source), str(folder)], check=True)
