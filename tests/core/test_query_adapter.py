"""A query adapter's files give back what was written, and refuse whatever does not fit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from ragwright.core.errors import ModelError
from ragwright.core.query_adapter import (
    SETTINGS,
    WEIGHTS,
    QueryAdapter,
    read_query_adapter,
    write_query_adapter,
)
from ragwright.core.types import Vectors

DIMENSION = 6


def made(seed: int = 0, scale: float = 0.3) -> QueryAdapter:
    random = np.random.default_rng(seed)
    residual = (scale * random.normal(size=(DIMENSION, DIMENSION))).astype(np.float32)
    bias = (scale * random.normal(size=DIMENSION)).astype(np.float32)
    return QueryAdapter("some-model", "abc", residual, bias)


def units(seed: int, count: int) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


@given(st.integers(0, 99), st.integers(1, 5), st.floats(0, 3))
def test_moved_vectors_are_of_unit_length_and_the_given_ones_stay(
    seed: int, count: int, scale: float
) -> None:
    vectors = units(seed, count)
    before = vectors.copy()
    moved = made(seed, scale).moved(vectors)
    np.testing.assert_array_equal(vectors, before)
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), 1.0, atol=1e-5)
    assert moved.dtype == np.float32


def test_zeros_move_nothing_and_a_vector_that_would_vanish_stays() -> None:
    vectors = units(1, 3)
    still = made(scale=0.0)
    np.testing.assert_allclose(still.moved(vectors), vectors, atol=1e-7)
    gone = replace(still, residual=-np.eye(DIMENSION, dtype=np.float32))
    np.testing.assert_array_equal(gone.moved(vectors), vectors)


def test_what_is_written_is_read_back_from_its_folder_and_from_the_tuned_models(tmp_path: Path) -> None:
    adapter = made()
    write_query_adapter(tmp_path / "tuned" / "model", adapter)
    for folder in (tmp_path / "tuned" / "model", tmp_path / "tuned"):
        found = read_query_adapter(folder)
        np.testing.assert_array_equal(found.residual, adapter.residual)
        np.testing.assert_array_equal(found.bias, adapter.bias)
        assert (found.base, found.base_fingerprint, found.dimension) == ("some-model", "abc", DIMENSION)
        assert len(found.fingerprint) == 64


def test_another_encoder_is_refused_with_both_fingerprints() -> None:
    made().check_base("abc", name="adapter")
    with pytest.raises(ModelError, match=r"adapter x was trained for .*\(abc\), and the encoder here is def"):
        made().check_base("def", name="x")


def _settings(folder: Path, **changed: object) -> None:
    told = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    (folder / SETTINGS).write_text(json.dumps({**told, **changed}), encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda folder: (folder / WEIGHTS).write_bytes(b"torn"), "no query adapter that can be read"),
        (lambda folder: (folder / WEIGHTS).unlink(), "No such file"),
        (lambda folder: (folder / SETTINGS).unlink(), "has no query_adapter.json"),
        (lambda folder: (folder / SETTINGS).write_text("{"), "not valid JSON"),
        (lambda folder: _settings(folder, kind="lora"), 'its kind is "lora"'),
        (lambda folder: _settings(folder, dimension=5), "5 dimensions"),
        (lambda folder: (folder / "code.py").write_text(""), "may run code"),
        (
            lambda folder: save_file({"residual": np.zeros((6, 6), np.float16)}, str(folder / WEIGHTS)),
            "bias",
        ),
        (
            lambda folder: save_file(
                {"residual": np.full((6, 6), np.nan, np.float32), "bias": np.zeros(6, np.float32)},
                str(folder / WEIGHTS),
            ),
            "not finite",
        ),
        (
            lambda folder: save_file(
                {"residual": np.zeros((6, 6), np.float64), "bias": np.zeros(6, np.float32)},
                str(folder / WEIGHTS),
            ),
            "not float32",
        ),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, damage, told: str) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    write_query_adapter(tmp_path, made())
    damage(tmp_path)
    with pytest.raises(ModelError, match=told):
        read_query_adapter(tmp_path)
