"""A training whose process is killed again and again ends as if nothing had happened."""

from __future__ import annotations

import ast
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.finetune.training_worker import main

pytest.importorskip("accelerate")

ROOT = Path(__file__).parents[2]
_BEGUN_SECONDS = 60


def _started(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.finetune.training_worker", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def _wait_until_it_trains(folder: Path, before: int) -> None:
    """Until a row more than before stands in the curves."""
    deadline = time.monotonic() + _BEGUN_SECONDS
    curves = folder / "curves.jsonl"
    while time.monotonic() < deadline:
        if curves.is_file() and len(curves.read_text(encoding="utf-8").splitlines()) != before:
            return
        time.sleep(0.05)
    pytest.fail("the training did not begin")


@pytest.mark.slow
def test_a_training_killed_at_random_times_ends_with_the_weights_of_an_undisturbed_one(
    tmp_path: Path,
) -> None:
    wanted = main(tmp_path / "undisturbed", pause=0.0)
    draws, folder, kills = random.Random(3), tmp_path / "killed", 0
    while kills < 6:
        process = _started(folder)
        rows = len((folder / "curves.jsonl").read_text(encoding="utf-8").splitlines()) if kills else 0
        _wait_until_it_trains(folder, rows)
        time.sleep(draws.uniform(0.0, 1.0))
        if process.poll() is not None:
            break
        process.kill()
        process.communicate()
        kills += 1
    done = _started(folder).communicate()[0]
    assert kills >= 3
    assert ast.literal_eval(done) == wanted
