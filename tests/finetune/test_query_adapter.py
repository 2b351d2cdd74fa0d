"""An adapter learns what can be learnt, is refused when nothing can, and is the same for the same seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ragwright.core.errors import InputError
from ragwright.core.types import Vectors
from ragwright.finetune.adapter_loss import AdapterData, contrast
from ragwright.finetune.query_adapter import AdapterSettings, FittedAdapter, fit_adapter
from ragwright.finetune.values import Example, TrainingPassage

DIMENSION, COUNT = 12, 60
QUICK = AdapterSettings(strengths=(0.003,), epochs=12, batch=30, learning_rate=3e-2)


def units(rows: np.ndarray) -> Vectors:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


@pytest.fixture(scope="module")
def world() -> tuple[AdapterData, Vectors, Vectors]:
    """Questions that are their answers, turned by one matrix and blurred; and the answers of dev."""
    random = np.random.default_rng(0)
    answers = units(random.normal(size=(COUNT * 2, DIMENSION)))
    turned = np.eye(DIMENSION) + 1.5 * random.normal(size=(DIMENSION, DIMENSION)) / DIMENSION**0.5
    questions = units(answers @ turned + 0.3 * random.normal(size=answers.shape) / DIMENSION**0.5)
    data = AdapterData(
        questions[:COUNT],
        answers[:COUNT],
        positives=tuple((row,) for row in range(COUNT)),
        negatives=tuple(((row + 7) % COUNT,) for row in range(COUNT)),
        alike=tuple(frozenset({row}) for row in range(COUNT)),
    )
    return data, questions[COUNT:], answers[COUNT:]


def first_found(answers: Vectors, vectors: Vectors) -> Mapping[str, float]:
    ranks = (-(vectors @ answers.T)).argsort(axis=1)
    return {"first": float((ranks[:, 0] == np.arange(len(vectors))).mean())}


def fitted(world: tuple[AdapterData, Vectors, Vectors], settings: AdapterSettings = QUICK) -> FittedAdapter:
    data, dev, answers = world
    return fit_adapter(
        data, dev=dev, measure=lambda v: first_found(answers, v), base=("m", "f"), settings=settings
    )


def test_questions_that_all_miss_in_one_way_are_moved_to_their_answers(
    world: tuple[AdapterData, Vectors, Vectors],
) -> None:
    done = fitted(world)
    assert done.adapter is not None
    assert done.dev["first"] > done.start["first"] + 0.1
    assert first_found(world[2], done.adapter.moved(world[1])) == done.dev
    assert (done.adapter.base, done.adapter.base_fingerprint, done.strength) == ("m", "f", 0.003)


def test_equal_seeds_give_equal_adapters(world: tuple[AdapterData, Vectors, Vectors]) -> None:
    one, other = (fitted(world).adapter for _ in range(2))
    assert one is not None and other is not None
    np.testing.assert_array_equal(one.residual, other.residual)
    np.testing.assert_array_equal(one.bias, other.bias)


def test_a_stronger_pull_leaves_less_of_a_residual(world: tuple[AdapterData, Vectors, Vectors]) -> None:
    norms = []
    for strength in (1.0, 0.003):
        done = fitted(world, replace(QUICK, strengths=(strength,)))
        norms.append(0.0 if done.adapter is None else float(np.linalg.norm(done.adapter.residual)))
    assert norms[0] < norms[1] / 2


def test_a_rank_bounds_the_matrix(world: tuple[AdapterData, Vectors, Vectors]) -> None:
    done = fitted(world, replace(QUICK, rank=2))
    assert done.adapter is not None
    assert np.linalg.matrix_rank(done.adapter.residual, tol=1e-4) <= 2


def test_labels_that_mean_nothing_give_no_adapter(world: tuple[AdapterData, Vectors, Vectors]) -> None:
    data, dev, answers = world
    shuffled = tuple((int(row),) for row in np.random.default_rng(1).permutation(COUNT))
    poisoned = replace(
        data, positives=shuffled, alike=tuple(map(frozenset, shuffled)), negatives=((),) * COUNT
    )
    strict = {"first": 1.0}  # nothing is better than this
    done = fit_adapter(poisoned, dev=dev, measure=lambda v: strict, base=("m", "f"), settings=QUICK)
    assert done.adapter is None and done.dev == done.start
    honest = fit_adapter(
        poisoned, dev=dev, measure=lambda v: first_found(answers, v), base=("m", "f"), settings=QUICK
    )
    assert honest.dev["first"] <= honest.start["first"] + 0.05


def test_every_look_is_told_and_patience_ends_a_strength(world: tuple[AdapterData, Vectors, Vectors]) -> None:
    data, dev, _ = world
    looks: list[int] = []
    settings = replace(QUICK, strengths=(0.01, 0.003), epochs=30, patience=2)
    fit_adapter(
        data,
        dev=dev,
        measure=lambda v: {"same": 0.5},
        base=("m", "f"),
        settings=settings,
        look=lambda step, measured: looks.append(step),
    )
    assert looks == [2, 4, 6, 8], "two epochs of two steps for each strength"


def test_the_gradients_are_those_of_the_loss(world: tuple[AdapterData, Vectors, Vectors]) -> None:
    data, rows = world[0], np.arange(5)
    data = replace(data, queries=data.queries.astype(np.float64), chunks=data.chunks.astype(np.float64))
    random = np.random.default_rng(2)
    residual: Any = 0.1 * random.normal(size=(DIMENSION, DIMENSION))
    bias: Any = 0.1 * random.normal(size=DIMENSION)

    def loss(residual: Any, bias: Any) -> float:
        return contrast(data, rows, residual=residual, bias=bias, temperature=0.2)[0]

    _, by_residual, by_bias = contrast(data, rows, residual=residual, bias=bias, temperature=0.2)
    for place in [(0, 0), (3, 7), (11, 2)]:
        moved = np.zeros_like(residual)
        moved[place] = 1e-5
        slope = (loss(residual + moved, bias) - loss(residual - moved, bias)) / 2e-5
        assert slope == pytest.approx(by_residual[place], rel=1e-3, abs=1e-6)
        moved = np.zeros_like(bias)
        moved[place[0]] = 1e-5
        slope = (loss(residual, bias + moved) - loss(residual, bias - moved)) / 2e-5
        assert slope == pytest.approx(by_bias[place[0]], rel=1e-3, abs=1e-6)


def passage(key: str) -> TrainingPassage:
    return TrainingPassage(key, "a.md", key)


def example(query: str, positives: str, negatives: str = "") -> Example:
    return Example("q", query, "", tuple(map(passage, positives)), tuple(map(passage, negatives)), ())


def test_chunks_without_a_vector_are_left_out_and_equal_questions_share_their_answers() -> None:
    chunks = {key: units(np.eye(DIMENSION)[row : row + 1])[0] for row, key in enumerate("abcd")}
    examples = [example("Why?", "ax", "b"), example("lost", "y"), example("why", "c", "dz")]
    data = AdapterData.of(examples, queries=units(np.eye(DIMENSION)[:3]), chunks=chunks)
    assert data.positives == ((0,), (2,)) and data.negatives == ((1,), (3,))
    assert data.alike == (frozenset({0, 2}), frozenset({0, 2}))
    np.testing.assert_array_equal(data.queries, units(np.eye(DIMENSION)[[0, 2]]))
    with pytest.raises(InputError, match="mine them again"):
        AdapterData.of([example("lost", "y")], queries=units(np.eye(DIMENSION)[:1]), chunks=chunks)
