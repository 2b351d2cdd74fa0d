"""How much memory a training is said to need."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from ragwright.core.errors import ModelError
from ragwright.finetune.memory import Step, check_memory, free, needed

torch = pytest.importorskip("torch")

STEP = Step(tokens=1000, longest=100, half=True)


def model(*, learns: bool = True) -> Any:
    """A linear layer of 110 numbers with the sizes of a transformer."""
    layer = torch.nn.Linear(10, 10).requires_grad_(learns)
    layer.config = SimpleNamespace(
        hidden_size=10, num_hidden_layers=2, intermediate_size=40, num_attention_heads=2
    )
    return layer


def test_gradients_and_moments_count_for_what_learns_alone() -> None:
    assert needed(model(), STEP) - needed(model(learns=False), STEP) == 12 * 110


def test_what_is_kept_grows_with_the_tokens_and_shrinks_where_it_is_computed_again() -> None:
    still = model(learns=False)
    # by layer and token 34 numbers of the width, and 5 scores for each head and token of the text
    assert needed(still, STEP) == 1000 * 2 * (34 * 10 + 5 * 2 * 100)
    assert needed(still, replace(STEP, half=False)) == 2 * needed(still, STEP)
    assert needed(still, replace(STEP, kept=0.25)) == needed(still, STEP) // 4
    assert needed(torch.nn.Linear(1, 1).requires_grad_(False), STEP) == 0, "nobody knows its sizes"


def test_more_than_is_free_is_refused_with_both_numbers() -> None:
    device = torch.device("cpu")
    assert 0 < free(device) < 1 << 50
    assert check_memory(model(), STEP, device=device) == needed(model(), STEP)
    with pytest.raises(ModelError, match=r"needs about [\d,]+ MB and [\d,]+ MB are free; lower tune.batch"):
        check_memory(model(), replace(STEP, tokens=1 << 40), device=device)
