"""Several devices behind one call; the processes end with their parent, and say so when they die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tests.retrieval.test_torch_model import save_small_model

from ragwright.core.errors import ModelError
from ragwright.retrieval.batches import ModelInput
from ragwright.retrieval.cards import CardsForward, _deal, _Piece
from ragwright.retrieval.forward import Compute, Forward
from ragwright.retrieval.model import ModelFolder
from ragwright.retrieval.torch_model import TorchForward


def _inputs(lengths: list[int]) -> list[ModelInput]:
    random = np.random.default_rng(1)
    return [
        ModelInput(random.integers(5, 50, length), np.array([[0, length], [0, 1]][: 1 + length % 2]))
        for length in lengths
    ]


def _run(forward: Forward, inputs: list[ModelInput]) -> list[np.ndarray]:
    received: dict[int, np.ndarray] = {}
    forward.run(inputs, lambda row, found: received.update({row: found.copy()}))
    assert sorted(received) == list(range(len(inputs)))
    return [received[row] for row in sorted(received)]


def test_inputs_are_dealt_by_tokens_each_once_and_in_neighbours() -> None:
    inputs = _inputs([200, 10, 30] * 100)
    dealt = _deal(inputs, 2)
    np.testing.assert_array_equal(np.concatenate(dealt), np.arange(300))
    tokens = [sum(len(inputs[row].ids) for row in rows) for rows in dealt]
    assert len(tokens) == 2
    assert max(tokens) - min(tokens) <= 400
    assert len(_deal(inputs[:5], 8)) == 1, "few tokens are not worth sharing"
    assert _deal([], 2) == []


def test_a_piece_carries_its_inputs_unchanged() -> None:
    inputs = _inputs([3, 8, 1])
    inputs[1] = ModelInput(inputs[1].ids, inputs[1].ranges, np.ones(8, np.int64), attended=5)
    rows = np.array([2, 1])
    for mine, row in zip(_Piece.of(inputs, rows).inputs(), rows, strict=True):
        np.testing.assert_array_equal(mine.ids, inputs[row].ids)
        np.testing.assert_array_equal(mine.ranges, inputs[row].ranges)
        assert mine.attended == inputs[row].attended
        types = inputs[row].types
        np.testing.assert_array_equal(mine.types, np.zeros(1) if types is None else types)


@pytest.fixture
def model(tmp_path: Path) -> ModelFolder:
    return save_small_model(tmp_path / "model", "Bert")


@pytest.fixture
def two(model: ModelFolder, tmp_path: Path) -> Iterator[CardsForward]:
    compute = Compute(cache=tmp_path, backend="torch", precision="fp32", threads=1)
    forward = CardsForward(model, compute, devices=("cpu", "cpu"))
    yield forward
    forward.close()


@pytest.mark.slow
def test_two_processes_give_what_one_gives_and_the_death_of_one_is_an_error(
    two: CardsForward, model: ModelFolder, tmp_path: Path
) -> None:
    inputs = _inputs([17, 40, 3, 60] * 150)
    one = TorchForward(model, Compute(cache=tmp_path, precision="fp32", threads=1), device="cpu")
    expected = _run(one, inputs)
    with ThreadPoolExecutor(3) as pool:
        for found in pool.map(lambda _: _run(two, inputs), range(3)):
            for mine, its in zip(found, expected, strict=True):
                np.testing.assert_array_equal(mine, its)
    pid = two._crew.processes[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(ModelError, match=r"the process that computes on cpu died \(exit code -9\)"):
        for _ in range(5):
            _run(two, inputs)
    two.close()
    assert not any(process.is_alive() for process in two._crew.processes)
    with pytest.raises(ModelError):
        _run(two, inputs[:1])


_PARENT = """
import sys, time
from pathlib import Path
from ragwright.retrieval.cards import CardsForward
from ragwright.retrieval.forward import Compute
from ragwright.retrieval.model import open_model

if __name__ == "__main__":
    compute = Compute(cache=Path(sys.argv[1]))
    forward = CardsForward(open_model(sys.argv[1] + "/model"), compute, devices=("cpu", "cpu"))
    print(*(process.pid for process in forward._crew.processes), flush=True)
    if sys.argv[2] == "wait":
        time.sleep(60)
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["ends", "wait"])
def test_no_process_outlives_its_parent(model: ModelFolder, tmp_path: Path, how: str) -> None:
    script = tmp_path / "parent.py"
    script.write_text(_PARENT)
    with subprocess.Popen(
        [sys.executable, str(script), str(tmp_path), how], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        children = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(children) == 2
        if how == "wait":
            parent.kill()
        parent.wait(timeout=60)
    deadline = time.monotonic() + 60
    while any(_is_running(pid) for pid in children):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"
