"""Samples of a data set."""

from __future__ import annotations

from ragwright.eval.sampling import drawn
from ragwright.eval.values import Dataset, Item

DATASET = Dataset("d", "native", tuple(Item(f"q{n}", "?") for n in range(20)), digest="abc")


def test_a_sample_keeps_the_order_and_is_the_same_for_the_same_seed() -> None:
    sample = drawn(DATASET, 5, seed=3)
    assert sample == drawn(DATASET, 5, seed=3)
    assert len(sample.items) == 5
    assert [DATASET.items.index(item) for item in sample.items] == sorted(
        DATASET.items.index(item) for item in sample.items
    )


def test_another_sample_has_another_digest_and_everything_is_no_sample() -> None:
    digests = {drawn(DATASET, 5, seed=seed).digest for seed in range(10)}
    assert len(digests) == 10
    assert drawn(DATASET, 20) is DATASET
