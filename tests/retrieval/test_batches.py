"""Batches hold every input once, keep to their budget, and pad or pack as they say."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ragwright.retrieval.batches import ModelInput, make_batches, make_packed, pool

LENGTHS = st.lists(st.integers(1, 60), max_size=40)
STEP = 8


def _inputs(lengths: list[int]) -> list[ModelInput]:
    """Inputs whose tokens tell where they belong; every second one has token types."""
    return [
        ModelInput(
            np.arange(length, dtype=np.int64) + 100 * place,
            np.array([[0, length]]),
            np.arange(length, dtype=np.int64) % 2 if place % 2 else None,
        )
        for place, length in enumerate(lengths)
    ]


def _types(given: ModelInput) -> list[int]:
    return [0] * len(given.ids) if given.types is None else given.types.tolist()


@given(LENGTHS, st.integers(1, 200), st.sampled_from([0, 1]))
def test_every_input_comes_once_and_padded_on_the_right(
    lengths: list[int], budget: int, padding: int
) -> None:
    inputs = _inputs(lengths)
    batches = make_batches(inputs, budget=budget, padding=padding)
    assert sorted(row for batch in batches for row in batch.rows) == list(range(len(lengths)))
    for batch in batches:
        assert batch.ids.shape == batch.mask.shape == batch.types.shape
        for place, row in enumerate(batch.rows):
            length = lengths[row]
            np.testing.assert_array_equal(batch.ids[place, :length], inputs[row].ids)
            assert (batch.ids[place, length:] == padding).all()
            assert batch.mask[place].tolist() == [1] * length + [0] * (batch.ids.shape[1] - length)
            assert batch.types[place, :length].tolist() == _types(inputs[row])


@given(LENGTHS, st.integers(1, 200))
def test_no_batch_is_over_its_budget_but_an_input_that_is_so_alone(lengths: list[int], budget: int) -> None:
    for batch in make_batches(_inputs(lengths), budget=budget):
        assert batch.ids.size <= budget or len(batch.rows) == 1
    for packed in make_packed(_inputs(lengths), budget=budget):
        assert len(packed.ids) <= budget or len(packed.rows) == 1


@given(LENGTHS, st.integers(1, 200))
def test_the_shape_of_an_input_depends_on_its_own_length_alone(lengths: list[int], budget: int) -> None:
    batches = make_batches(_inputs(lengths), budget=budget)
    widths = [batch.ids.shape[1] for batch in batches]
    assert widths == sorted(widths, reverse=True)
    for batch in batches:
        assert {-(-lengths[row] // STEP) * STEP for row in batch.rows} == {batch.ids.shape[1]}


@given(LENGTHS, st.integers(1, 200), st.integers(1, 60))
def test_padding_goes_no_further_than_the_longest_length(
    lengths: list[int], budget: int, longest: int
) -> None:
    for batch in make_batches(_inputs(lengths), budget=budget, longest=longest):
        for row in batch.rows:
            wanted = min(-(-lengths[row] // STEP) * STEP, longest)
            assert batch.ids.shape[1] == max(wanted, lengths[row])


def test_inputs_of_like_length_share_a_batch() -> None:
    batches = make_batches(_inputs([50, 2, 49, 3, 17]), budget=200)
    assert [batch.rows.tolist() for batch in batches] == [[0, 2], [4], [1, 3]]


@given(LENGTHS, st.integers(1, 200))
def test_a_packed_batch_holds_its_inputs_one_behind_the_other(lengths: list[int], budget: int) -> None:
    inputs = _inputs(lengths)
    batches = list(make_packed(inputs, budget=budget))
    assert sorted(row for batch in batches for row in batch.rows) == list(range(len(lengths)))
    for batch in batches:
        assert batch.longest == max(lengths[row] for row in batch.rows)
        assert batch.edges[0] == 0
        assert batch.edges[-1] == len(batch.ids) == len(batch.types) == len(batch.positions)
        for place, row in enumerate(batch.rows):
            part = slice(batch.edges[place], batch.edges[place + 1])
            np.testing.assert_array_equal(batch.ids[part], inputs[row].ids)
            assert batch.positions[part].tolist() == list(range(lengths[row]))
            assert batch.types[part].tolist() == _types(inputs[row])


def test_pooling_takes_the_mean_of_each_range() -> None:
    states = np.arange(8, dtype=np.float32).reshape(4, 2)
    found = pool(states, np.array([[0, 4], [1, 2], [2, 4]]))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [[3, 4], [2, 3], [5, 6]])


def test_nothing_makes_no_batch() -> None:
    assert make_batches([], budget=10) == []
    assert list(make_packed([], budget=10)) == []
