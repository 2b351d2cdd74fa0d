"""The converted model's cache: made once, whole or not at all, and mended when damaged."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from ragwright.retrieval.batches import Batch, make_batches
from ragwright.retrieval.encoder import TransformerEncoder
from ragwright.retrieval.model import DEFAULT_MODEL, open_model
from ragwright.retrieval.openvino_model import OpenVinoForward

MODEL = open_model(DEFAULT_MODEL)
BATCHES = make_batches([np.full(length, 2_000, np.int64) for length in (3, 9, 30, 31)], budget=32)


@pytest.fixture
def cache(tmp_path: Path, model_cache: Path, encoder: TransformerEncoder) -> Path:
    """A copy of the session's cache with the default model converted."""
    (converted,) = model_cache.glob(f"{encoder.fingerprint}-openvino-*")
    shutil.copytree(converted, tmp_path / "cache" / converted.name)
    return tmp_path / "cache"


def _forward(cache: Path) -> OpenVinoForward:
    return OpenVinoForward(MODEL, cache=cache, precision="fp32", threads=1)


def _states(forward: OpenVinoForward, batches: list[Batch]) -> dict[int, np.ndarray]:
    received = {}

    def receive(batch: Batch, states: np.ndarray) -> None:
        received[int(batch.rows[0])] = states.copy()

    forward.run(batches, receive)
    return received


def test_every_batch_is_received_once_whether_alone_or_among_others(cache: Path) -> None:
    forward = _forward(cache)
    together = _states(forward, BATCHES)
    assert len(together) == len(BATCHES)
    for batch in BATCHES:
        ((row, states),) = _states(forward, [batch]).items()
        assert states.shape == (*batch.ids.shape, MODEL.dimension)
        np.testing.assert_allclose(states, together[row], atol=1e-5)
    assert _states(forward, []) == {}


@pytest.mark.parametrize("count", [1, 2])
def test_an_error_of_the_receiver_reaches_the_caller_and_the_model_can_go_on(cache: Path, count: int) -> None:
    forward = _forward(cache)

    def receive(batch: Batch, states: np.ndarray) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        forward.run(BATCHES[:count], receive)
    assert len(_states(forward, BATCHES)) == len(BATCHES)


def test_a_converted_model_is_not_converted_again(cache: Path) -> None:
    (model,) = cache.rglob("model.xml")
    before = model.stat().st_mtime_ns
    _forward(cache)
    assert model.stat().st_mtime_ns == before
    assert [path.name for path in cache.iterdir()] == [model.parent.name], "no scratch folder is left"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("pattern", ["model.xml", "model.bin", "*.blob"])
@pytest.mark.parametrize("keep", [0, 1_000])
def test_a_damaged_conversion_is_made_again(cache: Path, pattern: str, keep: int) -> None:
    expected = _states(_forward(cache), BATCHES)
    for damaged in cache.rglob(pattern):
        damaged.write_bytes(damaged.read_bytes()[:keep])
    for row, states in _states(_forward(cache), BATCHES).items():
        np.testing.assert_allclose(states, expected[row], atol=1e-4)
