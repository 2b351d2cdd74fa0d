"""Centroids stand where the questions of a domain are, and a floor tells what is none of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwright.core.errors import InputError
from ragwright.core.types import Vectors
from ragwright.finetune.routing import make_expert, spherical_centroids


def around(seed: int, *middles: int, each: int = 20, blur: float = 0.1) -> Vectors:
    """Vectors near some axes of twelve."""
    random = np.random.default_rng(seed)
    rows = np.concatenate([np.eye(12)[[m] * each] + blur * random.normal(size=(each, 12)) for m in middles])
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def test_each_cluster_gets_its_centroid() -> None:
    found = spherical_centroids(around(0, 1, 5, 9), count=3, seed=0)
    assert sorted(int(row.argmax()) for row in found) == [1, 5, 9]
    assert (found.max(axis=1) > 0.95).all()


@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 50))
def test_there_are_no_more_centroids_than_wanted_or_than_different_questions(
    different: int, count: int, seed: int
) -> None:
    rows = around(seed, *range(min(different, 12)), each=max(1, different // 12), blur=0.3)
    vectors = np.concatenate([rows, rows])
    found = spherical_centroids(vectors, count=count, seed=seed)
    assert 1 <= len(found) <= min(count, len(rows))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-5)
    np.testing.assert_array_equal(found, spherical_centroids(vectors, count=count, seed=seed))


def test_nearly_all_pilot_questions_reach_the_floor_and_other_questions_do_not() -> None:
    pilots = around(0, 1, 5, each=100)
    expert = make_expert("law", kind="adapter", folder="law/model", pilots=pilots, centroids=2, seed=0)
    likeness = (pilots @ expert.centroids.T).max(axis=1)
    assert 0.9 <= (likeness >= expert.floor).mean() <= 1.0
    assert ((around(1, 9) @ expert.centroids.T).max(axis=1) < expert.floor).all()


def test_an_expert_with_few_pilot_questions_is_refused() -> None:
    with pytest.raises(InputError, match="has 0 pilot questions"):
        make_expert(
            "law", kind="adapter", folder="", pilots=np.empty((0, 12), np.float32), centroids=2, seed=0
        )
