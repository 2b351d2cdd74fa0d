"""The benchmark for a card runs, in small, on a machine without one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# What a bare CUDA machine does not have.
_ABSENT = (
    "openvino",
    "qdrant_client",
    "qdrant_edge",
    "pydantic_settings",
    "typer",
    "sqlalchemy",
    "unstructured",
)

_BARE = """
import runpy, sys

sys.modules.update(dict.fromkeys({absent}))
sys.path[:0] = [{bench!r}]
sys.path += {packages}
sys.argv = ["gpu.py", "--cpu"]
runpy.run_path({bench!r} + "/gpu.py", run_name="__main__")
"""


@pytest.mark.slow
def test_the_benchmark_for_a_card_runs_in_small_where_nothing_of_ours_is_installed() -> None:
    import torch

    packages = [str(Path(torch.__file__).parents[1])]
    code = _BARE.format(absent=_ABSENT, bench=str(ROOT / "bench"), packages=packages)
    result = ROOT / "bench" / "results" / "gpu.json"
    before = result.stat().st_mtime_ns if result.exists() else None
    # without the files that make this checkout importable
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, timeout=300, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert "as a cross-encoder: packed" in done.stdout
    assert "smallest cosine" in done.stdout
    assert "MISSED" not in done.stdout
    assert (result.stat().st_mtime_ns if result.exists() else None) == before
