"""Batches hold every sequence once and keep to their budget."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ragwright.retrieval.batches import make_batches

LENGTHS = st.lists(st.integers(1, 60), max_size=40)


@given(LENGTHS, st.integers(1, 200), st.sampled_from([0, 1]))
def test_every_sequence_comes_once_and_padded_on_the_right(
    lengths: list[int], budget: int, padding: int
) -> None:
    sequences = [np.arange(length, dtype=np.int64) + 100 * place for place, length in enumerate(lengths)]
    batches = make_batches(sequences, budget=budget, padding=padding)
    assert sorted(row for batch in batches for row in batch.rows) == list(range(len(lengths)))
    for batch in batches:
        assert batch.ids.shape == batch.mask.shape == (len(batch.rows), batch.ids.shape[1])
        for place, row in enumerate(batch.rows):
            length = lengths[row]
            np.testing.assert_array_equal(batch.ids[place, :length], sequences[row])
            assert (batch.ids[place, length:] == padding).all()
            assert batch.mask[place].tolist() == [1] * length + [0] * (batch.ids.shape[1] - length)


@given(LENGTHS, st.integers(1, 200))
def test_no_batch_is_over_its_budget_but_a_sequence_that_is_so_alone(lengths: list[int], budget: int) -> None:
    for batch in make_batches([np.zeros(length, np.int64) for length in lengths], budget=budget):
        assert batch.ids.size <= budget or len(batch.rows) == 1


@given(LENGTHS, st.integers(1, 200))
def test_the_shape_of_a_sequence_depends_on_its_own_length_alone(lengths: list[int], budget: int) -> None:
    batches = make_batches([np.zeros(length, np.int64) for length in lengths], budget=budget)
    widths = [batch.ids.shape[1] for batch in batches]
    assert widths == sorted(widths)
    for batch in batches:
        assert {-(-lengths[row] // 16) * 16 for row in batch.rows} == {batch.ids.shape[1]}


@given(LENGTHS, st.integers(1, 200), st.integers(1, 60))
def test_padding_goes_no_further_than_the_longest_length(
    lengths: list[int], budget: int, longest: int
) -> None:
    sequences = [np.zeros(length, np.int64) for length in lengths]
    for batch in make_batches(sequences, budget=budget, longest=longest):
        for row in batch.rows:
            wanted = min(-(-lengths[row] // 16) * 16, longest)
            assert batch.ids.shape[1] == max(wanted, lengths[row])


def test_sequences_of_like_length_share_a_batch() -> None:
    sequences = [np.zeros(length, np.int64) for length in (50, 2, 49, 3, 17)]
    batches = make_batches(sequences, budget=200)
    assert [batch.rows.tolist() for batch in batches] == [[1, 3], [4], [0, 2]]


def test_nothing_makes_no_batch() -> None:
    assert make_batches([], budget=10) == []
