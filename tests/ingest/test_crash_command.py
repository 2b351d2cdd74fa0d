"""The command itself, with the default model and real parsing children, killed at random moments (R-01)."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.ingest.workbench import write_files

COMMAND = [sys.executable, "-c", "from ragwright.app.cli import main; main()"]
QUERIES = ["river bank", "winter engine", "copper signal", "garden harbour", "mirror planet"]

pytestmark = pytest.mark.slow


def _run(folder: Path, cache: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "RAGWRIGHT_ENCODER__CACHE": str(cache)}
    return subprocess.run(
        [*COMMAND, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def _kill_ingest(folder: Path, cache: Path, seconds: float) -> None:
    environment = {**os.environ, "RAGWRIGHT_ENCODER__CACHE": str(cache)}
    process = subprocess.Popen(
        [*COMMAND, "ingest", "."], cwd=folder, env=environment, stderr=subprocess.DEVNULL
    )
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()


def _answers(folder: Path, cache: Path) -> list[Any]:
    """Everything a user is shown for some queries: chunks, scores, evidence."""
    answers = []
    for query in QUERIES:
        ended = _run(folder, cache, "search", query, "--json")
        assert ended.returncode == 0, ended.stderr
        answers.append(json.loads(ended.stdout)["hits"])
    return answers


def test_after_kill_9_the_command_ends_as_an_undisturbed_one(project: Path, model_cache: Path) -> None:
    clean = project / "clean"
    write_files(clean, 60)
    started = time.perf_counter()
    assert _run(clean, model_cache, "ingest", ".").returncode == 0
    whole = time.perf_counter() - started
    expected = _answers(clean, model_cache)
    chance = random.Random(2)
    for turn in range(20):
        folder = project / f"killed{turn}"
        write_files(folder, 60)
        _kill_ingest(folder, model_cache, chance.uniform(0.2, whole))
        ended = _run(folder, model_cache, "ingest", ".")
        assert ended.returncode == 0, ended.stderr
        assert "60 documents" in _run(folder, model_cache, "doctor").stdout
        assert _answers(folder, model_cache) == expected, f"turn {turn}"
