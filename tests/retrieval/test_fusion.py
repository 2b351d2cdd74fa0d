"""Fusion joins rankings in one order, whatever the order they came to be written down in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwright.core.protocols import Scored
from ragwright.retrieval.fusion import FusionMethod, fuse

IDS = st.sampled_from([f"c{number}" for number in range(12)])
METHODS = st.sampled_from(["rrf", "weighted"])
WEIGHTS = st.floats(0.0, 1.0)


def _ranked(scores: dict[str, float]) -> list[Scored]:
    ranked = [Scored(key, score) for key, score in scores.items()]
    return sorted(ranked, key=lambda hit: (-hit.score, hit.id))


RANKINGS = st.dictionaries(IDS, st.floats(0.01, 30.0)).map(_ranked)


def _fuse(dense: list[Scored], sparse: list[Scored], method: FusionMethod, weight: float) -> list[Scored]:
    return fuse(dense, sparse, method=method, dense_weight=weight, rrf_k=60)


@given(RANKINGS, RANKINGS, METHODS, WEIGHTS)
def test_every_id_of_either_list_comes_once_best_first(
    dense: list[Scored], sparse: list[Scored], method: FusionMethod, weight: float
) -> None:
    fused = _fuse(dense, sparse, method, weight)
    ids = [hit.id for hit in fused]
    assert sorted(ids) == sorted({hit.id for hit in [*dense, *sparse]})
    assert fused == sorted(fused, key=lambda hit: (-hit.score, hit.id))
    assert all(0.0 <= hit.score <= 1.0 for hit in fused)


@given(RANKINGS, RANKINGS, METHODS)
def test_a_list_with_all_the_weight_keeps_its_order(
    dense: list[Scored], sparse: list[Scored], method: FusionMethod
) -> None:
    for ranked, weight in ((dense, 1.0), (sparse, 0.0)):
        fused = _fuse(dense, sparse, method, weight)
        ids = [hit.id for hit in ranked]
        assert [hit.id for hit in fused][: len(ids)] == ids
        assert all(hit.score == 0.0 for hit in fused[len(ids) :])


@given(RANKINGS, RANKINGS, METHODS, WEIGHTS)
def test_the_two_lists_are_treated_alike(
    dense: list[Scored], sparse: list[Scored], method: FusionMethod, weight: float
) -> None:
    one, other = _fuse(dense, sparse, method, weight), _fuse(sparse, dense, method, 1.0 - weight)
    scores = {hit.id: hit.score for hit in other}
    assert {hit.id: hit.score for hit in one} == pytest.approx(scores, abs=1e-12)


@given(st.dictionaries(IDS, st.floats(0.01, 30.0)), RANKINGS, WEIGHTS)
def test_weighted_fusion_reads_scores_and_not_places(
    scores: dict[str, float], sparse: list[Scored], weight: float
) -> None:
    dense = _ranked(scores)
    shuffled = sorted(dense, key=lambda hit: hit.id)
    assert _fuse(dense, sparse, "weighted", weight) == _fuse(shuffled, sparse, "weighted", weight)


@given(RANKINGS, RANKINGS, st.floats(0.05, 0.95), st.integers(1, 200))
def test_an_id_found_by_both_halves_never_scores_below_either_half_alone(
    dense: list[Scored], sparse: list[Scored], weight: float, k: int
) -> None:
    fused = {h.id: h.score for h in fuse(dense, sparse, method="rrf", dense_weight=weight, rrf_k=k)}
    places = [{hit.id: rank for rank, hit in enumerate(half, 1)} for half in (dense, sparse)]
    for key, score in fused.items():
        parts = [w / (k + p[key]) for w, p in zip((weight, 1 - weight), places, strict=True) if key in p]
        assert score == pytest.approx(sum(parts))


def test_equal_scores_are_ordered_by_id() -> None:
    dense, sparse = [Scored("b", 0.5)], [Scored("a", 9.0)]
    for method in ("rrf", "weighted"):
        assert [hit.id for hit in _fuse(dense, sparse, method, 0.5)] == ["a", "b"]


def test_scores_without_anything_in_common_count_nothing() -> None:
    assert _fuse([Scored("a", -0.2), Scored("b", 0.0)], [], "weighted", 0.5) == [
        Scored("a", 0.0),
        Scored("b", 0.0),
    ]
    assert _fuse([], [], "rrf", 0.5) == []
